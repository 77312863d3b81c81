"""Percentiles of stages in flat memory."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.telemetry.stages import (
    BUCKETS,
    LONGEST_NS,
    Histogram,
    Percentiles,
    Ring,
    StageTimes,
    bucket_of,
    middle_of,
    percentiles_of,
)


def test_percentiles_are_durations_that_occurred():
    """Nearest rank: of 100 durations the 95th is p95, nothing between two of them."""
    durations = np.random.default_rng(1).permutation(np.arange(1, 101)).astype(np.int64)
    assert percentiles_of(durations) == Percentiles(100, 50, 90, 95, 99, 100)


def test_one_duration_is_every_percentile():
    """The first frame of a run has a report, too."""
    assert percentiles_of(np.array([7], np.int64)) == Percentiles(1, 7, 7, 7, 7, 7)


def test_no_duration_has_no_percentile():
    """A zero would look like a very fast stage."""
    assert percentiles_of(np.empty(0, np.int64)) is None
    assert Histogram().percentiles() is None


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=300))
def test_a_percentile_covers_the_share_it_names(durations):
    """The definition, checked against counting."""
    found = percentiles_of(np.array(durations, np.int64))
    for share, value in ((0.5, found.p50), (0.9, found.p90), (0.95, found.p95), (0.99, found.p99)):
        assert sum(one <= value for one in durations) >= share * len(durations)
        assert sum(one < value for one in durations) < share * len(durations)


def test_a_ring_keeps_the_newest_and_its_memory():
    """It runs for months."""
    ring = Ring(4)
    memory = ring._values
    for value in range(10):
        ring.add(value)
    assert ring.period().tolist() == [6, 7, 8, 9]
    assert ring.last(2).tolist() == [8, 9]
    assert ring._values is memory
    assert memory.nbytes == 32


def test_a_period_sees_only_its_own_values():
    """A report over ten seconds must not hold the slow start of yesterday."""
    ring = Ring(4)
    ring.add(1)
    ring.begin_period()
    assert ring.period().tolist() == []
    ring.add(2)
    assert ring.period().tolist() == [2]
    assert ring.last(9).tolist() == [1, 2]


@given(st.integers(-5, LONGEST_NS * 2))
def test_the_middle_of_a_bucket_is_at_most_eight_tenths_of_a_percent_off(duration_ns):
    """The error that the documentation promises."""
    bucket = bucket_of(duration_ns)
    assert 0 <= bucket < BUCKETS
    true_ns = min(max(duration_ns, 0), LONGEST_NS)
    assert abs(middle_of(bucket) - true_ns) <= 0.008 * true_ns


def test_buckets_rise_with_the_duration_and_leave_no_gap():
    """An order that breaks anywhere breaks every percentile above it."""
    edges = [1 << power for power in range(8, 43)]
    around = sorted({edge + offset for edge in edges for offset in (-1, 0, 1)} | set(range(1000)))
    buckets = [bucket_of(duration_ns) for duration_ns in around]
    assert buckets == sorted(buckets)
    assert bucket_of(LONGEST_NS) == BUCKETS - 1
    assert [bucket_of(middle_of(bucket)) for bucket in range(BUCKETS)] == list(range(BUCKETS))


@given(st.lists(st.integers(0, 10**11), min_size=1, max_size=300))
def test_the_run_agrees_with_the_exact_percentiles(durations):
    """Within the error stated, for any set of durations."""
    histogram = Histogram()
    for duration_ns in durations:
        histogram.add(duration_ns)
    exact, close = percentiles_of(np.array(durations, np.int64)), histogram.percentiles()
    assert close.count == exact.count
    assert close.max == exact.max
    for name in ("p50", "p90", "p95", "p99"):
        assert getattr(close, name) == pytest.approx(getattr(exact, name), rel=0.008)


def test_a_histogram_of_a_year_takes_what_an_empty_one_takes():
    """Memory must not grow with the run."""
    histogram = Histogram()
    before = histogram._counts.nbytes
    histogram._counts[bucket_of(13_000_000)] = 30 * 86_400 * 365
    histogram.add(13_000_000)
    assert histogram._counts.nbytes == before < 20_000
    assert histogram.percentiles().count == 30 * 86_400 * 365 + 1


def test_stages_are_kept_apart_and_in_order():
    """The table lists them in the order a frame meets them."""
    times = StageTimes()
    times.record_all({"wait": 5, "invoke": 100})
    times.record("decode", 7)
    times.record("invoke", 300)
    assert times.stages == ("wait", "invoke", "decode")
    assert times.percentiles("invoke") == Percentiles(2, 100, 300, 300, 300, 300)
    assert times.percentiles("nothing") is None
    assert times.run_percentiles("nothing") is None


def test_a_new_period_forgets_and_the_run_does_not():
    """Two questions: how is it now, and how was it."""
    times = StageTimes()
    times.record("invoke", 100)
    assert times.end_period() == {"invoke": Percentiles(1, 100, 100, 100, 100, 100)}
    assert times.percentiles("invoke") is None
    times.record("invoke", 120)
    assert times.percentiles("invoke").count == 1
    assert times.run_percentiles("invoke") == Percentiles(2, 100, 120, 120, 120, 120)
    assert times.all_run_percentiles() == {"invoke": Percentiles(2, 100, 120, 120, 120, 120)}


def test_nothing_is_lost_when_threads_record_at_the_same_time():
    """Capture, inference and outputs all measure."""
    times = StageTimes()
    begun = threading.Barrier(4)

    def work():
        begun.wait()
        for _ in range(2000):
            times.record("invoke", 1)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert times.run_percentiles("invoke").count == 8000
    assert times.percentiles("invoke").count == 4096  # as many as a period keeps
