"""The models that were pulled: brought, looked at, and taken away again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import ConfigError, ModelError, OutputError
from edge_runtime.model.sidecar import sidecar_path
from edge_runtime.model.store import NAME, pulled, store_folder
from edge_runtime.registry.download import Wanted, digest, download, part_files
from edge_runtime.registry.entries import Entry
from edge_runtime.wholefile import check_output, write_whole

Bring = Callable[[Wanted, Path], None]


@dataclass(frozen=True, slots=True)
class Pulled:
    """What came of pulling a model."""

    path: Path
    was_there: bool  # True: it had been pulled before, and is whole
    sidecar: Path | None  # that was written with its labels


@dataclass(frozen=True, slots=True)
class Verified:
    """Whether a file is what the registry says."""

    path: Path
    name: str | None  # of the entry it was held against; None where no entry is of this file
    is_right: bool
    said: str  # what was found


def require_store() -> Path:
    """Return the folder of pulled models, which need not exist.

    Raises:
        ConfigError: this user has no home to keep them in.
    """
    folder = store_folder()
    if folder is None:
        raise ConfigError("models: there is no home folder to keep them in; set XDG_DATA_HOME, or give --to DIR")
    return folder


def pull(entry: Entry, folder: Path, *, may_replace: bool = False, bring: Bring = download) -> Pulled:
    """Bring a model into a folder that exists, and its labels where it has none itself.

    Args:
        entry: the model.
        folder: where to.
        may_replace: replace another file of that name.
        bring: downloads it.

    Raises:
        ModelError: it cannot be had, or what came is not it.
        OutputError: another file has its name, or the disk does not take it.
    """
    target = folder / entry.file_name
    was_there = target.is_file() and target.stat().st_size == entry.size and digest(target) == entry.sha256
    if not was_there:
        check_output(target, overwrite=may_replace)
        bring(Wanted(entry.url, entry.size, entry.sha256), target)
    return Pulled(target, was_there, _write_sidecar(entry, target))


def sidecar_of(entry: Entry) -> bytes | None:
    """Return the sidecar that belongs to a model; None where the file says all itself."""
    if not entry.labels:
        return None
    names = json.dumps(list(entry.labels), ensure_ascii=False)
    return f"# Written by edge-runtime models pull {entry.name}\nlabels = {names}\n".encode()


def _write_sidecar(entry: Entry, target: Path) -> Path | None:
    wanted, beside = sidecar_of(entry), sidecar_path(target)
    if wanted is None or beside.exists() or Path(f"{target}.toml").exists():  # what a user wrote stays
        return None
    write_whole(beside, wanted)
    return beside


def verify(path: Path, registry: Mapping[str, Entry]) -> Verified:
    """Return whether a file is one that the registry knows, by its name or by its content.

    Raises:
        ModelError: it cannot be read.
    """
    found = digest(path)
    size = path.stat().st_size
    known = next((entry for entry in registry.values() if entry.sha256 == found), None)
    if known:
        return Verified(path, known.name, True, f"sha256 {found[:16]}...")
    meant = next((entry for entry in registry.values() if entry.file_name == path.name), None)
    if meant is None:
        return Verified(path, None, False, f"sha256 {found[:16]}... is of no model in the registry")
    if size != meant.size:
        return Verified(path, meant.name, False, f"has {size} bytes, should have {meant.size}")
    return Verified(path, meant.name, False, f"sha256 {found[:16]}..., should be {meant.sha256[:16]}...")


def remove(name: str, folder: Path, registry: Mapping[str, Entry]) -> tuple[list[Path], list[Path]]:
    """Take away a pulled model and what belongs to it; return what went, and what was kept because a user changed it.

    Raises:
        ConfigError: it is not pulled.
        OutputError: it cannot be removed.
    """
    target = pulled(name, folder)
    unfinished = [part for suffix in (".tflite", ".onnx") for part in part_files(folder / f"{name}{suffix}")]
    is_name = bool(NAME.fullmatch(name))  # and leads out of no folder
    going = [path for path in (target, *unfinished) if is_name and path and path.is_file()]
    if not going:
        raise ConfigError(f"{name!r}: is not pulled; edge-runtime models list shows what is")
    kept: list[Path] = []
    if target and sidecar_path(target).is_file():
        beside, entry = sidecar_path(target), registry.get(name)
        is_ours = entry is not None and _content(beside) == sidecar_of(entry)
        (going if is_ours else kept).append(beside)
    for path in going:
        try:
            path.unlink()
        except OSError as exc:
            raise OutputError(
                f"{path}: cannot be removed ({exc.strerror}); remove it as the user who pulled it"
            ) from exc
    return going, kept


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ModelError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
