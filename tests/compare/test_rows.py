"""The table as data: ratios, drops, and JSON that can be read back."""

from __future__ import annotations

import json

import pytest

from edge_runtime.compare.rows import as_record, counted, ratios, row_from_record, with_drops
from tests.compare.made import row, three_variants


def test_ratios_above_one_are_smaller_and_faster() -> None:
    found = ratios(row("int8", size_bytes=100_000, zstd_bytes=150_000, p50_ms={1: 5.0, 2: 12.0}), row("parent"))
    assert (found.size, found.zstd, found.speed) == (4, 2, {1: 2, 2: 0.5})


def test_what_is_missing_on_either_side_has_no_ratio() -> None:
    found = ratios(row("torn", p50_ms={}, zstd_bytes=None), row("parent"))
    assert (found.zstd, found.speed) == (None, {})


def test_a_ratio_is_noise_where_the_rounds_overlap_or_it_is_next_to_nothing() -> None:
    """A table that says "1.30x" of two models between which only other programs differed sells luck."""
    parent = row("parent", low_ms={1: 9.0}, high_ms={1: 12.0}, p50_ms={1: 10.0, 2: 6.0})
    apart = row("a", low_ms={1: 4.0}, high_ms={1: 8.9}, p50_ms={1: 5.0, 2: 3.0})
    overlapping = row("b", low_ms={1: 4.0}, high_ms={1: 9.0}, p50_ms={1: 5.0, 2: 5.8})
    slower = row("c", low_ms={1: 12.0}, high_ms={1: 40.0}, p50_ms={1: 20.0, 2: 6.2})
    assert ratios(apart, parent).is_noise == {1: False, 2: False}
    assert ratios(overlapping, parent).is_noise == {1: True, 2: True}
    assert ratios(slower, parent).is_noise == {1: True, 2: True}


@pytest.mark.parametrize(("count", "said"), [(0, "0 pictures"), (1, "1 picture"), (2, "2 pictures")])
def test_one_thing_is_no_plural(count: int, said: str) -> None:
    assert counted(count, "picture") == said


def test_drops_are_against_the_first_row_and_may_be_gains() -> None:
    rows = with_drops([row("parent", map=0.7), row("a", map=0.65), row("b", map=0.72), row("c", map=None)])
    assert [one.drop for one in rows] == [0, pytest.approx(0.05), pytest.approx(-0.02), None]
    assert all(one.drop is None for one in with_drops([row("parent", map=None), row("a")]))


def test_a_record_is_json_and_its_rows_can_be_read_back() -> None:
    comparison = three_variants()
    record = json.loads(json.dumps(as_record(comparison), allow_nan=False))
    assert record["schema"] == 1
    assert record["rows"][1]["ratio_to_parent"]["zstd"] == 3
    assert [row_from_record(one) for one in record["rows"]] == list(comparison.rows)


def test_a_record_of_something_else_is_refused() -> None:
    with pytest.raises(KeyError):
        row_from_record({"name": "x"})
