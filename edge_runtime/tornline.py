"""The last line of a file that a power cut left in the middle."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

log = logging.getLogger(__name__)

LONGEST_TORN = 2**20
"""No line is longer; what is more has never been a file of lines, and is left as it is."""
LOOKS, LOOK_S = 4, 0.02
"""Looks at a line that another run may be writing just now, and the seconds between."""


def mend(path: Path, file: BinaryIO, *, is_alone: Callable[[BinaryIO], bool]) -> int:
    """Make a file end with a whole line; return its size then.

    A record that lacks only its line break gets it. Anything else behind the last line break goes to ``NAME.torn``, so
    that every line of the file can be read and yet nothing is lost.

    Args:
        path: of the file, for reading.
        file: the same file, open for appending.
        is_alone: tells whether no other run writes the file, and keeps others out then. Where one does nothing is cut:
            a line that stays torn gets a line break.

    Raises:
        OSError: it could not be read, cut or written.
    """
    for attempt in range(LOOKS):
        if attempt:
            time.sleep(LOOK_S)
        if not _torn(path, file):
            return _size(file)
        if is_alone(file):
            _mend_alone(path, file)
            return _size(file)
    file.write(b"\n")
    return _size(file)


def _mend_alone(path: Path, file: BinaryIO) -> None:
    torn = _torn(path, file)  # once more: whoever wrote it may have completed it and ended
    if not torn:
        return
    if len(torn) == LONGEST_TORN or _is_record(torn):
        file.write(b"\n")
        return
    _keep(path.with_name(f"{path.name}.torn"), torn)
    os.ftruncate(file.fileno(), _size(file) - len(torn))


def _torn(path: Path, file: BinaryIO) -> bytes:
    """Return what stands behind the last line break."""
    size_bytes = _size(file)
    with path.open("rb") as existing:
        if not os.path.samestat(os.fstat(existing.fileno()), os.fstat(file.fileno())):
            return b""  # another run has just renamed it, and leaves no torn line
        existing.seek(max(0, size_bytes - 1))
        if existing.read(1) in (b"\n", b""):
            return b""
        existing.seek(max(0, size_bytes - LONGEST_TORN))
        tail = existing.read(min(size_bytes, LONGEST_TORN))
    return tail[tail.rfind(b"\n") + 1 :]


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _is_record(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False


def _keep(beside: Path, torn: bytes) -> None:
    """Add what was torn to the file of such parts; zeros, which some file systems leave, say nothing."""
    if torn.strip(b"\0"):
        with beside.open("ab") as file:
            file.write(torn + b"\n")
            file.flush()
            os.fsync(file.fileno())
    log.warning("a last line was cut in the middle, it was moved to a file of its own path=%s bytes=%d to=%s",
                beside.with_suffix(""), len(torn), beside.name)  # fmt: skip
