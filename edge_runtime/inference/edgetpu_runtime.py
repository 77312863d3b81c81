"""Whether a model for the Edge TPU is for a newer runtime than the one that is installed."""

from __future__ import annotations

import ctypes
import re
import struct
from pathlib import Path
from typing import Any

from edge_runtime.errors import ModelError

PACKAGE = b"DWN1"
"""File identifier of what edgetpu_compiler puts into a model, and `min_runtime_version` is its root's first field.
Source: google-coral/libedgetpu, executable/executable.fbs."""

_SAID = re.compile(r"requires runtime version \((\d+)\), which is newer than this runtime version \((\d+)\)")


def needed_runtime(model: Path) -> int | None:
    """Return the runtime version that a compiled model asks for; None where it cannot be read."""
    try:
        data = model.read_bytes()
    except OSError:
        return None
    versions = []
    found = data.find(PACKAGE)
    while found >= 4:
        if (version := _first_field(data, found - 4)) is not None:
            versions.append(version)
        found = data.find(PACKAGE, found + 1)
    return max(versions, default=None)


def _first_field(data: bytes, start: int) -> int | None:
    """Return the first field of a flatbuffer's root table, a number. Source: flatbuffers.dev, "Internals"."""
    try:
        root = start + struct.unpack_from("<I", data, start)[0]
        table = root - struct.unpack_from("<i", data, root)[0]
        size, offset = struct.unpack_from("<H", data, table)[0], struct.unpack_from("<H", data, table + 4)[0]
        value = struct.unpack_from("<i", data, root + offset)[0]
    except struct.error:
        return None
    return value if size >= 6 and offset and 0 < value < 1000 else None


def library_version(library: Any) -> str:
    """Return what libedgetpu says of itself: "BuildLabel(...), RuntimeVersion(14)"; empty where it says nothing."""
    if not hasattr(library, "edgetpu_version"):
        return ""
    library.edgetpu_version.restype = ctypes.c_char_p
    return (library.edgetpu_version() or b"").decode(errors="replace")


def installed_runtime(library: Any) -> int | None:
    """Return the runtime version of libedgetpu; None where it does not say."""
    found = re.search(r"RuntimeVersion\((\d+)\)", library_version(library))
    return int(found[1]) if found else None


def check_runtime(model: Path, library: Any) -> None:
    """Raise ModelError where the model is for a newer runtime; where either version is unknown the runtime decides."""
    needs, has = needed_runtime(model), installed_runtime(library)
    if needs is not None and has is not None and needs > has:
        raise is_newer(model, needs, has)


def is_newer(model: Path, needs: int, has: int) -> ModelError:
    """Return the error for a model that is for a newer runtime."""
    return ModelError(
        f"{model}: is compiled for Edge TPU runtime {needs}, and the libedgetpu that is installed is runtime {has}; "
        f"update libedgetpu, or compile the model again with edgetpu_compiler --min_runtime_version {has}"
    )


def newer_runtime_in(model: Path, message: str) -> ModelError | None:
    """Return the error where libedgetpu's message says that the model is for a newer runtime."""
    found = _SAID.search(message)
    return is_newer(model, int(found[1]), int(found[2])) if found else None
