"""Suppression of overlapping boxes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from edge_runtime.vision.boxes import iou
from edge_runtime.vision.nms import nms

rows = st.lists(
    st.tuples(
        st.floats(0, 100, width=32), st.floats(0, 100, width=32), st.floats(1, 60, width=32),
        st.floats(1, 60, width=32), st.integers(0, 10), st.integers(0, 2),
    ),
    max_size=30,
)  # fmt: skip


def columns(drawn: list[tuple[float, ...]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = np.array(drawn, np.float32).reshape(-1, 6)
    boxes = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1)
    return boxes, table[:, 4] / 10, table[:, 5].astype(np.int32)


def reference(boxes: np.ndarray, scores: np.ndarray, class_ids: np.ndarray, threshold: float) -> list[int]:
    """Return what a plain reading of the definition keeps."""
    kept: list[int] = []
    for i in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        rivals = [k for k in kept if class_ids[k] == class_ids[i]]
        if all(iou(boxes[i : i + 1], boxes[k : k + 1])[0, 0] <= threshold for k in rivals):
            kept.append(i)
    return kept


@given(rows, st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]))
def test_it_keeps_what_the_plain_definition_keeps(drawn: list[tuple[float, ...]], threshold: float) -> None:
    """One IoU matrix is a speed-up, not another algorithm; ties keep the lower index."""
    boxes, scores, class_ids = columns(drawn)
    assert nms(boxes, scores, class_ids, iou_threshold=threshold).tolist() == reference(
        boxes, scores, class_ids, threshold
    )


def test_two_people_side_by_side_both_stay() -> None:
    """Where x, y, x, y is read as x, y, w, h, they become one."""
    boxes = np.array([[100, 100, 200, 400], [200, 100, 300, 400]], np.float32)
    kept = nms(boxes, np.array([0.9, 0.8], np.float32), np.zeros(2, np.int32), iou_threshold=0.5)
    assert_array_equal(kept, [0, 1])


def test_boxes_of_different_classes_do_not_suppress_one_another() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10]], np.float32)
    kept = nms(boxes, np.array([0.5, 0.9], np.float32), np.array([0, 1], np.int32), iou_threshold=0.5)
    assert_array_equal(kept, [1, 0])


def test_only_the_best_candidates_are_compared() -> None:
    """Ten thousand rows of noise must not take a second."""
    count = 10_000
    boxes = np.stack([np.arange(count), np.zeros(count), np.arange(count) + 0.5, np.ones(count)], axis=1)
    scores = np.linspace(0, 1, count, dtype=np.float32)
    kept = nms(boxes.astype(np.float32), scores, np.zeros(count, np.int32), iou_threshold=0.5, max_candidates=50)
    assert_array_equal(kept, np.arange(count - 1, count - 51, -1))
