"""BlazeFace heads: offsets from anchors without a size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from edge_runtime.decoding import Heads
from edge_runtime.decoding.blazeface import anchor_middles, decode, decode_full_range
from edge_runtime.errors import ModelError
from edge_runtime.inference import Quantization

MODEL_WH = (128, 128)
STRIDES = (8, 16, 16, 16)
ROLES = {"boxes": 0, "scores": 1}


@dataclass
class Spec:
    quantization: Quantization | None = None


FLOATS = [Spec(), Spec()]


def head(row: int, cxcywh: tuple[float, ...], logit: float) -> list[np.ndarray]:
    boxes, scores = np.zeros((1, 896, 16), np.float32), np.full((1, 896, 1), -200, np.float32)
    boxes[0, row, :4] = cxcywh
    scores[0, row] = logit
    return [boxes, scores]


def test_anchors_are_two_per_cell_and_layer_and_layers_of_one_stride_are_one_grid() -> None:
    """512 of stride 8, then six for each of the 64 cells of stride 16: another order puts faces elsewhere."""
    middles = anchor_middles(MODEL_WH, STRIDES)
    assert middles.shape == (896, 2)
    assert_array_equal(middles[[0, 1, 2, 511]], [[4, 4], [4, 4], [12, 4], [124, 124]])
    assert_array_equal(middles[[512, 517, 518, 895]], [[8, 8], [8, 8], [24, 8], [120, 120]])


@given(st.integers(0, 895), st.tuples(*[st.floats(-64, 64)] * 2, *[st.floats(1, 128)] * 2), st.floats(0, 90))
def test_a_face_is_where_its_anchor_and_offset_say(row: int, cxcywh: tuple[float, ...], logit: float) -> None:
    """Offsets are pixels of the input; the score is the sigmoid of the logit."""
    found = decode(Heads(head(row, cxcywh, logit), FLOATS, MODEL_WH, ROLES), 0.5, strides=STRIDES)
    middle = anchor_middles(MODEL_WH, STRIDES)[row]
    x, y, width, height = middle[0] + cxcywh[0], middle[1] + cxcywh[1], *cxcywh[2:]
    expected = [[x - width / 2, y - height / 2, x + width / 2, y + height / 2]]
    assert_allclose(found.boxes_model, expected, rtol=1e-4, atol=1e-3)
    assert_allclose(found.scores, [1 / (1 + np.exp(-logit))], rtol=1e-5)
    assert_array_equal(found.class_ids, [0])


@given(st.floats(0.01, 0.99), st.floats(-6, 6))
def test_the_threshold_is_that_of_the_score_though_logits_are_compared(threshold: float, logit: float) -> None:
    """The sigmoid of 896 logits is spared; nothing else may change."""
    found = decode(Heads(head(5, (0, 0, 9, 9), logit), FLOATS, MODEL_WH, ROLES), threshold, strides=STRIDES)
    score = 1 / (1 + np.exp(-np.float64(np.float32(logit))))
    if abs(score - threshold) > 1e-6:
        assert len(found.scores) == (score > threshold)


@pytest.mark.parametrize(("threshold", "count"), [(0.0, 896), (1.0, 1)])
def test_the_ends_of_the_range_are_thresholds_too(threshold: float, count: int) -> None:
    """Their logits are infinite; 100 is where the model's own end."""
    outputs = head(5, (0, 0, 9, 9), 300)
    outputs[1] = np.maximum(outputs[1], -100)
    found = decode(Heads(outputs, FLOATS, MODEL_WH, ROLES), threshold, strides=STRIDES)
    assert len(found.scores) == count
    assert found.scores[0] == 1


def test_quantised_logits_are_compared_as_stored() -> None:
    """A logit of 0 is a score of a half."""
    boxes, scores = np.zeros((1, 896, 16), np.int8), np.full((1, 896, 1), -128, np.int8)
    scores[0, 3], scores[0, 9] = 10, 9
    specs = [Spec(Quantization(1.0, 0)), Spec(Quantization(0.5, 10))]
    found = decode(Heads([boxes, scores], specs, MODEL_WH, ROLES), 0.5, strides=STRIDES)
    assert_allclose(found.scores, [0.5])


def test_rows_that_are_no_anchors_are_refused() -> None:
    """The model for another distance has other layers."""
    with pytest.raises(ModelError, match="blazeface: outputs have 896 and 896 rows"):
        decode(Heads(head(0, (0, 0, 1, 1), 0), FLOATS, (256, 256), ROLES), 0.5, strides=STRIDES)


def test_the_six_points_of_a_face_are_kept_in_pixels_of_the_input() -> None:
    """They are counted from the middle of the anchor, as the centre of the box is."""
    outputs = head(1, (0, 0, 9, 9), 5)
    outputs[0][0, 1, 4:] = np.arange(12)
    found = decode(Heads(outputs, FLOATS, MODEL_WH, ROLES), 0.5, strides=STRIDES)
    assert_allclose(found.points_model, [np.arange(4, 16).reshape(6, 2)])
    nothing = decode(Heads(outputs, FLOATS, MODEL_WH, ROLES), 1.0, strides=STRIDES)
    assert nothing.points_model.shape == (0, 6, 2)


def test_the_model_for_the_full_range_has_one_anchor_for_each_cell() -> None:
    """48 by 48 cells of an input of 192."""
    boxes, scores = np.zeros((1, 2304, 16), np.float32), np.full((1, 2304, 1), -50, np.float32)
    boxes[0, 49, :4], scores[0, 49] = (1, 2, 8, 6), 3
    found = decode_full_range(Heads([boxes, scores], FLOATS, (192, 192), ROLES), 0.5, strides=(4,))
    assert_allclose(found.boxes_model, [[6 + 1 - 4, 6 + 2 - 3, 6 + 1 + 4, 6 + 2 + 3]])
    assert_allclose(found.points_model, np.full((1, 6, 2), 6))
