"""Scores that are a product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from edge_runtime.decoding.objectness import best_objects
from edge_runtime.inference import Quantization


@dataclass
class Spec:
    quantization: Quantization | None = None


@given(arrays(np.uint8, (20, 8)), st.floats(0.01, 1))
def test_it_finds_what_multiplying_everything_would_find(stored: np.ndarray, threshold: float) -> None:
    """Two comparisons of integers instead of 1700 products must not lose a row."""
    spec = Spec(Quantization(1 / 256, 0))
    rows, scores, class_ids = best_objects(stored, spec, threshold)
    products = stored[:, 4] / np.float32(256) * (stored[:, 5:].max(axis=1) / np.float32(256))
    assert_array_equal(np.sort(rows), np.flatnonzero(products >= threshold))
    assert_allclose(scores, products[rows], rtol=1e-6)
    assert (np.diff(scores) <= 0).all()
    assert_array_equal(class_ids, stored[rows, 5:].argmax(axis=1))


def test_nan_is_no_object() -> None:
    """A damaged float model can give it."""
    stored = np.array([[0, 0, 0, 0, np.nan, 1, 1], [0, 0, 0, 0, 1, np.nan, np.nan]], np.float32)
    assert len(best_objects(stored, Spec(), 0.1)[0]) == 0


def test_the_number_of_rows_is_bounded_and_the_best_stay() -> None:
    """An evaluation asks for everything; the IoU matrix has its limit."""
    stored = np.ones((3000, 6), np.float32)
    stored[:, 4] = np.linspace(0, 1, 3000)
    rows, scores, _ = best_objects(stored, Spec(), 0.0)
    assert_array_equal(rows, np.arange(2999, 1999, -1))
    assert scores[0] == 1
