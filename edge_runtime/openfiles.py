"""Which files the programs of this system hold open, by the links in /proc.

Those of other users are hidden from everybody but root.
"""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")


def processes(proc: Path = PROC) -> list[Path]:
    """Return the folders of all processes, by their numbers; none where the kernel shows none."""
    try:
        found = [entry for entry in proc.iterdir() if entry.name.isdecimal()]
    except OSError:
        return []
    return sorted(found, key=lambda entry: int(entry.name))


def open_files(process: Path) -> set[str] | None:
    """Return what the open files of a process are called; None if we may not look. One that has ended holds nothing."""
    targets = set()
    try:
        with os.scandir(process / "fd") as entries:
            links = [entry.path for entry in entries]
    except PermissionError:
        return None
    except OSError:
        return set()
    for link in links:
        try:
            targets.add(os.readlink(link))  # noqa: PTH115 (thousands of them: no Path for each)
        except OSError:  # closed meanwhile
            continue
    return targets


def program_of(process: Path) -> str:
    """Return the name of its program, "" where that is not told."""
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
