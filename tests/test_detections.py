"""The columns of what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from edge_runtime.detections import Detections

BOXES = np.array([[0, 0, 4, 4], [1, 1, 3, 3], [2, 2, 5, 5]], np.float32)
SCORES = np.array([0.9, 0.8, 0.7], np.float32)
IDS = np.array([1, 0, 1], np.int32)
POINTS = np.arange(12, dtype=np.float32).reshape(3, 2, 2)


def test_rows_are_cut_in_every_column() -> None:
    """A point that stays behind would belong to another face."""
    found = Detections(BOXES, SCORES, IDS, np.array([7, 8, 9]), POINTS)[IDS == 1]
    assert_array_equal(found.keypoints, POINTS[[0, 2]])
    assert_array_equal(found.track_ids, [7, 9])
    assert Detections(BOXES, SCORES, IDS)[:1].keypoints is None


@dataclass
class Theirs:
    """The columns of a supervision.Detections."""

    xyxy: np.ndarray
    confidence: np.ndarray
    class_id: np.ndarray
    tracker_id: np.ndarray | None
    data: dict[str, Any]

    def __len__(self) -> int:
        return len(self.xyxy)


@pytest.mark.parametrize("points", [POINTS[:2], POINTS.reshape(3, 4), POINTS.reshape(3, 1, 4)])
def test_key_points_of_another_shape_are_refused(points: np.ndarray) -> None:
    """Said where they are made, not where they are drawn."""
    with pytest.raises(ValueError, match=r"keypoints: expected shape \(3, k, 2\), got"):
        Detections(BOXES, SCORES, IDS, None, points)


def test_rows_of_supervision_come_best_first_with_their_points() -> None:
    """That class sorts by nothing, and keeps what it has no column for in a dictionary."""
    given = Theirs(BOXES[::-1], SCORES[::-1], IDS[::-1], None, {"keypoints": POINTS[::-1]})
    found = Detections.from_supervision(given)
    assert_array_equal(found.scores, SCORES)
    assert_array_equal(found.keypoints, POINTS)
    without = Theirs(BOXES, SCORES, IDS, None, {})
    assert Detections.from_supervision(without).keypoints is None


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ((BOXES[:2], SCORES, IDS), r"boxes: expected shape \(3, 4\), got \(2, 4\)"),
        ((BOXES, SCORES, IDS[:2]), r"class_ids: expected shape \(3,\), got \(2,\)"),
        ((BOXES, SCORES, IDS, np.array([1])), r"track_ids: expected shape \(3,\), got \(1,\)"),
    ],
)
def test_columns_of_another_length_are_refused(columns: tuple[np.ndarray, ...], message: str) -> None:
    """A row that has no score is found here, not at the first cut."""
    with pytest.raises(ValueError, match=message):
        Detections(*columns)


def test_supervision_without_scores_is_refused_unless_it_is_empty() -> None:
    """Nothing could be sorted, and no output could be written."""
    with pytest.raises(ValueError, match="confidence and class_id are needed, one of them is None"):
        Detections.from_supervision(Theirs(BOXES, None, IDS, None, {}))  # type: ignore[arg-type]
    assert len(Detections.from_supervision(Theirs(BOXES[:0], None, None, None, {}))) == 0  # type: ignore[arg-type]
