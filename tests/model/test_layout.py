"""The input must be one picture; everything else is refused with its shape and the next step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import ModelError
from edge_runtime.model.flatbuffer import ModelFile, TensorInfo
from edge_runtime.model.layout import Layout, read_layout


def layout(*shapes, dtype="uint8", declared=None, name="image"):
    inputs = tuple(TensorInfo("image", shape, shape, np.dtype(dtype)) for shape in shapes)
    listed = tuple(TensorInfo(name, shape, declared or shape, np.dtype(dtype)) for shape in shapes)
    return read_layout(inputs, ModelFile(Path("m.tflite"), 1, "", listed, (), (), ()))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "float16", "float32"])
def test_both_orders_of_axes_are_told_by_where_the_colours_are(dtype):
    """Exports from PyTorch keep the colours in front."""
    assert layout((1, 240, 320, 3), dtype=dtype) == Layout((320, 240), is_nchw=False)
    assert layout((1, 3, 240, 320), dtype=dtype) == Layout((320, 240), is_nchw=True)
    assert layout((1, 3, 4, 3), dtype=dtype) == Layout((4, 3), is_nchw=False)


def test_an_input_of_one_channel_is_grey():
    """Models for grey cameras exist; 3 outweighs 1, as a picture may be one pixel high."""
    assert layout((1, 240, 320, 1)) == Layout((320, 240), is_nchw=False, channels=1)
    assert layout((1, 1, 240, 320)) == Layout((320, 240), is_nchw=True, channels=1)
    assert layout((1, 1, 320, 3)) == Layout((320, 1), is_nchw=False)


def test_an_open_batch_is_a_batch_of_one():
    """Keras leaves it open, and engines then take 1."""
    assert layout((1, 8, 6, 3), declared=(-1, 8, 6, 3)) == Layout((6, 8), is_nchw=False)


def test_a_declared_shape_of_another_tensor_is_not_used():
    """The engine may have been told another model, or resized its input."""
    assert layout((1, 8, 6, 3), declared=(1, -1, -1, 3), name="other") == Layout((6, 8), is_nchw=False)
    assert layout((1, 8, 6, 3), declared=(1, 8, 6)) == Layout((6, 8), is_nchw=False)


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        ([(1, 8, 8, 3), (1, 4)], {}, r"^m\.tflite: has 2 inputs \(image \[1,8,8,3\], image \[1,4\]\); only"),
        ([], {}, r"has 0 inputs"),
        ([(1, 3)], {}, r"input 'image' has shape \[1,3\]; needed is a picture, .*; give a detector$"),
        ([(2, 8, 8, 3)], {}, r"has shape \[2,8,8,3\], a batch of 2; export it with a batch of 1$"),
        ([(0, 8, 8, 3)], {}, "leaves its size open"),
        ([(1, 0, 8, 3)], {}, r"\[1,0,8,3\], which leaves its size open; export it with a fixed size$"),
        ([(1, 1, 1, 3)], {"declared": (1, -1, -1, 3)}, r"\[1,-1,-1,3\], which leaves its size open"),
        ([(1, 8, 8, 4)], {}, r"\[1,8,8,4\]; needed are 3 channels or 1 \(grey\)"),
        ([(1, 8, 3, 8)], {}, r"needed are 3 channels"),
        ([(1, 8, 8, 3)], {"dtype": "int32"}, r"and type int32; allowed are uint8, int8, int16, float16, float32"),
    ],
)  # fmt: skip
def test_an_input_that_is_no_picture_is_refused(shapes, options, message):
    """Each would otherwise fail deep inside, at the first frame."""
    with pytest.raises(ModelError, match=message):
        layout(*shapes, **options)
