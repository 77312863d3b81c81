"""The files packed as a zip behind a model: label files, a sidecar, and the dictionary Ultralytics writes.

Every read is bounded: a few bytes of zip can unpack to gigabytes.
"""

from __future__ import annotations

import ast
import json
import zlib
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zipfile import ZipFile

MAX_LABELS_BYTES = 1 << 20
MAX_DICTIONARY_BYTES = 1 << 18
MAX_SIDECAR_BYTES = 1 << 20
PACKED_SIDECAR = "edge-runtime.toml"
_MAX_ENTRIES = 1000
_DICTIONARIES = ("temp_meta.txt", "metadata.json")
_END_OF_ZIP = b"PK\x05\x06"
_LONGEST_COMMENT = 1 << 16


@dataclass(frozen=True, slots=True)
class Ultralytics:
    """What an export of Ultralytics says of itself; a field is None where it does not."""

    names: tuple[str | None, ...]  # class names by id
    task: str | None  # "detect", "segment", "pose", ...
    stride: int | None
    imgsz: tuple[int, int] | None  # height, width


def read_packed_text(path: Path, names: Sequence[str]) -> tuple[str, str] | None:
    """Return (name, text) of the first of these files that is packed behind the model; None where none is.

    Raises:
        ModelError: it is there but larger than 1 MiB, damaged, or no text.
    """
    with _packed(path) as archive:
        present = set(archive.namelist()) if archive else set()
        for name in names:
            if archive and name in present:
                return name, _read(archive, name, path, MAX_LABELS_BYTES)
    return None


def read_packed_sidecar(path: Path) -> str | None:
    """Return the text of the sidecar packed behind the model; None where none is.

    Raises:
        ModelError: it is there but larger than 1 MiB, damaged, or no text.
    """
    with _packed(path) as archive:
        if archive is None or PACKED_SIDECAR not in archive.namelist():
            return None
        return _read(archive, PACKED_SIDECAR, path, MAX_SIDECAR_BYTES, "pack it again, or copy the model again")


def read_ultralytics(path: Path) -> Ultralytics | None:
    """Return what the packed dictionary of an Ultralytics export says; None where there is no such dictionary.

    Raises:
        ModelError: it is there but larger than 256 KiB, damaged, or not of the known form.
    """
    with _packed(path) as archive:
        present = set(archive.namelist()) if archive else set()
        name = next((one for one in _DICTIONARIES if one in present), None)
        if archive is None or name is None:
            return None
        text = _read(archive, name, path, MAX_DICTIONARY_BYTES)
    return _ultralytics(_dictionary(text, f"{path}: packed file {name}"), f"{path}: packed file {name}")


def parse_ultralytics(properties: Mapping[str, str], path: Path) -> Ultralytics | None:
    """Return what the properties of an .onnx file say, where each field of the dictionary is a text of its own.

    Raises:
        ModelError: the names of the classes are there but not of the known form.
    """
    if not {"names", "task"} & set(properties):
        return None
    text = {key: value for key, value in properties.items() if key in ("stride", "imgsz")}
    found = {key: _literal(value) for key, value in text.items()} | {"task": properties.get("task")}
    if "names" in properties:
        found["names"] = _literal(properties["names"])
    return _ultralytics(found, f"{path}: embedded properties")


def _literal(text: str) -> Any:
    """Return the number, list or dictionary that a text writes; None where it writes none."""
    try:
        return ast.literal_eval(text) if len(text) <= MAX_DICTIONARY_BYTES else None
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


@contextmanager
def _packed(path: Path) -> Iterator[ZipFile | None]:
    """Open the zip behind the model; None where there is none.

    Looked for by hand first, because most models have none and importing zipfile takes longer than the look.
    """
    if not _ends_in_zip(path):
        yield None
        return
    from zipfile import BadZipFile, ZipFile

    try:
        archive = ZipFile(path)
    except BadZipFile:  # the mark of a zip can occur in the weights by chance
        yield None
        return
    with archive:
        if len(archive.infolist()) > _MAX_ENTRIES:
            raise ModelError(
                f"{path}: {len(archive.infolist())} files are packed behind it, allowed are {_MAX_ENTRIES}"
            )
        try:
            yield archive
        except (BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as exc:
            raise ModelError(f"{path}: a file packed behind it is damaged: {exc}; copy or download it again") from exc


def _ends_in_zip(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LONGEST_COMMENT - 22))
            return _END_OF_ZIP in file.read()
    except OSError as exc:
        raise ModelError(f"{path}: cannot be read: {exc.strerror or exc}; give the path of a .tflite model") from exc


def _read(archive: ZipFile, name: str, path: Path, limit: int, advice: str = "give the labels with --labels") -> str:
    with archive.open(name) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ModelError(f"{path}: packed file {name} is larger than {limit} bytes; {advice}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ModelError(f"{path}: packed file {name} is not UTF-8 text; {advice}") from exc


def _dictionary(text: str, source: str) -> dict[str, Any]:
    """Return the dictionary in `text`, JSON or a Python literal; nothing in it is ever run."""
    try:
        found = json.loads(text) if source.endswith(".json") else ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as exc:
        raise ModelError(f"{source}: cannot be read ({type(exc).__name__}); give the labels with --labels") from exc
    if not isinstance(found, dict):
        raise ModelError(f"{source}: holds a {type(found).__name__}, not a dictionary; give the labels with --labels")
    return found


def _ultralytics(found: dict[str, Any], source: str) -> Ultralytics:
    stride, task = found.get("stride"), found.get("task")
    return Ultralytics(
        names=_names(found.get("names", {}), source),
        task=task if isinstance(task, str) else None,
        stride=stride if isinstance(stride, int) else None,
        imgsz=_size(found.get("imgsz")),
    )


def _size(imgsz: Any) -> tuple[int, int] | None:
    if isinstance(imgsz, list | tuple) and len(imgsz) == 2 and all(isinstance(side, int) for side in imgsz):
        return imgsz[0], imgsz[1]
    return None


def _names(names: Any, source: str) -> tuple[str | None, ...]:
    """Return class names by id from a list or from a dictionary whose keys are ids, numbers or digits."""
    if isinstance(names, list | tuple):
        names = dict(enumerate(names))
    try:
        by_id = {int(key): str(name) for key, name in names.items()}
    except (AttributeError, ValueError, TypeError) as exc:
        raise ModelError(f"{source}: names is not a list or a map of ids; give the labels with --labels") from exc
    if by_id and not 0 <= min(by_id) <= max(by_id) < 10_000:
        raise ModelError(
            f"{source}: names holds the id {max(by_id)}, allowed is 0 to 9999; give the labels with --labels"
        )
    return tuple(by_id.get(class_id) for class_id in range(max(by_id, default=-1) + 1))
