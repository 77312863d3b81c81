"""Which files of a folder are variants of which model, and what their bytes weigh."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.model.flatbuffer import read_model

SUFFIX = ".tflite"
PARENT = "parent"
MOST_LISTED = 8
ZSTD_LEVEL = 19
"""What an update sent to many boards is packed with once: the densest of the ordinary levels."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One model file, and what it is called in the table."""

    name: str  # "parent", or what its file name has beyond the parent's: "int8"
    path: Path
    sha256: str
    size_bytes: int


def read_variant(name: str, path: Path) -> Variant:
    """Return the facts of a file.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Variant(name, path, digest, path.stat().st_size)
    except OSError as exc:
        raise ModelError(f"{path}: cannot be read ({exc.strerror or exc}); give the path of a .tflite file") from exc


def compressed_bytes(path: Path) -> int:
    """Return how many bytes the file has after zstd at level 19."""
    import zstandard

    return len(zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(path.read_bytes()))


def is_integer(path: Path) -> bool:
    """Return whether a model is quantised to integers, by its ends or, where these are float, by its name."""
    if "int8" in path.stem:
        return True
    try:
        file = read_model(path)
    except ModelError:
        return False
    return any(one.dtype.kind in "iu" and one.quantization for one in (*file.inputs, *file.outputs))


def models_in(folder: Path) -> list[Path]:
    """Return the .tflite files of a folder, by name.

    Raises:
        ConfigError: it is no folder, or holds none.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise ConfigError(f"{folder}: {what}; give the folder that holds the variants")
    try:
        found = _models_of(folder)
    except OSError as exc:
        reason = exc.strerror or exc
        raise ConfigError(f"{folder}: cannot be read ({reason}); give a folder that this user may read") from exc
    if not found:
        raise ConfigError(f"{folder}: holds no {SUFFIX} file; make variants with edge-runtime optimize")
    return found


def _models_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix == SUFFIX and path.is_file())


def order_variants(models: Sequence[Path], parent: Path | None = None, *, above: Path | None = None) -> list[Variant]:
    """Return the variants, the parent first, the rest by name.

    Args:
        models: the files.
        parent: the float original; None is the file whose name the others extend, as `m.int8.tflite` extends
            `m.tflite`.
        above: a folder that may hold the parent, too.

    Raises:
        ConfigError: no file or more than one can be the parent.
        ModelError: a file cannot be read.
    """
    chosen = find_parent(models, above) if parent is None else parent
    rest = sorted(path for path in models if path.resolve() != chosen.resolve())
    return [read_variant(PARENT, chosen), *(read_variant(_technique(path, chosen), path) for path in rest)]


def find_parent(models: Sequence[Path], above: Path | None = None) -> Path:
    """Return the file whose name all others extend: one of them, or one in the folder above them.

    Raises:
        ConfigError: there is none, or more than one.
    """
    pool = [*_over(models, above), *models] if above else models
    roots = [one for one in pool if not any(_extends(one, other) for other in pool)]
    if len(roots) == 1:
        return roots[0]
    extended = [one for one in roots if any(_extends(other, one) for other in models)]
    if len(extended) > 1:
        raise ConfigError(
            f"parent: {len(extended)} files could be it ({_listed(extended)}); name one with --parent FILE"
        )
    where = "" if above is None else f", neither there nor in {above}"
    raise ConfigError(
        f"parent: no file has a name that all others extend, as m.int8.tflite extends m.tflite{where} (found "
        f"{_listed(roots)}); name it with --parent FILE"
    )


def _over(models: Sequence[Path], above: Path) -> list[Path]:
    """Return the files of the folder above whose name every model extends."""
    try:
        found = _models_of(above)
    except OSError:  # the user has not named this folder
        return []
    return [one for one in found if all(_extends(model, one) for model in models)]


def _listed(files: Sequence[Path]) -> str:
    more = len(files) - MOST_LISTED
    return ", ".join(path.name for path in files[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _extends(path: Path, other: Path) -> bool:
    return path.stem.startswith(f"{other.stem}.") or path.stem == f"{other.stem}_edgetpu"


def _technique(path: Path, parent: Path) -> str:
    """Return what the name has beyond the parent's, or the whole of it."""
    beyond = path.stem.removeprefix(f"{parent.stem}.")
    return "edgetpu" if path.stem == f"{parent.stem}_edgetpu" else beyond
