"""YuNet heads: twelve outputs, four for each grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from edge_runtime.decoding import Heads
from edge_runtime.decoding.yunet import decode
from edge_runtime.errors import ModelError
from edge_runtime.inference import Quantization

MODEL_WH = (64, 32)
STRIDES = (8, 16, 32)
CELLS = (32, 8, 2)
PARTS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
ROLES = {f"{part}_{level}": 4 * (level - 1) + at for level in (1, 2, 3) for at, part in enumerate(PARTS)}


@dataclass
class Spec:
    quantization: Quantization | None = None


FLOATS = [Spec()] * 12


def head(level: int, row: int, cls: float, obj: float, bbox: tuple[float, ...] = (0, 0, 0, 0)) -> list[np.ndarray]:
    outputs = [np.zeros((1, cells, size), np.float32) for cells in CELLS for size in PARTS.values()]
    for part, value in (("cls", cls), ("obj", obj), ("bbox", bbox), ("kps", np.arange(10) / 10)):
        outputs[ROLES[f"{part}_{level}"]][0, row] = value
    return outputs


@given(st.integers(1, 3), st.data())
def test_a_face_is_where_its_cell_says(level: int, data: st.DataObject) -> None:
    """Middle and points in cells from the corner of the cell, sides as logarithms."""
    row = data.draw(st.integers(0, CELLS[level - 1] - 1))
    x, y = data.draw(st.tuples(*[st.floats(-2, 2)] * 2))
    found = decode(
        Heads(head(level, row, 0.9, 0.9, (x, y, np.log(2), np.log(3))), FLOATS, MODEL_WH, ROLES), 0.5, strides=STRIDES
    )
    stride, columns = STRIDES[level - 1], MODEL_WH[0] // STRIDES[level - 1]
    column, line = row % columns, row // columns
    corners = [column + x - 1, line + y - 1.5, column + x + 1, line + y + 1.5]
    assert_allclose(found.boxes_model, [np.array(corners) * stride], rtol=1e-4, atol=1e-3)
    points = (np.arange(10).reshape(5, 2) / 10 + [column, line]) * stride
    assert_allclose(found.points_model, [points], rtol=1e-4, atol=1e-4)
    assert_array_equal(found.class_ids, [0])


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.05, 0.95))
def test_the_score_is_the_root_of_the_product(cls: float, obj: float, threshold: float) -> None:
    """Each factor may lie below the threshold where the root does not: the stored ones are compared with its square."""
    found = decode(Heads(head(2, 3, cls, obj), FLOATS, MODEL_WH, ROLES), threshold, strides=STRIDES)
    score = np.sqrt(np.float32(cls) * np.float32(obj))
    if abs(score - threshold) > 1e-4:
        assert len(found.scores) == (score > threshold)
        assert_allclose(found.scores, [score] * len(found.scores), rtol=1e-4)


def test_the_best_of_all_grids_come_first() -> None:
    """Suppression relies on it, and so does the limit of candidates."""
    outputs = head(1, 5, 0.64, 1)
    for name in ("cls_3", "obj_3"):
        outputs[ROLES[name]][0, 1] = 0.9
    found = decode(Heads(outputs, FLOATS, MODEL_WH, ROLES), 0.5, strides=STRIDES)
    assert_allclose(found.scores, [0.9, 0.8], rtol=1e-6)
    assert found.points_model.shape == (2, 5, 2)


def test_quantised_factors_are_compared_as_stored() -> None:
    """A half times a half is a score of a half; a step less is below."""
    outputs = [one.astype(np.uint8) for one in head(1, 0, 0, 0)]
    for row, stored in ((0, 128), (1, 127)):
        outputs[ROLES["cls_1"]][0, row] = outputs[ROLES["obj_1"]][0, row] = stored
    specs = [Spec(Quantization(1 / 256, 0))] * 12
    found = decode(Heads(outputs, specs, MODEL_WH, ROLES), 0.5, strides=STRIDES)
    assert_allclose(found.scores, [0.5])


def test_nothing_found_has_no_rows() -> None:
    """The outputs still ask for the shape."""
    found = decode(Heads(head(1, 0, 0, 0), FLOATS, MODEL_WH, ROLES), 0.5, strides=STRIDES)
    assert (found.boxes_model.shape, found.points_model.shape) == ((0, 4), (0, 5, 2))


def test_rows_that_are_no_cells_are_refused() -> None:
    """A model made for another input size."""
    with pytest.raises(ModelError, match="yunet: outputs have 32 and 32 and 32 and 32 rows"):
        decode(Heads(head(1, 0, 0, 0), FLOATS, (64, 64), ROLES), 0.5, strides=STRIDES)
