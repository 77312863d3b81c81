"""The choice of a thread count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_runtime.inference import TensorSpec
from edge_runtime.inference.engine import Engine
from edge_runtime.inference.fake import FakeBackend
from edge_runtime.inference.threads import available_cores, choose_threads, pick, thread_choices

ENGINE = Engine("litert", "2.3.0", FakeBackend, FakeBackend)
SPEC = TensorSpec("x", (1, 2), np.dtype("uint8"))


@pytest.mark.parametrize(
    ("medians", "chosen"),
    [
        ({1: 100.0, 2: 50.0, 4: 25.0}, 4),
        ({1: 100.0, 2: 95.0}, 1),
        ({1: 100.0, 2: 60.0, 4: 58.0}, 2),
        ({1: 40.0, 2: 43.0}, 1),
        ({1: 100.0, 2: 99.0, 4: 50.0}, 4),
        ({1: 7.0}, 1),
    ],
)
def test_more_threads_must_be_worth_their_cores(medians: dict[int, float], chosen: int) -> None:
    """Capture and outputs need cores too: a gain of two percent is none."""
    assert pick(medians) == chosen


@pytest.mark.parametrize(("cores", "counts"), [(1, [1]), (2, [1, 2]), (4, [1, 2, 4]), (6, [1, 2, 4, 6])])
def test_the_counts_tried_are_powers_of_two_and_all_cores(cores: int, counts: list[int]) -> None:
    assert thread_choices(cores) == counts


@pytest.mark.skipif(available_cores() == 1, reason="one core: there is no choice to measure")
def test_a_measurement_is_made_once_for_a_model_and_remembered(tmp_path: Path) -> None:
    """The second start pays nothing, and another model is measured anew."""
    model = tmp_path / "m.tflite"
    model.write_bytes(b"one")
    opened: list[int] = []

    def reopen(count: int) -> FakeBackend:
        opened.append(count)
        return FakeBackend([SPEC], [SPEC], lambda inputs: inputs)

    first = choose_threads(model, ENGINE, reopen, tmp_path / "cache")
    assert opened == thread_choices(available_cores())
    assert choose_threads(model, ENGINE, reopen, tmp_path / "cache") == first
    assert len(opened) == len(thread_choices(available_cores()))
    model.write_bytes(b"another")
    choose_threads(model, ENGINE, reopen, tmp_path / "cache")
    assert len(opened) == 2 * len(thread_choices(available_cores()))
