"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from edge_runtime.errors import OutputError


def check_output(path: Path, *, overwrite: bool) -> None:
    """Raise what can be known before the work begins, which may take hours.

    Raises:
        OutputError: the file exists and `overwrite` is off, is a folder, or its folder takes no file.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} does not exist; create it first")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists; add --overwrite to replace it")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: the folder {path.parent} takes no file of this user; choose another")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that has its name only when it is complete; nothing else stays behind, whatever happens.

    Raises:
        OutputError: the disk or the folder does not take it.
    """
    partial: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".partial", dir=path.parent)
        partial = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(0o666 & ~_umask())
        partial.replace(path)
    except OSError as exc:
        raise OutputError(f"{path}: cannot be written ({exc.strerror or exc})") from exc
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def _umask() -> int:
    """Return the process's mask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
