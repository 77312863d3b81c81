"""YOLOX heads: boxes relative to the corner of their cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from edge_runtime.decoding import Heads
from edge_runtime.decoding.yolox import decode
from edge_runtime.errors import ModelError
from edge_runtime.inference import Quantization

MODEL_WH = (64, 32)
STRIDES = (8, 16, 32)
CELLS = 8 * 4 + 4 * 2 + 2 * 1
ROLES = {"predictions": 0}


@dataclass
class Spec:
    quantization: Quantization | None = None


def corner(row: int) -> tuple[int, int, int]:
    """Return x, y and stride of a cell, counted by hand."""
    for begin, columns, stride in ((40, 2, 32), (32, 4, 16), (0, 8, 8)):
        if row >= begin:
            return (row - begin) % columns * stride, (row - begin) // columns * stride, stride
    raise AssertionError


@given(
    st.integers(0, CELLS - 1),
    st.tuples(st.floats(0, 64), st.floats(0, 32)),
    st.tuples(st.floats(1, 64), st.floats(1, 32)),
    st.integers(0, 2),
)
def test_a_box_comes_back_from_the_encoding_of_the_paper(
    row: int, centre: tuple[float, float], sides: tuple[float, float], class_id: int
) -> None:
    """Encoded here the other way round; the corner of the cell, not its middle, is the origin."""
    x, y, stride = corner(row)
    raw = np.zeros((1, CELLS, 8), np.float32)
    raw[0, row, :4] = [
        centre[0] / stride - x / stride, centre[1] / stride - y / stride, *np.log(np.array(sides) / stride),
    ]  # fmt: skip
    raw[0, row, 4], raw[0, row, 5 + class_id] = 0.9, 0.8
    found = decode(Heads([raw], [Spec()], MODEL_WH, ROLES), 0.5, strides=STRIDES)
    (cx, cy), (width, height) = centre, sides
    expected = [[cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2]]
    assert_allclose(found.boxes_model, expected, rtol=1e-4, atol=1e-3)
    assert_array_equal(found.class_ids, [class_id])
    assert_allclose(found.scores, [0.72], rtol=1e-6)


def test_a_huge_size_does_not_overflow() -> None:
    """A damaged or badly quantised model gives anything; a warning per frame helps nobody."""
    raw = np.full((1, CELLS, 6), 500, np.float32)
    found = decode(Heads([raw], [Spec()], MODEL_WH, ROLES), 0.5, strides=STRIDES)
    assert np.isfinite(found.boxes_model).all()
    assert (found.scores == 1).all()


def test_rows_that_are_no_cells_are_refused() -> None:
    """Another input size than the model was exported for."""
    with pytest.raises(ModelError, match=r"yolox: outputs have 41 rows, strides .* make 42"):
        decode(Heads([np.zeros((1, 41, 6), np.float32)], [Spec()], MODEL_WH, ROLES), 0.5, strides=STRIDES)


def test_one_quantisation_for_all_is_undone_for_boxes_too() -> None:
    """It may be too coarse to be of use, but what is stored is read right."""
    raw = np.zeros((1, CELLS, 6), np.int8)
    raw[0, 0] = [10, 20, 0, 0, 60, 60]
    found = decode(Heads([raw], [Spec(Quantization(1 / 64, 0))], MODEL_WH, ROLES), 0.5, strides=STRIDES)
    assert_allclose(found.boxes_model, [[1.25 - 4, 2.5 - 4, 1.25 + 4, 2.5 + 4]])
    assert_allclose(found.scores, [(60 / 64) ** 2])
