"""Which disk a folder lies on, and what the kernel tells of that disk."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edge_runtime.doctor.machine import Machine, text_of

SECTOR_BYTES = 512
"""The kernel counts in these, whatever the disk has. Source: Documentation/block/stat.rst of Linux."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system."""

    point: str
    device: str  # "179:2"
    kind: str  # "ext4", "tmpfs", "overlay"
    is_read_only: bool


@dataclass(frozen=True, slots=True)
class Disk:
    """A whole disk, not one of its partitions."""

    name: str  # "mmcblk0"
    size_bytes: int
    written_bytes: int  # since the start
    card: str  # "SD" or "MMC" (soldered eMMC); "" for any other disk
    worn: int | None  # tenths of its life that an eMMC says are gone, at most; 11 is beyond it


def read_mounts(text: str) -> list[Mount]:
    """Return what /proc/self/mountinfo lists. Source: proc_pid_mountinfo(5)."""
    found = []
    for line in text.splitlines():
        left, dash, right = line.partition(" - ")
        fields, behind = left.split(), right.split()
        if dash and len(fields) >= 6 and len(behind) >= 3:
            options = {*fields[5].split(","), *behind[2].split(",")}
            found.append(Mount(_unescaped(fields[4]), fields[2], behind[0], "ro" in options))
    return found


def mount_of(folder: str, mounts: list[Mount]) -> Mount | None:
    """Return the mount a folder lies on: the deepest, and of several at one place the last, which hides the others."""
    path, best = PurePosixPath(folder), None
    for one in mounts:
        if path.is_relative_to(one.point) and (best is None or len(one.point) >= len(best.point)):
            best = one
    return best


def disk_of(machine: Machine, device: str) -> Disk | None:
    """Return the disk of a device number; None for what has none, as memory and network have."""
    link = machine.path(f"/sys/dev/block/{device}")
    try:
        folder = link.resolve(strict=True)
    except OSError:
        return None
    if (folder / "partition").exists():
        folder = folder.parent
    counters, size = text_of(folder / "stat").split(), text_of(folder / "size")
    if len(counters) < 7 or not size.isdecimal():
        return None
    card = text_of(folder / "device/type") or "SD" if folder.name.startswith("mmcblk") else ""
    written = int(counters[6]) * SECTOR_BYTES
    return Disk(folder.name, int(size) * SECTOR_BYTES, written, card, _worn(folder / "device/life_time"))


def _worn(path: Path) -> int | None:
    """Return the worse of the two figures an eMMC gives. Source: JEDEC eMMC 5.0, DEVICE_LIFE_TIME_EST_TYP_A and B."""
    words = text_of(path).split()
    figures = [int(word, 16) for word in words if re.fullmatch(r"0x[0-9a-fA-F]{1,2}", word)]
    known = [figure for figure in figures if 1 <= figure <= 11]
    return max(known, default=None)


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
