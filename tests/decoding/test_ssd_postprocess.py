"""Four small outputs in any order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from edge_runtime.decoding import Heads
from edge_runtime.decoding.ssd_postprocess import ROLES, complete_roles, decode
from edge_runtime.errors import ModelError
from edge_runtime.inference import Quantization

MODEL_WH = (300, 200)
BOXES = np.array([[[0.1, 0.2, 0.5, 0.6], [0.0, 0.0, 1.0, 1.0], [-0.2, -0.1, 0.4, 1.3]]], np.float32)
CLASSES = np.array([[17, 0, 2]], np.float32)
SCORES = np.array([[0.9, 0.6, 0.5]], np.float32)
BY_ROLE = {"boxes": BOXES, "classes": CLASSES, "scores": SCORES, "count": np.array([3], np.float32)}


@dataclass
class Spec:
    quantization: Quantization | None = None


FLOATS = [Spec()] * 4


@pytest.mark.parametrize("order", list(permutations(ROLES)), ids=lambda order: "-".join(order))
def test_outputs_in_any_order_give_the_same_detections(order: tuple[str, ...]) -> None:
    """TF1 files, TF2 files and re-exports each have an order of their own: position is no key."""
    found = decode(Heads([BY_ROLE[role] for role in order], FLOATS, MODEL_WH, {}), 0.4)
    assert_array_equal(found.class_ids, [17, 0, 2])
    assert_allclose(found.scores, [0.9, 0.6, 0.5])
    assert_allclose(found.boxes_model[0], [60, 20, 180, 100])


def test_what_the_file_says_of_the_roles_beats_what_the_values_look_like() -> None:
    """Classes 1, 0 and scores 1.0, 0.0 look alike; only the names can tell."""
    outputs = [BOXES, np.array([[1, 1, 1]], np.float32), np.array([[1, 1, 0]], np.float32), BY_ROLE["count"]]
    roles = {"boxes": 0, "classes": 2, "scores": 1, "count": 3}
    assert_array_equal(decode(Heads(outputs, FLOATS, MODEL_WH, roles), 0.4).class_ids, [1, 1, 0])


def test_roles_that_the_file_tells_in_part_are_completed() -> None:
    """With the classes known, the other of the two is the scores, whatever it holds."""
    outputs = [BOXES, np.array([[1, 1, 1]], np.float32), np.array([[1, 1, 0]], np.float32), BY_ROLE["count"]]
    known = complete_roles(Heads(outputs, FLOATS, MODEL_WH, {"boxes": 0, "classes": 2}))
    assert known == {"boxes": 0, "classes": 2, "count": 3, "scores": 1}


@pytest.mark.parametrize(("order", "scores_at"), [(("boxes", "a", "b", "count"), 2), (("a", "boxes", "count", "b"), 0)])
def test_where_the_values_cannot_tell_the_exporters_order_decides(order: tuple[str, ...], scores_at: int) -> None:
    """An empty scene is all zeros; the next frame must not be read the other way round."""
    zeros = np.zeros((1, 3), np.float32)
    outputs = [{"boxes": BOXES, "count": BY_ROLE["count"]}.get(name, zeros) for name in order]
    assert complete_roles(Heads(outputs, FLOATS, MODEL_WH, {}))["scores"] == scores_at


def test_rows_beyond_the_count_are_not_detections() -> None:
    """What lies there is left from an earlier frame."""
    outputs = [BOXES, CLASSES, SCORES, np.array([1], np.float32)]
    assert len(decode(Heads(outputs, FLOATS, MODEL_WH, {}), 0.0).scores) == 1


@pytest.mark.parametrize("count", [-1, 0, 99])
def test_a_count_out_of_range_is_bounded(count: float) -> None:
    outputs = [BOXES, CLASSES, SCORES, np.array([count], np.float32)]
    assert len(decode(Heads(outputs, FLOATS, MODEL_WH, {}), 0.0).scores) == (3 if count > 3 else 0)


def test_boxes_that_leave_the_picture_are_clipped() -> None:
    found = decode(Heads(list(BY_ROLE.values()), FLOATS, MODEL_WH, {}), 0.4)
    assert_allclose(found.boxes_model[2], [0, 0, 300, 80], atol=1e-4)


def test_quantised_outputs_are_decoded_by_their_own_scales() -> None:
    specs = [Spec(Quantization(1 / 200, 20)), Spec(), Spec(Quantization(1 / 256, 0)), Spec()]
    boxes = np.rint(BOXES * 200 + 20).clip(0, 255).astype(np.uint8)
    scores = np.rint(SCORES * 256).astype(np.uint8)
    found = decode(Heads([boxes, CLASSES, scores, BY_ROLE["count"]], specs, MODEL_WH, {}), 0.55)
    assert_allclose(found.scores, [0.9, 0.6], atol=1 / 256)
    assert_allclose(found.boxes_model[0], [60, 20, 180, 100], atol=1.0)


@given(st.lists(st.tuples(st.integers(0, 89), st.floats(0, 1, width=32)), max_size=10), st.floats(0, 1, width=32))
def test_it_returns_exactly_the_rows_that_reach_the_threshold(rows: list[tuple[int, float]], threshold: float) -> None:
    rows = sorted(rows, key=lambda row: -row[1])
    classes = np.array([[one for one, _ in rows] + [0] * (10 - len(rows))], np.float32)
    scores = np.array([[one for _, one in rows] + [0] * (10 - len(rows))], np.float32)
    outputs = [np.zeros((1, 10, 4), np.float32), classes, scores, np.array([len(rows)], np.float32)]
    roles = dict(zip(ROLES, range(4), strict=True))
    found = decode(Heads(outputs, FLOATS, MODEL_WH, roles), threshold)
    expected = [(one, score) for one, score in rows if score >= threshold]
    assert list(zip(found.class_ids.tolist(), found.scores.tolist(), strict=True)) == expected


def test_other_outputs_are_refused_with_the_sidecar_lines_that_name_them() -> None:
    with pytest.raises(ModelError, match=r"outputs \[1, 3, 4\].*sidecar"):
        decode(Heads([BOXES, BOXES, SCORES, SCORES], FLOATS, MODEL_WH, {}), 0.4)
