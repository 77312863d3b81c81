"""The way into the model's input and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from edge_runtime.vision.letterbox import FITS, fit

sizes = st.tuples(st.integers(1, 5000), st.integers(1, 5000))
model_sizes = st.tuples(st.integers(16, 640), st.integers(16, 640))


@given(sizes, model_sizes, st.sampled_from(FITS), arrays(np.float32, (3, 4), elements=st.floats(0, 1, width=32)))
def test_boxes_come_back_where_they_were(
    frame_wh: tuple[int, int], model_wh: tuple[int, int], how: str, parts: np.ndarray
) -> None:
    """An inverse that uses the ideal scale instead of the true one is off by pixels on small inputs."""
    letterbox = fit(frame_wh, model_wh, how)
    boxes = parts * np.array([*frame_wh, *frame_wh], np.float32)
    there_and_back = letterbox.to_frame(letterbox.to_model(boxes))
    tolerance = 2e-3 / min(1.0, *letterbox.scale_xy)
    assert_allclose(there_and_back, boxes, rtol=1e-4, atol=tolerance)


@given(sizes, model_sizes, st.sampled_from(FITS))
def test_the_frame_lies_inside_the_input(frame_wh: tuple[int, int], model_wh: tuple[int, int], how: str) -> None:
    letterbox = fit(frame_wh, model_wh, how)
    for axis in range(2):
        assert letterbox.content_wh[axis] >= 1
        assert letterbox.offset_xy[axis] >= 0
        assert letterbox.offset_xy[axis] + letterbox.content_wh[axis] <= model_wh[axis]


def test_each_fit_puts_the_frame_where_its_family_expects_it() -> None:
    frame, model = (1280, 720), (416, 416)
    assert fit(frame, model, "stretch").content_wh == (416, 416)
    assert (fit(frame, model, "letterbox").content_wh, fit(frame, model, "letterbox").offset_xy) == (
        (416, 234),
        (0, 91),
    )
    assert fit(frame, model, "letterbox-topleft").offset_xy == (0, 0)


def test_an_unknown_fit_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="letterbox-topleft"):
        fit((10, 10), (10, 10), "crop")


@given(sizes, model_sizes, st.sampled_from(FITS), arrays(np.float32, (3, 4), elements=st.floats(0, 1, width=32)))
def test_points_go_where_the_corners_of_boxes_go(
    frame_wh: tuple[int, int], model_wh: tuple[int, int], how: str, parts: np.ndarray
) -> None:
    """A box is two points; eyes that leave their face would tell of two geometries."""
    letterbox = fit(frame_wh, model_wh, how)
    boxes_model = parts * np.array([*model_wh, *model_wh], np.float32)
    points = letterbox.points_to_frame(boxes_model.reshape(3, 2, 2))
    assert_allclose(points.reshape(3, 4), letterbox.to_frame(boxes_model))
