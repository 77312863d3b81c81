"""The UTC day, on a board whose clock may jump."""

from __future__ import annotations

import time
from collections.abc import Callable

from edge_runtime.clock import NS_PER_S, now_ns
from edge_runtime.storage.names import DAY_S

SHORTEST_DAY_NS = 3600 * NS_PER_S


class Calendar:
    """Counts the days of a run from 0.

    A new day begins when the date is another one, whether it is later or earlier: a board without a clock of its own
    starts in the past and is set right by the network. But the first, a day lasts at least an hour, so that a clock
    that jumps to and fro gives neither a new file nor a new budget each time.

    Args:
        wall_clock: seconds since 1970.
        clock: monotonic nanoseconds.
    """

    def __init__(self, *, wall_clock: Callable[[], float] = time.time, clock: Callable[[], int] = now_ns) -> None:
        self._wall_clock = wall_clock
        self._clock = clock
        self._date = self.date()
        self._began_ns = clock()
        self._day = 0

    def date(self, time_s: float | None = None) -> int:
        """Return the days from 1970 to a time, or to now."""
        return int((self._wall_clock() if time_s is None else time_s) // DAY_S)

    def day(self) -> int:
        """Return the number of the day that it is now; 0 is the one on which the run began."""
        date = self.date()
        if date != self._date and (not self._day or self._clock() - self._began_ns >= SHORTEST_DAY_NS):
            self._date, self._began_ns, self._day = date, self._clock(), self._day + 1
        return self._day
