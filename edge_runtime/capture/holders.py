"""Which programs have a device open, as far as this user may see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_runtime.openfiles import PROC, open_files, processes, program_of

MOST_NAMED = 4


def holders(is_meant: Callable[[str], bool], proc: Path = PROC) -> str:
    """Return the programs in words, as in "ffmpeg (process 812)"; empty where none is seen.

    Args:
        is_meant: whether the path of an open file is the one asked about.
        proc: where the kernel shows processes.
    """
    found = [_described(process, proc) for process in processes(proc) if any(map(is_meant, open_files(process) or ()))]
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return ", ".join(found[:MOST_NAMED]) + more


def _described(process: Path, proc: Path) -> str:
    if (proc / "self").resolve().name == process.name:
        return "this program itself, in a call that has not come back"
    return f"{program_of(process) or 'a program'} (process {process.name})"
