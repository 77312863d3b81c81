"""A file that is there whole or not at all."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from edge_runtime.errors import OutputError


def check_output(path: Path, *, overwrite: bool) -> None:
    """Raise what can be known before the work begins, which may take hours.

    Raises:
        OutputError: the file exists and `overwrite` is off, is a folder, or its folder takes no file.
    """
    try:
        is_there, is_folder, has_folder = path.exists(), path.is_dir(), path.parent.is_dir()
    except OSError as exc:  # a name too long, or a folder on the way that this user may not enter
        raise _unwritable(path, exc) from exc
    if is_folder:
        raise OutputError(f"{path}: is a folder; give the name of a file")
    if not has_folder:
        raise OutputError(f"{path}: the folder {path.parent} does not exist; create it first")
    if is_there and not overwrite:
        raise OutputError(f"{path}: exists; add --overwrite to replace it")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: the folder {path.parent} takes no file of this user; choose another")


def write_whole(path: Path, data: bytes, *, is_synced: bool = True) -> None:
    """Write a file that has its name only when it is complete; nothing else stays behind.

    A file that is replaced leaves its permissions to the new one.

    Args:
        path: of the file.
        data: all that is to be in it.
        is_synced: wait for the disk before the file gets its name, so that it outlives a power cut; many small files
            on an SD card are better left to the system.

    Raises:
        OutputError: the disk or the folder does not take it, as the OSError that caused it says; what was there is
            as it was.
    """
    partial = path.parent / f".{path.name[:50]}.{os.urandom(8).hex()}.partial"
    try:
        _write(partial, data, stat.S_IMODE(path.stat().st_mode) if path.exists() else None, is_synced)
        partial.replace(path)
    except OSError as exc:
        raise _unwritable(path, exc) from exc
    finally:
        with suppress(OSError):  # it has its name, or was never there
            partial.unlink()


def _write(path: Path, data: bytes, mode: int | None, is_synced: bool) -> None:
    """Write a new file; without a mode it gets that of any new file.

    The mask is left to the system: a process can only read it by setting it, which its other threads would feel.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
    with os.fdopen(descriptor, "wb") as file:
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        if is_synced:
            os.fsync(file.fileno())


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: cannot be written ({error.strerror or error}); choose another place")
