"""How long an invoke in a child may take before the child counts as hung."""

from __future__ import annotations

from statistics import median

WARMUP_S = 30.0
"""Until something is known: the first invoke compiles, uploads and fills caches."""
SLACK = 10.0
SHORTEST_S, LONGEST_S = 0.5, 10.0
SHORTEST_REMOTE_S = 3.0
"""A backend that waits for a server gives up by itself sooner than this, and says why."""
SLACK_OF_SLOW = 3.0
"""For a model so slow that the longest limit would leave it no room."""


class Deadline:
    """The limit of one invoke: learned from the first ones, or as it was set."""

    def __init__(self, fixed_s: float | None = None, *, shortest_s: float = SHORTEST_S) -> None:
        self._fixed_s = fixed_s
        self._shortest_s = shortest_s
        self._limit_s: float | None = None

    @property
    def is_known(self) -> bool:
        return self._fixed_s is not None or self._limit_s is not None

    @property
    def limit_s(self) -> float:
        return self._fixed_s or self._limit_s or WARMUP_S

    def learn(self, times_s: list[float]) -> None:
        """Take the times of some invokes that were no first ones."""
        typical_s = median(times_s)
        longest_s = max(LONGEST_S, SLACK_OF_SLOW * typical_s)
        self._limit_s = min(max(SLACK * typical_s, self._shortest_s), longest_s)

    def relax(self) -> None:
        """Double the limit after an invoke that did not keep it: on a busy board it may have been too short."""
        if self._limit_s is not None:
            self._limit_s = max(self._limit_s, min(2 * self._limit_s, LONGEST_S))
