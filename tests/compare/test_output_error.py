"""How far outputs are apart, and that every model is shown the same pictures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_runtime.compare.output_error import answers, input_range, real_outputs, relative_error, scene_inputs
from edge_runtime.errors import ModelError
from edge_runtime.inference import Quantization, TensorSpec
from tests.factory.models import write_echo


def spec(shape: tuple[int, ...], dtype: str, quantization: Quantization | None = None) -> TensorSpec:
    return TensorSpec("image", shape, np.dtype(dtype), quantization)


def test_a_float_and_an_integer_model_see_the_same_pictures() -> None:
    """Else the error would be that of the input."""
    floats = list(scene_inputs([spec((1, 8, 10, 3), "float32")], low=-1, high=1, count=2))
    integers = list(scene_inputs([spec((1, 8, 10, 3), "int8", Quantization(1 / 127.5, 0))], low=-1, high=1, count=2))
    for [real], [stored] in zip(floats, integers, strict=True):
        assert np.abs(real - stored.astype(np.float64) / 127.5).max() <= 0.5 / 127.5 + 0.01
    assert floats[0][0].std() > 0.01, "a picture, not a grey field"


def test_channels_may_come_first_and_other_inputs_get_noise() -> None:
    [last] = scene_inputs([spec((1, 8, 10, 3), "float32")], low=0, high=1, count=1)
    [first, vector] = next(
        scene_inputs([spec((1, 3, 8, 10), "float32"), spec((1, 5), "uint8")], low=0, high=1, count=1)
    )
    np.testing.assert_allclose(first[0].transpose(1, 2, 0), last[0][0])
    assert (vector.shape, vector.dtype) == ((1, 5), np.uint8)


def test_the_range_is_what_an_integer_variant_says(tmp_path: Path) -> None:
    """A float model does not say whether white is 1 or 255; its integer variant does."""
    real = write_echo(tmp_path / "a.tflite", dtype="float32")
    stored = write_echo(tmp_path / "b.tflite", dtype="uint8")
    assert input_range([real, tmp_path / "none.tflite"]) == (0, 1)
    assert input_range([real, stored]) == (-1, 127 / 128)


def test_outputs_become_real_numbers() -> None:
    [found] = real_outputs([np.array([1, 3], np.uint8)], [spec((2,), "uint8", Quantization(0.5, 1))])
    np.testing.assert_array_equal(found, [0, 1])


def test_the_worst_output_counts() -> None:
    wanted = [np.array([3.0, 4.0]), np.array([1.0, 1.0])]
    assert relative_error(wanted, wanted) == 0
    assert relative_error([wanted[0], wanted[1] * 1.5], wanted) == pytest.approx(0.5)
    assert relative_error([np.zeros(2), wanted[1]], wanted) == 1


def test_outputs_of_other_shapes_cannot_be_compared() -> None:
    with pytest.raises(ModelError, match="cannot be compared"):
        relative_error([np.zeros(2)], [np.zeros(3)])
    with pytest.raises(ModelError, match="cannot be compared"):
        relative_error([np.zeros(2)], [np.zeros(2), np.zeros(2)])


@given(st.lists(st.floats(width=32), min_size=1, max_size=5), st.lists(st.floats(width=32), min_size=1, max_size=5))
@example([math.inf], [math.inf])
def test_the_error_is_always_a_number(found: list[float], wanted: list[float]) -> None:
    """The JSON report cannot hold an infinity, and a broken model may answer anything."""
    size = min(len(found), len(wanted))
    one, other = (np.array(values[:size], np.float64) for values in (found, wanted))
    assert np.isfinite(relative_error([one], [other]))


def test_a_real_model_answers_with_its_pictures(tmp_path: Path) -> None:
    [found] = answers(write_echo(tmp_path / "m.tflite", (1, 8, 10, 3), "float32"), engine="auto", span=(0, 1))
    assert found.shape == (8, 1, 8, 10, 3)
    assert 0 <= found.min() < found.max() <= 1
