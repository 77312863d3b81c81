"""How long each stage took: exact percentiles of the last period, close ones of the whole run, in flat memory."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KEPT = 4096
"""Durations kept of a period: at 30 frames a second more than two minutes."""
SHARES = (0.5, 0.9, 0.95, 0.99)
STEPS = 64
"""Buckets for each doubling of a duration."""
LONGEST_NS = 2**43 - 1
"""Two hours and a half; a longer duration counts as this long in the percentiles."""
BUCKETS = (LONGEST_NS.bit_length() - 7) * STEPS + 2 * STEPS


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Durations in nanoseconds: p90 is the smallest one that at least 90 % do not exceed."""

    count: int  # durations these were taken from
    p50: int
    p90: int
    p95: int
    p99: int
    max: int


def percentiles_of(durations_ns: NDArray[np.int64]) -> Percentiles | None:
    """Return the exact percentiles by nearest rank, each a duration that occurred; None of no durations."""
    count = len(durations_ns)
    if not count:
        return None
    ordered = np.sort(durations_ns)
    p50, p90, p95, p99 = (int(ordered[math.ceil(share * count) - 1]) for share in SHARES)
    return Percentiles(count, p50, p90, p95, p99, int(ordered[-1]))


class Ring:
    """The last durations, in memory taken once."""

    def __init__(self, capacity: int = KEPT) -> None:
        self._values = np.zeros(capacity, np.int64)
        self._capacity = capacity
        self._added = 0  # since the ring was made
        self._period_began = 0

    def add(self, value: int) -> None:
        """Put a value in the place of the oldest."""
        self._values[self._added % self._capacity] = value
        self._added += 1

    def begin_period(self) -> None:
        """Leave what is there out of `period`; `last` still sees it."""
        self._period_began = self._added

    def period(self) -> NDArray[np.int64]:
        """Return (n,) the values of this period, oldest first, or the newest of them if they are too many."""
        return self.last(self._added - self._period_began)

    def last(self, count: int) -> NDArray[np.int64]:
        """Return (n,) a copy of up to `count` values that came last, oldest first."""
        count = min(count, self._added, self._capacity)
        return self._values[np.arange(self._added - count, self._added) % self._capacity]


class Histogram:
    """Counts of durations in buckets that widen with the duration, for runs of any length.

    A bucket is at most 1/64 of its duration wide and answers with its middle, so a percentile is at most 0.8 % off;
    below 128 ns, and for the largest, it is exact.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(BUCKETS, np.int64)
        self._largest = 0

    def add(self, duration_ns: int) -> None:
        """Count a duration; a negative one, of a clock that is not monotonic, counts as none."""
        self._counts[bucket_of(duration_ns)] += 1
        if duration_ns > self._largest:
            self._largest = duration_ns

    def percentiles(self) -> Percentiles | None:
        """Return the percentiles of everything counted; None if there is nothing."""
        totals = self._counts.cumsum()
        count = int(totals[-1])
        if not count:
            return None
        buckets = np.searchsorted(totals, [math.ceil(share * count) for share in SHARES])
        p50, p90, p95, p99 = (min(middle_of(int(bucket)), self._largest) for bucket in buckets)
        return Percentiles(count, p50, p90, p95, p99, self._largest)


def bucket_of(duration_ns: int) -> int:
    """Return the number of the bucket: below 128 ns the duration itself, then 64 for each doubling.

    Source: the layout of HdrHistogram, in whole numbers only: the seven leading bits and how many follow them.
    """
    duration_ns = min(max(duration_ns, 0), LONGEST_NS)
    following = max(0, duration_ns.bit_length() - 7)
    return following * STEPS + (duration_ns >> following)


def middle_of(bucket: int) -> int:
    """Return the duration in the middle of a bucket, in nanoseconds."""
    following = max(0, bucket // STEPS - 1)
    leading = bucket - following * STEPS
    return (leading << following) + (1 << following) // 2


class StageTimes:
    """The durations of each stage, by name; from any thread."""

    def __init__(self, capacity: int = KEPT) -> None:
        self._capacity = capacity
        self._rings: dict[str, Ring] = {}
        self._histograms: dict[str, Histogram] = {}
        self._lock = threading.Lock()

    @property
    def stages(self) -> tuple[str, ...]:
        """The names, in the order they were first recorded."""
        with self._lock:
            return tuple(self._rings)

    def record(self, stage: str, duration_ns: int) -> None:
        """Add one duration."""
        self.record_all({stage: duration_ns})

    def record_all(self, durations_ns: Mapping[str, int]) -> None:
        """Add the durations of one frame."""
        with self._lock:
            for stage, duration_ns in durations_ns.items():
                if stage not in self._rings:
                    self._rings[stage] = Ring(self._capacity)
                    self._histograms[stage] = Histogram()
                self._rings[stage].add(duration_ns)
                self._histograms[stage].add(duration_ns)

    def percentiles(self, stage: str) -> Percentiles | None:
        """Return those of this period; None if the stage has not been in it."""
        with self._lock:
            durations_ns = self._rings[stage].period() if stage in self._rings else np.empty(0, np.int64)
        return percentiles_of(durations_ns)

    def run_percentiles(self, stage: str) -> Percentiles | None:
        """Return those of the whole run, at most 0.8 % off; None if the stage has never been."""
        with self._lock:
            return self._histograms[stage].percentiles() if stage in self._histograms else None

    def all_run_percentiles(self) -> dict[str, Percentiles | None]:
        """Return `run_percentiles` of every stage."""
        return {stage: self.run_percentiles(stage) for stage in self.stages}

    def end_period(self) -> dict[str, Percentiles | None]:
        """Return `percentiles` of every stage and start a new period; no duration falls between the two."""
        with self._lock:
            durations_ns = {stage: ring.period() for stage, ring in self._rings.items()}
            for ring in self._rings.values():
                ring.begin_period()
        return {stage: percentiles_of(those) for stage, those in durations_ns.items()}
