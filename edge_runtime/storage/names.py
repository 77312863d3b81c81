"""Names of rotated files and snapshots: which are ours, and how old each one is.

``found.jsonl`` becomes ``found.2026-11-21T060000Z.jsonl``, after the time of its last line, and when it is compressed
``found.2026-11-21T060000Z.jsonl.gz``. Where a file of that second or of a later one is there already, its name is
taken with a number: ``found.2026-11-21T060000Z_0001.jsonl``. So the order of the names is that of the writing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

DAY_S = 86_400
LATEST_S = 253_402_300_799  # the end of the year 9999
COMPRESSED = ".gz"
_ROTATED = "%Y-%m-%dT%H%M%SZ"
_SNAPSHOT = re.compile(r"(\d{8}T\d{6})\.\d{3}Z-\d{8,}(?:-\d+)?\.jpg", re.ASCII)

OrderOf = Callable[[str], tuple[int, int] | None]
"""Tells of a file's name the seconds since 1970 and a number among those of one second; None: it is none of ours."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that was written earlier and may be deleted."""

    order: tuple[int, int]  # seconds since 1970, and a number among those of one second
    path: Path
    size_bytes: int


def stamped(path: Path, seconds: int, number: int = 0) -> Path:
    """Return the name of a rotated file."""
    time = datetime.fromtimestamp(seconds, UTC).strftime(_ROTATED)
    counted = f"_{number:04d}" if number else ""
    return path.with_name(f"{path.stem}.{time}{counted}{path.suffix}")


def rotated_order(path: Path) -> OrderOf:
    """Return what tells the order of the rotated files of a log by their names."""
    stem, suffix = re.escape(path.stem), re.escape(path.suffix)
    ours = re.compile(rf"{stem}\.(\d{{4}}-\d\d-\d\dT\d{{6}}Z)(?:_(\d{{4,9}}))?{suffix}(?:\.gz)?", re.ASCII)

    def order_of(name: str) -> tuple[int, int] | None:
        found = ours.fullmatch(name)
        seconds = None if found is None else _seconds(found[1], _ROTATED)
        return None if found is None or seconds is None else (seconds, int(found[2] or 0))

    return order_of


def snapshot_order(name: str) -> tuple[int, int] | None:
    """Return when a snapshot was captured, by its name."""
    found = _SNAPSHOT.fullmatch(name)
    seconds = None if found is None else _seconds(f"{found[1]}Z", "%Y%m%dT%H%M%SZ")
    return None if seconds is None else (seconds, 0)


def next_name(path: Path, time_s: float) -> Path:
    """Return a name that no file has and that comes after those of the files before.

    Files from more than a day later are left out of that: the clock was wrong then, or is now.

    Args:
        path: of the log.
        time_s: of its last line, in seconds since 1970.
    """
    now = (int(min(max(time_s, 0), LATEST_S - DAY_S)), 0)
    order_of = rotated_order(path)
    orders = (order_of(entry.name) for entry in _entries(path.parent))
    last = max((one for one in orders if one is not None and one[0] <= now[0] + DAY_S), default=(-1, 0))
    return stamped(path, *now) if now > last else stamped(path, last[0], last[1] + 1)


def files_of(folder: Path, order_of: OrderOf) -> Iterator[Kept]:
    """Give our files in a folder, in no order; what vanishes meanwhile, or cannot be read, is left out."""
    for entry in _entries(folder):
        order = order_of(entry.name)
        if order is None:
            continue
        try:
            if entry.is_file(follow_symlinks=False):
                yield Kept(order, folder / entry.name, entry.stat(follow_symlinks=False).st_size)
        except OSError:
            continue


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Give what is in a folder one by one: a year of snapshots must not lie in memory."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:  # not there, or not to be read: nothing in it is ours to delete
        return


def _seconds(text: str, form: str) -> int | None:
    try:
        return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp())
    except ValueError:  # digits that are no time
        return None
