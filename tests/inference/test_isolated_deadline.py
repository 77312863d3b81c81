"""How long an invoke may take."""

from __future__ import annotations

import pytest

from edge_runtime.inference.isolated_deadline import LONGEST_S, SHORTEST_S, WARMUP_S, Deadline


def test_before_anything_is_known_it_is_generous() -> None:
    """A first invoke compiles shaders or uploads a model."""
    deadline = Deadline()
    assert (deadline.is_known, deadline.limit_s) == (False, WARMUP_S)


@pytest.mark.parametrize(
    ("times_s", "limit_s"),
    [
        ([0.001, 0.001, 0.001], SHORTEST_S),
        ([0.1, 0.2, 0.9], 2.0),
        ([2.0, 2.0], LONGEST_S),
        ([5.0], 15.0),
    ],
)
def test_it_is_ten_times_the_typical_invoke_within_bounds(times_s: list[float], limit_s: float) -> None:
    """Not so short that a busy board counts as a hang, not so long that a hang goes unnoticed."""
    deadline = Deadline()
    deadline.learn(times_s)
    assert deadline.limit_s == pytest.approx(limit_s)


def test_a_limit_that_was_missed_is_doubled_up_to_the_longest() -> None:
    """Frames may take longer than the zeros it was learned from; that heals instead of killing child after child."""
    deadline = Deadline()
    deadline.learn([0.1])
    limits = []
    for _ in range(5):
        deadline.relax()
        limits.append(deadline.limit_s)
    assert limits == [2, 4, 8, LONGEST_S, LONGEST_S]


def test_a_limit_that_was_set_stays() -> None:
    deadline = Deadline(0.3)
    deadline.relax()
    assert (deadline.is_known, deadline.limit_s) == (True, 0.3)
