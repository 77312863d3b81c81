"""YOLO heads that decode their boxes in the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from edge_runtime.decoding import Heads
from edge_runtime.decoding.yolo import (
    decode,
    decode_end_to_end,
    decode_rows,
    decode_split,
    decode_split_rows,
    decode_v5,
)
from edge_runtime.inference import Quantization

MODEL_WH = (200, 100)
ROLES = {"predictions": 0}
APART = {"scores": 0, "boxes": 1}


@dataclass
class Spec:
    quantization: Quantization | None = None


corners = st.tuples(st.integers(0, 99), st.integers(0, 49), st.integers(100, 200), st.integers(50, 100))


@pytest.mark.parametrize("form", ["v8", "rows", "split", "split rows", "v5", "end to end"])
@given(corners, st.integers(0, 5), st.integers(0, 2), st.sampled_from(["pixels", "normalized"]))
def test_a_box_comes_back_from_every_form_of_the_head(
    form: str, box: tuple[int, int, int, int], place: int, class_id: int, box_unit: str
) -> None:
    """Rows or columns, centre or corners, pixels or parts of the input: the same box."""
    left, top, right, bottom = box
    centred = np.array([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], np.float32)
    unit = np.array([*MODEL_WH, *MODEL_WH], np.float32) if box_unit == "normalized" else np.float32(1)
    scores = np.eye(3, dtype=np.float32)[class_id] * np.float32(0.75)
    if form == "v8":
        table = np.zeros((6, 7), np.float32)
        table[place] = [*centred / unit, *scores]
        found = decode(Heads([table.T[None]], [Spec()], MODEL_WH, ROLES), 0.5, box_unit=box_unit)
    elif form == "rows":
        table = np.zeros((6, 7), np.float32)
        table[place] = [*centred / unit, *scores]
        found = decode_rows(Heads([table[None]], [Spec()], MODEL_WH, ROLES), 0.5, box_unit=box_unit)
    elif form.startswith("split"):
        boxes, classes = np.zeros((6, 4), np.float32), np.zeros((6, 3), np.float32)
        boxes[place], classes[place] = centred / unit, scores
        if form == "split":
            outputs = [classes.T[None], boxes.T[None]]
            found = decode_split(Heads(outputs, [Spec()] * 2, MODEL_WH, APART), 0.5, box_unit=box_unit)
        else:
            outputs = [classes[None], boxes[None]]
            found = decode_split_rows(Heads(outputs, [Spec()] * 2, MODEL_WH, APART), 0.5, box_unit=box_unit)
    elif form == "v5":
        table = np.zeros((6, 8), np.float32)
        table[place] = [*centred / unit, 1, *scores]
        found = decode_v5(Heads([table[None]], [Spec()], MODEL_WH, ROLES), 0.5, box_unit=box_unit)
    else:
        table = np.zeros((6, 6), np.float32)
        table[place] = [*np.array(box, np.float32) / unit, 0.75, class_id]
        found = decode_end_to_end(Heads([table[None]], [Spec()], MODEL_WH, ROLES), 0.5, box_unit=box_unit)
    assert_allclose(found.boxes_model, [box], rtol=1e-4, atol=1e-2)
    assert_array_equal(found.class_ids, [class_id])
    assert_allclose(found.scores, [0.75])


def test_a_quantised_head_is_compared_as_stored() -> None:
    """A score of exactly the threshold is in, one step below is out."""
    stored = np.full((1, 6, 4), -119, np.int8)
    stored[0, :4, :] = -119 + 100
    stored[0, 4, 1], stored[0, 5, 2] = -119 + 110, -119 + 111
    spec = Spec(Quantization(1 / 222, -119))
    found = decode(Heads([stored], [spec], MODEL_WH, ROLES), 0.5, box_unit="normalized")
    assert_array_equal(found.class_ids, [1])
    assert_allclose(found.scores, [0.5])
    side = 100 / 222
    assert_allclose(found.boxes_model, [[side * 100, side * 50, side * 300, side * 150]], rtol=1e-5)


def test_a_column_stands_for_its_best_class_alone() -> None:
    """The same box as a cat and as a dog is one animal."""
    table = np.zeros((1, 7, 2), np.float32)
    table[0, 4:, 1] = [0.6, 0.7, 0.5]
    found = decode(Heads([table], [Spec()], MODEL_WH, ROLES), 0.5, box_unit="pixels")
    assert_array_equal(found.class_ids, [1])


def test_the_number_of_candidates_is_bounded() -> None:
    """8400 columns at a threshold of 0."""
    table = np.zeros((1, 5, 8400), np.float32)
    table[0, 4] = np.linspace(0, 1, 8400)
    found = decode(Heads([table], [Spec()], MODEL_WH, ROLES), 0.0, box_unit="pixels")
    assert len(found.scores) == 1000
    assert found.scores[0] == 1


def test_boxes_and_scores_apart_have_a_quantisation_each() -> None:
    """That is what they were taken apart for: pixels in steps of 1, scores in steps of 1/256."""
    boxes, scores = np.array([[[50], [60], [20], [10]]], np.uint8), np.array([[[128], [200]]], np.uint8)
    specs = [Spec(Quantization(1 / 256, 0)), Spec(Quantization(1.0, 0))]
    found = decode_split(Heads([scores, boxes], specs, MODEL_WH, APART), 0.5, box_unit="pixels")
    assert_allclose(found.boxes_model, [[40, 55, 60, 65]])
    assert_allclose(found.scores, [200 / 256])
    assert_array_equal(found.class_ids, [1])
