"""Red is red, in any light."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.selftest.card import colours
from edge_runtime.selftest.colours import measure, nearest, red_blue_order

ALL = np.arange(6)


@given(st.tuples(*[st.floats(0.6, 1.0)] * 3))
def test_the_tint_of_the_light_does_not_count(light: tuple[float, float, float]) -> None:
    """Lamps are yellow and skies are blue; what counts is which shapes are redder than others."""
    lit = colours() * light
    right, swapped = red_blue_order(lit, ALL), red_blue_order(lit[:, ::-1], ALL)
    assert right is not None
    assert swapped is not None
    assert right > 0.5
    assert swapped < -0.5


def test_one_of_each_kind_is_needed() -> None:
    """Without a blue shape nobody knows whether all is red because of the light."""
    assert red_blue_order(colours()[[0, 3]], np.array([0, 3])) is None
    assert red_blue_order(colours()[[0, 1]], np.array([0, 1])) == pytest.approx(1, abs=0.2)


def test_grey_shapes_tell_nothing() -> None:
    assert red_blue_order(np.full((6, 3), 128.0), ALL) == 0
    assert nearest(np.array([[128.0, 130.0, 126.0], [0.0, 0.0, 0.0]])).tolist() == [-1, -1]


def test_the_middle_of_a_box_is_measured_even_at_the_edge_of_the_picture() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[10:30, 20:40] = (10, 20, 200)
    boxes = np.array([[20, 10, 40, 30], [10, 0, 50, 40], [59, 39, 60, 40], [70, 50, 90, 60]], np.float32)
    assert measure(image, boxes).tolist() == [[200, 20, 10], [200, 20, 10], [0, 0, 0], [0, 0, 0]]
