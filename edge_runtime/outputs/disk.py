"""Room on the disk, for outputs that grow."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from edge_runtime.errors import OutputError

RESERVE_BYTES = 256 * 1024**2
RESERVE_SHARE = 0.05
"""What is left free for the rest of the system: 256 MiB, or a twentieth of a disk that is small itself."""

Statvfs = Callable[[Path], os.statvfs_result]


def check_room(path: Path, folder: Path | None = None, *, statvfs: Statvfs = os.statvfs) -> None:
    """Raise before the disk is full: a full system disk stops more than this program.

    Args:
        path: what is written; named in the message.
        folder: where it lies; None is the folder of `path`.
        statvfs: tells the room on the disk of a folder.

    Raises:
        OutputError: less than the reserve is free there.
    """
    folder = folder or path.parent
    try:
        status = statvfs(folder)
    except OSError as exc:
        raise OutputError(f"{path}: the folder {folder} has gone ({exc.strerror})") from exc
    free_bytes = status.f_bavail * status.f_frsize
    size_bytes = status.f_blocks * status.f_frsize  # 0 where a file system does not tell
    needed_bytes = min(RESERVE_BYTES, int(size_bytes * RESERVE_SHARE))
    if free_bytes < needed_bytes:
        raise OutputError(
            f"{path}: its disk is full: {_amount(free_bytes)} free, and {_amount(needed_bytes)} are left to the "
            "system; make room or choose another disk"
        )


def _amount(size_bytes: int) -> str:
    """Return "1.5 MiB", "12 KiB" or "0 bytes": never a nought for what is not nothing."""
    if size_bytes >= 1024**2:
        return f"{size_bytes / 1024**2:.1f} MiB"
    return f"{size_bytes // 1024} KiB" if size_bytes >= 1024 else f"{size_bytes} bytes"
