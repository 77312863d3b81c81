"""CenterNet heads: peaks of a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from edge_runtime.decoding import Heads
from edge_runtime.decoding.centernet import are_peaks, decode, decode_planes
from edge_runtime.errors import ModelError
from edge_runtime.inference import Quantization

MODEL_WH = (32, 24)
HEIGHT, WIDTH = 6, 8
ROLES = {"sizes": 0, "offsets": 1, "scores": 2}


@dataclass
class Spec:
    quantization: Quantization | None = None


FLOATS = [Spec()] * 3


def maps(background: float = 0.0) -> list[np.ndarray]:
    sizes, offsets = (np.zeros((1, HEIGHT, WIDTH, 2), np.float32) for _ in range(2))
    return [sizes, offsets, np.full((1, HEIGHT, WIDTH, 3), background, np.float32)]


def put(
    outputs: list[np.ndarray], y: int, x: int, class_id: int, score: float, wh: tuple[float, float] = (2, 3)
) -> None:
    outputs[0][0, y, x], outputs[1][0, y, x] = wh, (0.5, 0.25)
    outputs[2][0, y, x, class_id] = score


@pytest.mark.parametrize("are_planes", [False, True])
def test_a_peak_is_the_middle_of_its_box(are_planes: bool) -> None:
    """Sizes and offsets in cells of four pixels; a map with the channels in front holds the same."""
    outputs = maps()
    put(outputs, 2, 5, 1, 0.75)
    if are_planes:
        planes = [np.ascontiguousarray(one.transpose(0, 3, 1, 2)) for one in outputs]
        found = decode_planes(Heads(planes, FLOATS, MODEL_WH, ROLES), 0.5, strides=(4,))
    else:
        found = decode(Heads(outputs, FLOATS, MODEL_WH, ROLES), 0.5, strides=(4,))
    middle_x, middle_y = 5.5 * 4, 2.25 * 4
    assert_allclose(found.boxes_model, [[middle_x - 4, middle_y - 6, middle_x + 4, middle_y + 6]])
    assert_allclose(found.scores, [0.75])
    assert_array_equal(found.class_ids, [1])


def test_the_slopes_of_a_peak_are_no_things_of_their_own() -> None:
    """This takes the place of a suppression of overlaps; another class has peaks of its own."""
    outputs = maps()
    put(outputs, 2, 2, 0, 0.9)
    put(outputs, 2, 3, 0, 0.8)
    put(outputs, 3, 3, 2, 0.7)
    found = decode(Heads(outputs, FLOATS, MODEL_WH, ROLES), 0.5, strides=(4,))
    assert_allclose(found.scores, [0.9, 0.7])
    assert_array_equal(found.class_ids, [0, 2])


def test_logits_are_told_by_the_background_below_zero() -> None:
    """Some exports leave the sigmoid to whoever decodes."""
    outputs = maps(background=-6.0)
    put(outputs, 0, 0, 0, 0.0)
    put(outputs, 5, 7, 1, -0.5)
    found = decode(Heads(outputs, FLOATS, MODEL_WH, ROLES), 0.5, strides=(4,))
    assert_allclose(found.scores, [0.5])


def test_equal_neighbours_are_one_peak() -> None:
    """A quantised map has them often."""
    outputs = [one.astype(np.uint8) for one in maps()]
    outputs[2][0, 1, 1:4, 0] = outputs[2][0, 2, 1:4, 0] = 200
    specs = [Spec(), Spec(), Spec(Quantization(1 / 256, 0))]
    found = decode(Heads(outputs, specs, MODEL_WH, ROLES), 0.5, strides=(4,))
    assert_allclose(found.scores, [200 / 256])
    assert_allclose(found.boxes_model[0, :2], [4, 4])


@given(arrays(np.float32, (5, 4, 2), elements=st.floats(0, 1, width=32), unique=True))
def test_peaks_are_those_that_no_neighbour_exceeds(stored: np.ndarray) -> None:
    """The quick way looks at few places; the slow one, here, at all."""
    padded = np.pad(stored, ((1, 1), (1, 1), (0, 0)), constant_values=-1)
    around = np.max([padded[y : y + 5, x : x + 4] for y in range(3) for x in range(3)], axis=0)
    assert_array_equal(are_peaks(stored, np.arange(stored.size)), (stored == around).reshape(-1))


def test_cells_that_are_not_those_of_the_input_are_refused() -> None:
    """A model made for another input size."""
    with pytest.raises(ModelError, match="centernet: outputs have 48 rows"):
        decode(Heads(maps(), FLOATS, (64, 64), ROLES), 0.5, strides=(4,))
