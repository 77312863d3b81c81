"""Pixels into the tensor."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from edge_runtime.vision.letterbox import Letterbox
from edge_runtime.vision.preprocess import InputFormat, Preprocessor, pixel_table

HALF = (127.5, 127.5, 127.5)
PIXELS = np.arange(256)


def preprocess(form: InputFormat, image: np.ndarray) -> tuple[np.ndarray, Letterbox]:
    """Return the tensor and where the frame lies in it."""
    preprocessor = Preprocessor(form)
    shrunk = preprocessor.shrink(image)
    return preprocessor.finish(shrunk), shrunk.letterbox


def picture(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)


def wanted(dtype: str, **changes: Any) -> InputFormat:
    return InputFormat((48, 32), np.dtype(dtype), **changes)


FORMATS = [
    wanted("uint8"),
    wanted("int8"),
    wanted("int8", mean=(0.0,) * 3, std=(255.0,) * 3, scale=1 / 255, zero_point=-128),
    wanted("int8", mean=HALF, std=HALF, scale=1 / 127.5, zero_point=-1),
    wanted("int16", mean=HALF, std=HALF, scale=1 / 32767),
    wanted("float32", mean=HALF, std=HALF),
    wanted("float32", mean=(10.0, 20.0, 30.0), std=(1.0, 2.0, 3.0), color="bgr"),
    wanted("float16", mean=(0.0,) * 3, std=(255.0,) * 3),
    wanted("uint8", mean=(0.0,) * 3, std=(255.0,) * 3, scale=0.01, zero_point=3),
    *(wanted(dtype, color="grey") for dtype in ("uint8", "int8")),
    *(wanted(dtype, color="grey", mean=HALF, std=HALF) for dtype in ("float16", "float32")),
    wanted("int16", color="grey", mean=HALF, std=HALF, scale=1 / 32767),
]


@pytest.mark.parametrize("is_nchw", [False, True])
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: f"{form.dtype}-{form.color}-{form.scale}")
def test_every_type_layout_and_colour_order_holds_what_the_formula_says(form: InputFormat, is_nchw: bool) -> None:
    """The quick ways (table, flipped bit, reused buffer) must not differ from the slow one in a single value."""
    form = InputFormat(**{**{name: getattr(form, name) for name in form.__dataclass_fields__}, "is_nchw": is_nchw})
    image = picture(100, 60)
    tensor, _ = preprocess(form, image)
    small = cv2.resize(image, form.size_wh)
    channels = {"bgr": small, "rgb": small[..., ::-1], "grey": cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)[..., None]}
    picked = channels[form.color]
    table = pixel_table(form)
    expected = picked if table is None else table[picked, np.arange(picked.shape[2])]
    expected = expected.transpose(2, 0, 1) if is_nchw else expected
    assert tensor.dtype == form.dtype
    assert tensor.flags.c_contiguous
    assert_array_equal(tensor[0], expected)


def test_quantised_pixels_are_rounded_never_truncated() -> None:
    """With scale 1/255 truncation gets 63 of 256 values wrong; rounding gives exactly x - 128."""
    form = wanted("int8", mean=(0.0,) * 3, std=(255.0,) * 3, scale=0.00392157, zero_point=-128)
    table = pixel_table(form)
    assert table is not None
    assert_array_equal(table[:, 0], PIXELS - 128)


def test_eight_bit_inputs_without_a_mean_take_the_pixel_straight() -> None:
    assert pixel_table(wanted("uint8")) is None
    table = pixel_table(wanted("int8"))
    assert table is not None
    assert_array_equal(table[:, 2], PIXELS - 128)


def test_values_beyond_the_type_are_clipped_not_wrapped() -> None:
    table = pixel_table(wanted("int8", mean=(0.0,) * 3, std=(1.0,) * 3, scale=1.0, zero_point=0))
    assert table is not None
    assert table.max() == 127


def test_mean_and_std_belong_to_the_channels_of_the_tensor() -> None:
    """A BGR model's first mean is for blue."""
    form = InputFormat((2, 2), np.dtype("float32"), color="bgr", mean=(1.0, 2.0, 3.0), std=(1.0, 1.0, 1.0))
    image = np.full((2, 2, 3), (10, 20, 30), np.uint8)
    tensor, _ = preprocess(form, image)
    assert_allclose(tensor[0, 0, 0], [9, 18, 27])


@pytest.mark.parametrize(("how", "corner"), [("letterbox", 114), ("letterbox-topleft", 200)])
def test_the_border_has_the_fill_of_the_family(how: str, corner: int) -> None:
    form = InputFormat((40, 40), np.dtype("uint8"), fit=how, fill=(114.0,) * 3)
    tensor, letterbox = preprocess(form, np.full((20, 40, 3), 200, np.uint8))
    assert tensor[0, 0, 0, 0] == corner
    assert tensor[0, -1, -1, 0] == 114
    assert letterbox.content_wh == (40, 20)


def test_a_change_of_frame_size_leaves_nothing_of_the_old_picture() -> None:
    """Stale pixels beside the picture would be seen as objects."""
    preprocessor = Preprocessor(InputFormat((40, 40), np.dtype("uint8"), fit="letterbox", fill=(114.0,) * 3))
    preprocessor.finish(preprocessor.shrink(np.full((40, 40, 3), 255, np.uint8)))
    tensor = preprocessor.finish(preprocessor.shrink(np.full((10, 40, 3), 9, np.uint8)))
    assert set(np.unique(tensor).tolist()) == {9, 114}


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: f"{form.dtype}-{form.color}-{form.scale}")
def test_shrinking_the_next_frame_does_not_touch_the_one_before(form: InputFormat) -> None:
    """The capture thread works ahead while the inference thread still reads."""
    preprocessor = Preprocessor(form)
    first = preprocessor.shrink(np.full((50, 50, 3), 1, np.uint8))
    before = first.pixels.copy()
    preprocessor.shrink(np.full((50, 50, 3), 2, np.uint8))
    assert_array_equal(first.pixels, before)


def test_the_frame_is_not_written_to() -> None:
    image = picture(64, 48)
    image.flags.writeable = False
    before = image.copy()
    preprocess(wanted("int8"), image)
    assert_array_equal(image, before)
