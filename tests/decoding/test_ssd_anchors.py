"""Raw SSD heads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from edge_runtime.decoding import Heads
from edge_runtime.decoding.ssd_anchors import SCALES_YXHW, decode, decode_boxes, read_anchors
from edge_runtime.errors import ModelError
from edge_runtime.inference import Quantization

MODEL_WH = (200, 100)
ANCHORS = np.array([[0.5, 0.5, 0.2, 0.4], [0.25, 0.75, 0.5, 0.5]], np.float32)


@dataclass
class Spec:
    quantization: Quantization | None = None


FLOATS = [Spec(), Spec()]


def encode(boxes_norm: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Return ty, tx, th, tw: the equation of the SSD paper, the other way round than decode."""
    centres = (boxes_norm[:, [1, 0]] + boxes_norm[:, [3, 2]]) / 2
    sides = boxes_norm[:, [3, 2]] - boxes_norm[:, [1, 0]]
    offsets = np.concatenate([(centres - anchors[:, :2]) / anchors[:, 2:], np.log(sides / anchors[:, 2:])], axis=1)
    return (offsets * np.array(SCALES_YXHW)).astype(np.float32)


@given(arrays(np.float32, (2, 4), elements=st.floats(0.0625, 0.4375, width=32)))
def test_decoding_is_the_inverse_of_the_paper_s_encoding(parts: np.ndarray) -> None:
    boxes = np.concatenate([parts[:, :2], parts[:, :2] + parts[:, 2:]], axis=1)
    assert_allclose(decode_boxes(encode(boxes, ANCHORS), ANCHORS, SCALES_YXHW), boxes, atol=1e-5)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_boxes_and_scores_are_found_by_shape_and_the_background_is_left_out(order: tuple[int, int]) -> None:
    """Column 0 is the background: its score is nobody's."""
    outputs = [np.zeros((1, 2, 4), np.float32), np.array([[[0.99, 0.1, 0.8], [0.99, 0.7, 0.2]]], np.float32)]
    found = decode(Heads([outputs[i] for i in order], FLOATS, MODEL_WH, {}), 0.5, anchors=ANCHORS)
    assert_array_equal(found.class_ids, [1, 0])
    assert_allclose(found.boxes_model[0], [60, 40, 140, 60])


def test_an_anchor_stands_for_its_best_class_alone() -> None:
    """The same box as a cat and as a dog is one animal."""
    scores = np.array([[[0, 0.6, 0.7], [0, 0, 0]]], np.float32)
    found = decode(Heads([np.zeros((1, 2, 4), np.float32), scores], FLOATS, MODEL_WH, {}), 0.5, anchors=ANCHORS)
    assert_array_equal(found.class_ids, [1])


def test_quantised_heads_are_decoded_by_their_own_scales() -> None:
    specs = [Spec(Quantization(0.079, 191)), Spec(Quantization(1 / 256, 0))]
    outputs = [np.full((1, 2, 4), 191, np.uint8), np.array([[[0, 200, 0], [0, 0, 10]]], np.uint8)]
    found = decode(Heads(outputs, specs, MODEL_WH, {}), 0.5, anchors=ANCHORS)
    assert_allclose(found.scores, [200 / 256])
    assert_allclose(found.boxes_model, [[60, 40, 140, 60]])


def test_the_number_of_candidates_is_bounded_and_the_best_stay() -> None:
    """A threshold of 0 on 1917 anchors and 90 classes must not make 170,000 boxes."""
    count = 3000
    scores = np.zeros((1, count, 2), np.float32)
    scores[0, :, 1] = np.linspace(0, 1, count)
    anchors = np.full((count, 4), 0.5, np.float32)
    found = decode(Heads([np.zeros((1, count, 4), np.float32), scores], FLOATS, MODEL_WH, {}), 0.0, anchors=anchors)
    assert len(found.scores) == 1000
    assert found.scores.min() >= scores[0, count - 1001, 1]


def test_an_anchors_file_of_another_model_is_refused() -> None:
    outputs = [np.zeros((1, 2, 4), np.float32), np.zeros((1, 2, 3), np.float32)]
    with pytest.raises(ModelError, match="3 anchors differ"):
        decode(Heads(outputs, FLOATS, MODEL_WH, {}), 0.5, anchors=np.zeros((3, 4), np.float32))


def test_other_outputs_are_refused_with_the_sidecar_lines_that_name_them() -> None:
    with pytest.raises(ModelError, match=r"\[outputs\] boxes"):
        decode(Heads([np.zeros((1, 2, 4), np.float32)], [Spec()], MODEL_WH, {}), 0.5, anchors=ANCHORS)


def test_anchors_are_read_with_and_without_a_header(tmp_path: Path) -> None:
    plain, headed = tmp_path / "plain.csv", tmp_path / "headed.csv"
    plain.write_text("0.5,0.5,0.2,0.4\n0.25,0.75,0.5,0.5\n")
    headed.write_text("ycenter,xcenter,height,width\n0.5,0.5,0.2,0.4\n0.25,0.75,0.5,0.5\n\n")
    assert_allclose(read_anchors(plain), ANCHORS)
    assert_allclose(read_anchors(headed), ANCHORS)


@pytest.mark.parametrize(
    ("content", "said"), [("1,2,3\n", "four columns"), ("1,2,3,x\n", "no number"), ("1,2\n1,2,3\n", "no number")]
)
def test_a_table_that_is_no_anchors_says_what_is_wrong(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "anchors.csv"
    file.write_text(content)
    with pytest.raises(ModelError, match=said):
        read_anchors(file)


def test_missing_anchors_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"anchors\.csv"):
        read_anchors(tmp_path / "anchors.csv")
