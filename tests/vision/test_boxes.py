"""Arithmetic on boxes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from edge_runtime.vision.boxes import area, clip, iou, xyxy_from_cxcywh, xyxy_from_yxyx

corners = st.floats(-50, 400, width=32)
some_boxes = arrays(np.float32, st.tuples(st.integers(0, 8), st.just(4)), elements=corners)


def proper(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)


@given(some_boxes, some_boxes)
def test_iou_is_symmetric_and_within_0_to_1(boxes: np.ndarray, others: np.ndarray) -> None:
    """NMS relies on both."""
    boxes, others = proper(boxes), proper(others)
    found = iou(boxes, others)
    assert found.shape == (len(boxes), len(others))
    assert ((found >= 0) & (found <= 1 + 1e-5)).all()
    assert_allclose(found, iou(others, boxes).T, atol=1e-6)


@given(some_boxes)
def test_iou_of_a_box_with_itself_is_1_unless_it_is_empty(boxes: np.ndarray) -> None:
    boxes = proper(boxes)
    solid = boxes[area(boxes) > 1e-3]
    assert_allclose(np.diagonal(iou(solid, solid)), np.ones(len(solid)), atol=1e-3)


def test_touching_boxes_share_nothing_and_nested_ones_share_the_inner() -> None:
    """Two people side by side stay two."""
    boxes = np.array([[0, 0, 10, 10]], np.float32)
    others = np.array([[10, 0, 20, 10], [2, 2, 7, 7], [0, 0, 0, 0]], np.float32)
    assert_allclose(iou(boxes, others), [[0, 0.25, 0]])


def test_conversions_put_each_coordinate_where_it_belongs() -> None:
    """Swapped x and y is the commonest defect of copied decoders."""
    assert_array_equal(xyxy_from_yxyx(np.array([[1, 2, 3, 4]], np.float32)), [[2, 1, 4, 3]])
    assert_array_equal(xyxy_from_cxcywh(np.array([[10, 20, 4, 6]], np.float32)), [[8, 17, 12, 23]])


@given(some_boxes)
def test_clipped_boxes_lie_inside_the_picture(boxes: np.ndarray) -> None:
    clipped = clip(proper(boxes), (320, 240))
    assert (clipped >= 0).all()
    assert (clipped[:, [0, 2]] <= 320).all()
    assert (clipped[:, [1, 3]] <= 240).all()
    assert (clipped[:, :2] <= clipped[:, 2:]).all()
