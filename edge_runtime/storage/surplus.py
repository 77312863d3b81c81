"""Which files go when a budget is full."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edge_runtime.storage.limits import Limits
from edge_runtime.storage.names import DAY_S, Kept

MOST_AT_ONCE = 2_000
"""Files looked at in one go: a folder with a year of snapshots must not lie in memory."""
SPARE = 0.05
"""Share of the budget that is made free beyond what is needed, so that not each new file has the folders read."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What is kept in all folders together."""

    oldest: tuple[Kept, ...]  # oldest first, at most MOST_AT_ONCE
    size_bytes: int  # of all files, not only of these
    dates: frozenset[int]  # days since 1970 from which there are files


def take_stock(files: Iterable[Kept], now_s: float) -> Stock:
    """Return what is kept.

    Files from more than a day later than now come first: whichever clock was wrong, they were written before it was
    set.
    """
    size_bytes = 0
    dates: set[int] = set()

    def counted() -> Iterator[Kept]:
        nonlocal size_bytes
        for file in files:
            size_bytes += file.size_bytes
            dates.add(file.order[0] // DAY_S)
            yield file

    oldest = heapq.nsmallest(
        MOST_AT_ONCE, counted(), key=lambda one: (one.order[0] <= now_s + DAY_S, one.order, one.path)
    )
    return Stock(tuple(oldest), size_bytes, frozenset(dates))


def surplus(stock: Stock, limits: Limits, *, live_bytes: int, missing_bytes: int, now_s: float) -> Iterator[Kept]:
    """Give the files to delete, oldest first.

    A file is too old when its day is past the limit and so many newer days have been recorded: a clock that is years
    ahead must not delete everything.

    Args:
        stock: what is kept.
        limits: the budget.
        live_bytes: size of the files that are being written, which stay.
        missing_bytes: what the disk lacks to the room that is to be free.
        now_s: seconds since 1970.
    """
    total_bytes, freed_bytes = stock.size_bytes + live_bytes, 0
    goal_bytes = total_bytes
    if limits.max_bytes is not None and total_bytes > limits.max_bytes:
        goal_bytes = int(limits.max_bytes * (1 - SPARE))
    spared = _spared_dates(stock, limits)
    for file in stock.oldest:
        date = file.order[0] // DAY_S
        is_old = limits.keep_days is not None and now_s // DAY_S - date > limits.keep_days and date not in spared
        if is_old or total_bytes > goal_bytes or freed_bytes < missing_bytes:
            total_bytes -= file.size_bytes
            freed_bytes += file.size_bytes
            yield file


def _spared_dates(stock: Stock, limits: Limits) -> set[int]:
    return set() if limits.keep_days is None else set(sorted(stock.dates)[-limits.keep_days :])
