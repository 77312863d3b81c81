"""NanoDet heads: distances as distributions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from edge_runtime.decoding import Heads
from edge_runtime.decoding.nanodet import decode, decode_split, decode_v0, mean_distances
from edge_runtime.errors import ModelError
from edge_runtime.inference import Quantization

MODEL_WH = (64, 64)
STRIDES = (8, 16, 32, 64)
CELLS = 64 + 16 + 4 + 1
ROLES = {"predictions": 0}


@dataclass
class Spec:
    quantization: Quantization | None = None


def logits_of(distances: np.ndarray) -> np.ndarray:
    """Return logits whose two nearest distances have the weights that make this mean."""
    lower = np.minimum(np.floor(distances), 6).astype(int)
    weights = np.full((len(distances), 8), 1e-12)
    rows = np.arange(len(distances))
    weights[rows, lower] += 1 - (distances - lower)
    weights[rows, lower + 1] += distances - lower
    return np.log(weights).astype(np.float32)


@given(st.integers(0, 63), st.tuples(*[st.floats(0, 7)] * 4), st.integers(0, 1))
def test_the_mean_of_each_distribution_is_a_side_from_the_corner_of_the_cell(
    row: int, ltrb: tuple[float, float, float, float], class_id: int
) -> None:
    """NanoDet-Plus counts from the corner, unlike heads that count from the middle."""
    stored = np.zeros((1, CELLS, 2 + 32), np.float32)
    stored[0, row, class_id] = 0.75
    stored[0, row, 2:] = logits_of(np.array(ltrb)).reshape(-1)
    found = decode(Heads([stored], [Spec()], MODEL_WH, ROLES), 0.5, strides=STRIDES)
    x, y = row % 8 * 8, row // 8 * 8
    left, top, right, bottom = (8 * side for side in ltrb)
    assert_allclose(found.boxes_model, [[x - left, y - top, x + right, y + bottom]], atol=1e-2)
    assert_array_equal(found.class_ids, [class_id])


@given(arrays(np.float32, (3, 32), elements=st.floats(-1e4, 1e4, width=32)))
def test_a_mean_stays_within_the_distances_whatever_the_logits(logits: np.ndarray) -> None:
    """Large logits overflow a plain exponential."""
    found = mean_distances(logits)
    assert found.shape == (3, 4)
    assert ((found >= 0) & (found <= 7 + 1e-5)).all()


def test_a_quantised_head_is_decoded_by_its_scale() -> None:
    """Equal logits mean the middle distance, 3.5 cells, whatever they are."""
    stored = np.full((1, CELLS, 33), 40, np.uint8)
    stored[0, :, 0] = 0
    stored[0, CELLS - 1, 0] = 200
    found = decode(Heads([stored], [Spec(Quantization(1 / 256, 0))], MODEL_WH, ROLES), 0.5, strides=STRIDES)
    assert_allclose(found.boxes_model, [[-224, -224, 224, 224]], rtol=1e-5)
    assert_allclose(found.scores, [200 / 256])


def test_rows_that_are_no_cells_are_refused() -> None:
    """Older NanoDet has three grids, not four."""
    with pytest.raises(ModelError, match="nanodet: outputs have 84 rows"):
        decode(Heads([np.zeros((1, 84, 33), np.float32)], [Spec()], MODEL_WH, ROLES), 0.5, strides=STRIDES)


OLD_STRIDES = (8, 16, 32)


def old_head(row: int, ltrb: tuple[float, ...]) -> np.ndarray:
    stored = np.zeros((1, 84, 2 + 32), np.float32)
    stored[0, row, 1] = 0.75
    stored[0, row, 2:] = logits_of(np.array(ltrb)).reshape(-1)
    return stored


def test_the_older_head_counts_from_the_middle_of_the_cell() -> None:
    """Half a cell is 16 pixels on the coarsest grid."""
    found = decode_v0(Heads([old_head(64, (1, 2, 3, 4))], [Spec()], MODEL_WH, ROLES), 0.5, strides=OLD_STRIDES)
    assert_allclose(found.boxes_model, [[8 - 16, 8 - 32, 8 + 48, 8 + 64]], atol=1e-2)


@given(st.integers(0, 83), st.tuples(*[st.floats(0, 7)] * 4))
def test_outputs_for_each_grid_hold_what_one_output_holds(row: int, ltrb: tuple[float, ...]) -> None:
    """PicoDet and the older NanoDet are exported like that; the result does not depend on it."""
    stored = old_head(row, ltrb)
    grids = np.split(stored, [64, 80], axis=1)
    outputs = [part for one in grids for part in (one[..., :2], one[..., 2:])]
    roles = {
        f"{part}_{level}": 2 * level - 2 + at for level in (1, 2, 3) for at, part in ((0, "scores"), (1, "distances"))
    }
    apart = decode_split(Heads(outputs, [Spec()] * 6, MODEL_WH, roles), 0.5, strides=OLD_STRIDES)
    joined = decode_v0(Heads([stored], [Spec()], MODEL_WH, ROLES), 0.5, strides=OLD_STRIDES)
    assert_allclose(apart.boxes_model, joined.boxes_model)
    assert_allclose(apart.scores, joined.scores)
    assert_array_equal(apart.class_ids, joined.class_ids)


def test_a_grid_with_other_rows_than_cells_is_refused() -> None:
    """The message names the grid."""
    outputs = [np.zeros((1, 63, 2), np.float32), np.zeros((1, 63, 32), np.float32)]
    with pytest.raises(ModelError, match=r"outputs have 63 and 63 rows, strides \[8\] make 64"):
        decode_split(Heads(outputs, [Spec()] * 2, MODEL_WH, {"scores_1": 0, "distances_1": 1}), 0.5, strides=(8,))
