"""FCOS heads: distances from the middle of a cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from edge_runtime.decoding import Heads
from edge_runtime.decoding.fcos import decode
from edge_runtime.errors import ModelError
from edge_runtime.inference import Quantization

MODEL_WH = (48, 32)
STRIDES = (8, 16)
CELLS = 6 * 4 + 3 * 2
ROLES = {"boxes": 0, "scores": 1}


@dataclass
class Spec:
    quantization: Quantization | None = None


FLOATS = [Spec(), Spec()]


def middle(row: int) -> tuple[float, float, int]:
    """Return x, y and stride of a cell, counted by hand."""
    if row < 24:
        return row % 6 * 8 + 4, row // 6 * 8 + 4, 8
    return (row - 24) % 3 * 16 + 8, (row - 24) // 3 * 16 + 8, 16


@given(
    st.integers(0, CELLS - 1),
    st.tuples(*[st.floats(0, 60, width=32)] * 4),
    st.integers(0, 2),
    st.floats(0.5, 1, width=32),
)
def test_distances_from_the_middle_of_the_cell_come_back_as_the_box(
    row: int, ltrb: tuple[float, float, float, float], class_id: int, score: float
) -> None:
    """Half a cell of error moves every box by 4 pixels, which an IoU of large ones hides."""
    x, y, stride = middle(row)
    boxes, scores = np.zeros((1, CELLS, 4), np.float32), np.zeros((1, CELLS, 3), np.float32)
    boxes[0, row] = np.array(ltrb) / stride
    scores[0, row, class_id] = score
    found = decode(Heads([boxes, scores], FLOATS, MODEL_WH, ROLES), 0.5, strides=STRIDES)
    left, top, right, bottom = ltrb
    assert_allclose(found.boxes_model, [[x - left, y - top, x + right, y + bottom]], rtol=1e-5, atol=1e-4)
    assert_array_equal(found.class_ids, [class_id])
    assert_allclose(found.scores, [score])


def test_a_side_behind_the_middle_is_at_the_middle() -> None:
    """Integer arithmetic makes small negatives of small distances; a box is never inside out."""
    boxes, scores = np.full((1, CELLS, 4), -3, np.float32), np.zeros((1, CELLS, 1), np.float32)
    scores[0, 0] = 1
    found = decode(Heads([boxes, scores], FLOATS, MODEL_WH, ROLES), 0.5, strides=STRIDES)
    assert_array_equal(found.boxes_model, [[4, 4, 4, 4]])


def test_each_output_is_read_by_its_own_quantisation_and_role() -> None:
    """Boxes and scores have ranges of their own; their order is the exporter's."""
    boxes, scores = np.full((1, CELLS, 4), 28, np.int8), np.full((1, CELLS, 2), -128, np.int8)
    scores[0, 7, 1] = 64
    specs = [Spec(Quantization(1 / 256, -128)), Spec(Quantization(0.1, 8))]
    found = decode(Heads([scores, boxes], specs, MODEL_WH, {"boxes": 1, "scores": 0}), 0.75, strides=STRIDES)
    assert_allclose(found.boxes_model, [[12 - 16, 12 - 16, 12 + 16, 12 + 16]], rtol=1e-5)
    assert_allclose(found.scores, [0.75])
    assert_array_equal(found.class_ids, [1])


def test_the_number_of_candidates_is_bounded() -> None:
    """A threshold of 0 must not send ten thousand boxes into the IoU matrix."""
    size = (800, 800)
    count = 100 * 100
    scores = np.linspace(0, 1, count, dtype=np.float32).reshape(1, count, 1)
    found = decode(Heads([np.ones((1, count, 4), np.float32), scores], FLOATS, size, ROLES), 0.0, strides=(8,))
    assert len(found.scores) == 1000
    assert found.scores.min() >= scores[0, count - 1000, 0]


@pytest.mark.parametrize("strides", [(8,), (8, 16, 32)])
def test_other_strides_than_the_rows_have_are_refused(strides: tuple[int, ...]) -> None:
    """Boxes would land in cells that are not theirs."""
    outputs = [np.zeros((1, CELLS, 4), np.float32), np.zeros((1, CELLS, 2), np.float32)]
    with pytest.raises(ModelError, match=r"30 and 30 rows, strides .* make \d+; write the strides of this model"):
        decode(Heads(outputs, FLOATS, MODEL_WH, ROLES), 0.5, strides=strides)
