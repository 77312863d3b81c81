"""Which programs have a device open, as far as this user may see."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

PROC = Path("/proc")
MOST_NAMED = 4


def holders(is_meant: Callable[[str], bool], proc: Path = PROC) -> str:
    """Return the programs in words, as in "ffmpeg (process 812)"; empty where none is seen.

    Those of other users are hidden from everybody but root.

    Args:
        is_meant: whether the path of an open file is the one asked about.
        proc: where the kernel shows processes.
    """
    found = [_described(process, proc) for process in _processes(proc) if _has_open(process, is_meant)]
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return ", ".join(found[:MOST_NAMED]) + more


def _processes(proc: Path) -> list[Path]:
    try:
        found = [entry for entry in proc.iterdir() if entry.name.isdecimal()]
    except OSError:
        return []
    return sorted(found, key=lambda entry: int(entry.name))


def _has_open(process: Path, is_meant: Callable[[str], bool]) -> bool:
    return any(is_meant(target) for target in _open_files(process))


def _open_files(process: Path) -> Iterator[str]:
    try:
        with os.scandir(process / "fd") as entries:
            paths = [entry.path for entry in entries]
    except OSError:  # another user's, or it has ended
        return
    for path in paths:
        try:
            yield os.readlink(path)  # noqa: PTH115 (thousands of them: no Path for each)
        except OSError:  # closed meanwhile
            continue


def _described(process: Path, proc: Path) -> str:
    try:
        if (proc / "self").resolve().name == process.name:
            return "this program itself, in a call that has not come back"
        name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        name = "a program"
    return f"{name} (process {process.name})"
