"""Rounds in turn, medians over them, and nothing measured twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_runtime.compare import measure
from edge_runtime.compare.measure import Bench, measure_errors, measure_sizes, measure_times, together
from edge_runtime.compare.variants import Variant
from edge_runtime.errors import BackendError, ModelError
from tests.compare.made import Memory


def variant(name: str) -> Variant:
    return Variant(name, Path(f"{name}.tflite"), f"sha-{name}", 100)


def bench(state: Memory | None = None, said: list[tuple[str, int, int]] | None = None, **fields: Any) -> Bench:
    told = [] if said is None else said
    plain: dict[str, Any] = {"engine": "litert", "engine_version": "2.3.0", "board": "Test board", "cpu": "4 cores"}
    return Bench(state=state or Memory(), tick=lambda *step: told.append(step), **{**plain, **fields})


def times(median_ms: float, rss_bytes: int | None = 50) -> dict[str, Any]:
    return {"times": {"1": {"median_ms": median_ms, "p90_ms": median_ms + 1}}, "rss_bytes": rss_bytes, "backend": "cpu"}


class Children:
    """Answers in the place of child processes, and remembers who was asked."""

    def __init__(self, failing: dict[str, Exception] | None = None) -> None:
        self.asked: list[str] = []
        self.failing = failing or {}

    def ask(self, task: str, model: Path, **_: object) -> dict[str, Any]:
        self.asked.append(model.stem)
        if model.stem in self.failing:
            raise self.failing[model.stem]
        return times(float(len(self.asked)))


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Children:
    made = Children()
    monkeypatch.setattr(measure, "ask", made.ask)
    return made


def test_variants_are_measured_in_turn(children: Children) -> None:
    """A board that grows hot slows all of them, not the last alone."""
    measure_times(bench(), [variant("a"), variant("b")], threads=[1], num_runs=15)
    assert children.asked == ["a", "b"] * measure.ROUNDS


def test_a_broken_run_goes_on_with_what_is_missing(children: Children) -> None:
    state, both = Memory(), [variant("a"), variant("b")]
    measure_times(bench(state), both, threads=[1], num_runs=15)
    key = bench().key("times", both[1], "threads", 1, "runs", 15)
    del state.entries[key]["3"]
    children.asked.clear()
    measure_times(bench(state), both, threads=[1], num_runs=15)
    assert children.asked == ["b"]


def test_another_board_engine_file_or_number_is_measured_anew(children: Children) -> None:
    state = Memory()
    measure_times(bench(state), [variant("a")], threads=[1], num_runs=5)
    children.asked.clear()
    measure_times(bench(state), [variant("a")], threads=[1], num_runs=6)
    for other in ({"engine_version": "9.9"}, {"board": "Other"}, {"cpu": "2 cores"}):
        measure_times(bench(state, **other), [variant("a")], threads=[1], num_runs=5)
    measure_times(bench(state), [Variant("a", Path("a.tflite"), "changed", 1)], threads=[1], num_runs=5)
    assert len(children.asked) == 5 * 5


@pytest.mark.parametrize("error", [ModelError("crashes the engine"), BackendError("no device")])
def test_one_that_fails_is_asked_once_and_the_rest_goes_on(children: Children, error: Exception) -> None:
    children.failing["b"] = error
    state = Memory()
    found = measure_times(bench(state), [variant("a"), variant("b")], threads=[1], num_runs=15)
    assert found["b"] == str(error)
    assert not isinstance(found["a"], str)
    assert children.asked.count("b") == 1
    assert not any("sha-b" in key for key in state.entries), "a failure may be passing, so it is not kept"


def test_medians_over_rounds_hide_one_disturbed_round() -> None:
    found = together({"0": times(10), "1": times(11), "2": times(500, None)})
    assert found["p50_ms"] == {1: 11}
    assert found["p90_ms"] == {1: 12}
    assert found["spread"] == 50
    assert found["rss_bytes"] == 50
    assert together({"0": times(1, None)})["rss_bytes"] is None


def test_all_rounds_are_kept_in_their_order_even_where_a_gap_was_filled_later() -> None:
    """They are held against the parent's round by round, the disturbed ones too."""
    found = together({"0": times(10), "2": times(90), "10": times(12), "1": times(11)})
    assert found["rounds_ms"] == {1: (10, 11, 90, 12)}


def test_packing_is_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Level 19 takes seconds a megabyte on a small board."""
    packed: list[Path] = []
    monkeypatch.setattr(measure, "compressed_bytes", lambda path: packed.append(path) or 42)
    state = Memory()
    assert [measure_sizes(bench(state), variant("a")) for _ in range(3)] == [42, 42, 42]
    assert len(packed) == 1


def test_progress_names_round_and_variant(children: Children) -> None:
    """And how far it is: a comparison takes minutes, on a board a quarter of an hour."""
    said: list[tuple[str, int, int]] = []
    measure_times(bench(said=said), [variant("a"), variant("b")], threads=[1], num_runs=2)
    assert said == [
        ("times, round 1 of 2: a", 0, 4),
        ("times, round 1 of 2: b", 1, 4),
        ("times, round 2 of 2: a", 2, 4),
        ("times, round 2 of 2: b", 3, 4),
    ]


def test_errors_of_outputs_are_kept_and_failures_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from edge_runtime.compare import output_error

    asked: list[str] = []

    def answers(model: Path, **_: object) -> list[Any]:
        asked.append(model.stem)
        if model.stem == "torn":
            raise ModelError("is torn")
        return [np.full(4, 1.0 if model.stem == "parent" else 1.1)]

    monkeypatch.setattr(output_error, "answers", answers)
    state, all_three = Memory(), [variant("parent"), variant("int8"), variant("torn")]
    found = measure_errors(bench(state), all_three)
    assert found["int8"] == pytest.approx(0.1)
    assert found["torn"] == "is torn"
    assert asked == ["parent", "int8", "torn"]
    assert measure_errors(bench(state), all_three[:2]) == {"int8": found["int8"]}
    assert asked == ["parent", "int8", "torn"], "nothing is asked that is known"
