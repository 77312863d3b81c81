"""Thresholds on stored values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from edge_runtime.decoding.quantized import at_least, real
from edge_runtime.inference import Quantization


@dataclass
class Spec:
    quantization: Quantization | None


@given(
    st.sampled_from([np.uint8, np.int8, np.int16]),
    st.floats(1e-4, 0.1),
    st.integers(-120, 120),
    st.floats(0, 1),
)
def test_it_lets_through_exactly_what_the_real_values_would(
    dtype: type, scale: float, zero_point: int, threshold: float
) -> None:
    """Comparing integers is ten times cheaper and must not move a single row across the threshold."""
    limits = np.iinfo(dtype)
    stored = np.unique(np.linspace(limits.min, limits.max, 300).astype(dtype))
    spec = Spec(Quantization(scale, zero_point))
    exact = (stored.astype(np.float64) - zero_point) * scale
    near = np.isclose(exact, threshold, rtol=0, atol=scale * 1e-4)
    assert_array_equal(at_least(stored, spec, threshold)[~near], (exact >= threshold)[~near])


def test_a_threshold_that_is_a_step_includes_that_step() -> None:
    """Scores of 1/256 steps and a threshold of 0.5 meet exactly."""
    spec = Spec(Quantization(1 / 256, 0))
    assert_array_equal(at_least(np.array([127, 128], np.uint8), spec, 0.5), [False, True])


def test_a_threshold_above_the_largest_value_lets_nothing_through() -> None:
    """255 steps of 1/256 end below 1.0; a wrapped comparison would let everything through."""
    spec = Spec(Quantization(1 / 256, 0))
    assert not at_least(np.array([0, 255], np.uint8), spec, 1.0).any()


def test_float_scores_are_compared_as_they_are_and_nan_never_passes() -> None:
    assert_array_equal(at_least(np.array([0.3, 0.5, np.nan], np.float32), Spec(None), 0.4), [False, True, False])


def test_real_values_follow_the_quantisation() -> None:
    assert real(np.array([191], np.uint8), Spec(Quantization(0.5, 190)))[0] == pytest.approx(0.5)
    assert real(np.array([0.25], np.float16), Spec(None)).dtype == np.float32
