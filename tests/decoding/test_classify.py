"""Scores of the whole picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from edge_runtime.decoding import Heads
from edge_runtime.decoding.classify import decode, softmax
from edge_runtime.inference import Quantization

MODEL_WH = (40, 20)
ROLES = {"scores": 0}


@dataclass
class Spec:
    quantization: Quantization | None = None


def classes(values: list[float], threshold: float, kind: str | None = None):
    return decode(Heads([np.array([values], np.float32)], [Spec()], MODEL_WH, ROLES), threshold, score_kind=kind)


@pytest.mark.parametrize("shape", [(1, 4), (1, 1, 1, 4), (1, 4, 1, 1)])
def test_the_best_classes_come_first_and_cover_the_input(shape: tuple[int, ...]) -> None:
    """A classifier has no boxes; the honest one is the whole picture."""
    stored = np.array([0.1, 0.5, 0.05, 0.35], np.float32).reshape(shape)
    found = decode(Heads([stored], [Spec()], MODEL_WH, ROLES), 0.1, score_kind=None)
    assert_array_equal(found.class_ids, [1, 3, 0])
    assert_allclose(found.scores, [0.5, 0.35, 0.1])
    assert_allclose(found.boxes_model, [[0, 0, 40, 20]] * 3)


@pytest.mark.parametrize("kind", [None, "logits"])
def test_logits_are_made_probabilities(kind: str | None) -> None:
    """A threshold of 0.4 means nothing against numbers of any size."""
    found = classes([0.0, np.log(3), -20.0], 0.2, kind)
    assert_array_equal(found.class_ids, [1, 0])
    assert_allclose(found.scores, [0.75, 0.25], rtol=1e-5)


def test_numbers_within_0_and_1_are_taken_for_what_the_model_says_they_are() -> None:
    """Independent scores need not sum up to one; logits may happen to lie within."""
    assert_allclose(classes([0.75, 0.5], 0.3).scores, [0.75, 0.5])
    assert_allclose(classes([0.75, 0.5], 0.3, "logits").scores, softmax(np.array([0.75, 0.5], np.float32)))
    assert_allclose(classes([-0.01, 0.5], 0.3, "probabilities").scores, [0.5])


def test_quantised_probabilities_are_compared_as_stored() -> None:
    """A step below the threshold is below the threshold."""
    stored = np.array([[128, 127, 1]], np.uint8)
    found = decode(Heads([stored], [Spec(Quantization(1 / 256, 0))], MODEL_WH, ROLES), 0.5, score_kind=None)
    assert_array_equal(found.class_ids, [0])
    assert_allclose(found.scores, [0.5])


def test_quantised_logits_are_told_by_what_they_stand_for() -> None:
    """The stored numbers say nothing before they are scaled."""
    stored = np.array([[127, -128]], np.int8)
    found = decode(Heads([stored], [Spec(Quantization(0.1, 0))], MODEL_WH, ROLES), 0.5, score_kind=None)
    assert_array_equal(found.class_ids, [0])
    assert found.scores[0] == pytest.approx(1)


@given(arrays(np.float32, 5, elements=st.floats(-1e6, 1e6, width=32)))
def test_probabilities_sum_up_to_one_whatever_the_logits(logits: np.ndarray) -> None:
    """Large logits overflow a plain exponential."""
    found = softmax(logits)
    assert found.sum() == pytest.approx(1, abs=1e-5)
    assert found.argmax() == logits.argmax() or found.max() == pytest.approx(found[logits.argmax()])
