"""An output that cannot write for a while."""

from __future__ import annotations

import pytest

from edge_runtime.errors import OutputError
from edge_runtime.storage.recovery import RETRY_DELAYS_S, Recovery

FULL = OutputError("found.jsonl: cannot be written (No space left on device)")


@pytest.fixture
def told():
    return []


@pytest.fixture
def recovery(clock, told):
    one = Recovery("output:jsonl", clock=clock.now_ns, wall_clock=clock.wall)
    one.watch(told.append)
    return one


def test_where_nobody_watches_a_failure_is_raised(clock):
    """A job over a file is to end, not to run for hours without a result."""
    with pytest.raises(OutputError, match="No space left"):
        Recovery("output:jsonl").fail(FULL)


def test_a_failure_and_its_end_are_each_told_once(recovery, told, clock):
    """Not with each of a thousand frames."""
    for _ in range(3):
        recovery.fail(FULL)
        recovery.lose(4)
        clock.pass_s(60)
    recovery.succeed()
    recovery.succeed()
    assert [(one.part, one.before, one.after) for one in told] == [
        ("output:jsonl", "ok", "failed"),
        ("output:jsonl", "failed", "ok"),
    ]
    assert told[0].reason == str(FULL)
    assert told[1].reason == "writing again after 180.0 s, 12 results lost"
    assert told[1].wall_time == clock.wall_s


def test_it_is_tried_again_ever_more_slowly(recovery, clock):
    """A disk that is full is not asked thirty times a second."""
    waits = []
    for _ in range(len(RETRY_DELAYS_S) + 2):
        recovery.fail(FULL)
        assert not recovery.is_due
        waited = 0
        while not recovery.is_due:
            clock.pass_s(0.5)
            waited += 0.5
        waits.append(waited)
    assert waits == [*RETRY_DELAYS_S, RETRY_DELAYS_S[-1], RETRY_DELAYS_S[-1]]


def test_what_a_later_outage_loses_is_counted_for_itself(recovery, told, clock):
    """The whole is the end's, the outage's own is the event's."""
    for count in (5, 2):
        recovery.fail(FULL)
        recovery.lose(count)
        clock.pass_s(1)
        recovery.succeed()
    assert told[-1].reason.endswith("2 results lost")
    assert recovery.lost == 7
