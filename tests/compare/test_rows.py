"""The table as data: ratios, drops, and JSON that can be read back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from statistics import median

import pytest

from edge_runtime.compare.rows import Row, as_record, counted, is_unsteady, ratios, row_from_record, with_drops
from tests.compare.made import row, three_variants


def test_ratios_above_one_are_smaller_and_faster() -> None:
    found = ratios(row("int8", size_bytes=100_000, zstd_bytes=150_000, p50_ms={1: 5.0, 2: 12.0}), row("parent"))
    assert (found.size, found.zstd, found.speed) == (4, 2, {1: 2, 2: 0.5})


def test_what_is_missing_on_either_side_has_no_ratio() -> None:
    found = ratios(row("torn", p50_ms={}, zstd_bytes=None), row("parent"))
    assert (found.zstd, found.speed) == (None, {})


def timed(*rounds_ms: float) -> Row:
    """Return a row with these rounds of one thread."""
    return row("x", p50_ms={1: median(rounds_ms)}, rounds_ms={1: rounds_ms})


STEADY = (10.0, 10.5, 11.0, 10.0, 10.2)
RISING = (10.0, 10.5, 11.0, 11.5, 12.0)


@pytest.mark.parametrize(
    ("parent", "rounds_ms", "is_noise"),
    [
        (STEADY, (5.0, 5.1, 5.2, 5.0, 5.3), False),
        (STEADY, (20.0, 21.0, 20.5, 20.0, 20.3), False),
        (STEADY, (9.6, 10.2, 10.6, 9.7, 9.8), True),  # faster in each round, by next to nothing
        (STEADY, (9.0, 9.1, 9.2, 9.3, 10.3), True),  # slower in one
        (RISING, (9.2, 9.7, 10.1, 10.6, 11.1), False),  # the same heat for both, round by round 8 % apart
        (STEADY, (5.0, 5.1, 5.2, 5.0, 6.3), True),  # twice as fast, and unsteady
        ((10.0, 10.0, 10.0, 10.0, 12.6), (5.0, 5.0, 5.0, 5.0, 5.0), True),  # the parent is
    ],
)
def test_a_ratio_is_noise_unless_every_round_says_the_same_of_two_steady_models(
    parent: Sequence[float], rounds_ms: Sequence[float], is_noise: bool
) -> None:
    """A table that says "1.30x" of two models between which only other programs differed sells luck."""
    assert ratios(timed(*rounds_ms), timed(*parent)).is_noise == {1: is_noise}


@pytest.mark.parametrize("rounds_ms", [(2.38, 2.36, 10.5, 5.3, 2.35), (2.3, 5.8, 6.4, 9.8, 15.3)])
def test_no_speed_on_a_loaded_board_is_without_a_mark(rounds_ms: Sequence[float]) -> None:
    """Rounds as a machine with other work on it gave them, without the extremes far apart."""
    parent = timed(2.25, 2.08, 2.17, 2.29, 7.24)
    assert is_unsteady(timed(*rounds_ms), 1)
    assert ratios(timed(*rounds_ms), parent).is_noise == {1: True}


def test_speeds_are_of_one_round_and_its_parent() -> None:
    """What slows a round slows both; medians of all would set the parent's best against another's worst."""
    found = ratios(timed(5.0, 10.0, 20.0), timed(10.0, 20.0, 40.0))
    assert found.speed == {1: 2.0}
    assert ratios(timed(5.0, 20.0, 10.0), timed(10.0, 30.0, 50.0)).speed == {1: 2.0}


def test_where_rounds_are_not_known_the_spread_alone_says_what_is_unsteady() -> None:
    assert [is_unsteady(row("x", spread=spread), 1) for spread in (None, 1.25, 1.26)] == [False, False, True]


@pytest.mark.parametrize(("count", "said"), [(0, "0 pictures"), (1, "1 picture"), (2, "2 pictures")])
def test_one_thing_is_no_plural(count: int, said: str) -> None:
    assert counted(count, "picture") == said


def test_drops_are_against_the_first_row_and_may_be_gains() -> None:
    rows = with_drops([row("parent", map=0.7), row("a", map=0.65), row("b", map=0.72), row("c", map=None)])
    assert [one.drop for one in rows] == [0, pytest.approx(0.05), pytest.approx(-0.02), None]
    assert all(one.drop is None for one in with_drops([row("parent", map=None), row("a")]))


def test_a_record_is_json_and_its_rows_can_be_read_back() -> None:
    made = three_variants()
    comparison = dataclasses.replace(made, rows=[*made.rows, timed(5.0, 5.5)])
    record = json.loads(json.dumps(as_record(comparison), allow_nan=False))
    assert record["schema"] == 1
    assert record["rows"][1]["ratio_to_parent"]["zstd"] == 3
    assert [row_from_record(one) for one in record["rows"]] == list(comparison.rows)


def test_a_record_of_something_else_is_refused() -> None:
    with pytest.raises(KeyError):
        row_from_record({"name": "x"})
