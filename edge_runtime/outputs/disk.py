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


def check_room(path: Path, *, statvfs: Statvfs = os.statvfs) -> None:
    """Raise before the disk is full: a full system disk stops more than this program.

    Raises:
        OutputError: less than the reserve is free where `path` lies.
    """
    try:
        status = statvfs(path.parent)
    except OSError as exc:
        raise OutputError(f"{path}: the folder {path.parent} has gone ({exc.strerror})") from exc
    free_bytes = status.f_bavail * status.f_frsize
    size_bytes = status.f_blocks * status.f_frsize  # 0 where a file system does not tell
    needed_bytes = min(RESERVE_BYTES, int(size_bytes * RESERVE_SHARE))
    if free_bytes < needed_bytes:
        raise OutputError(
            f"{path}: {free_bytes / 1024**2:.1f} MiB are free on its disk; "
            f"at least {needed_bytes / 1024**2:.1f} MiB are left to the system, make room or choose another disk"
        )
