"""An output that cannot write for a while: tried again with patience, what it loses is counted, both are told."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from edge_runtime.clock import NS_PER_S, now_ns
from edge_runtime.errors import OutputError
from edge_runtime.result import StateChange

log = logging.getLogger(__name__)

RETRY_DELAYS_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Waits between tries; the last one repeats."""

Tell = Callable[[StateChange], None]


class Recovery:
    """The state of one output. Until `watch` is called a failure is raised, as a file job wants it.

    Args:
        part: "output:jsonl", as in the records of states.
        clock: monotonic nanoseconds.
        wall_clock: seconds since 1970.
    """

    def __init__(
        self, part: str, *, clock: Callable[[], int] = now_ns, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self.part = part
        self.lost = 0  # results in all
        self._clock = clock
        self._wall_clock = wall_clock
        self._tell: Tell | None = None
        self._failures = 0  # one after the other
        self._lost_now = 0
        self._since_ns = self._retry_ns = 0

    def watch(self, tell: Tell) -> None:
        """From now on go on after failures; `tell` takes the changes of state."""
        self._tell = tell

    @property
    def is_failing(self) -> bool:
        """True while nothing can be written."""
        return self._failures > 0

    @property
    def is_due(self) -> bool:
        """True where writing makes sense: it works, or it is time to try again."""
        return not self._failures or self._clock() >= self._retry_ns

    def fail(self, error: OutputError) -> None:
        """Take note of a failure; the first one is told.

        Raises:
            OutputError: the error, where nobody watches.
        """
        if self._tell is None:
            raise error
        now = self._clock()
        delay_s = RETRY_DELAYS_S[min(self._failures, len(RETRY_DELAYS_S) - 1)]
        self._failures += 1
        self._retry_ns = now + int(delay_s * NS_PER_S)
        if self._failures == 1:
            self._since_ns, self._lost_now = now, 0
            self._change("ok", "failed", str(error))

    def lose(self, count: int = 1) -> None:
        """Count results that were not written."""
        self.lost += count
        self._lost_now += count

    def succeed(self) -> None:
        """Take note that something was written; the end of a failure is told."""
        if self._failures:
            self._failures = 0
            after_s = (self._clock() - self._since_ns) / NS_PER_S
            self._change("failed", "ok", f"writing again after {after_s:.1f} s, {self._lost_now} results lost")

    def _change(self, before: str, after: str, reason: str) -> None:
        level = logging.ERROR if after == "failed" else logging.WARNING
        log.log(level, "output state part=%s from=%s to=%s reason=%s", self.part, before, after, reason)
        if self._tell is not None:
            self._tell(StateChange(self.part, before, after, reason, self._wall_clock()))
