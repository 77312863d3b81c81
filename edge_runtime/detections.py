"""What was found in one frame, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The detections of one frame, best score first. Cut it with a mask: ``found[found.scores > 0.6]``.

    Raises:
        ValueError: the columns do not have the same length.
    """

    boxes: NDArray[np.float32]  # (n, 4), xyxy, pixels of the frame
    scores: NDArray[np.float32]  # (n,), 0 to 1, best first
    class_ids: NDArray[np.int32]  # (n,), index into the labels
    track_ids: NDArray[np.int64] | None = None  # (n,), the same number for the same thing over time
    keypoints: NDArray[np.float32] | None = None  # (n, k, 2), x and y, pixels of the frame; may leave it

    def __post_init__(self) -> None:
        rows = len(self.scores)
        if self.boxes.shape != (rows, 4):
            raise ValueError(f"boxes: expected shape ({rows}, 4), got {self.boxes.shape}")
        if self.class_ids.shape != (rows,):
            raise ValueError(f"class_ids: expected shape ({rows},), got {self.class_ids.shape}")
        if self.track_ids is not None and self.track_ids.shape != (rows,):
            raise ValueError(f"track_ids: expected shape ({rows},), got {self.track_ids.shape}")
        points = self.keypoints
        if points is not None and (points.ndim != 3 or points.shape[0] != rows or points.shape[2] != 2):
            raise ValueError(f"keypoints: expected shape ({rows}, k, 2), got {points.shape}")

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: NDArray[Any] | slice) -> Detections:
        """Return the chosen rows: a boolean mask, an array of indices, or a slice."""
        tracks = None if self.track_ids is None else self.track_ids[rows]
        points = None if self.keypoints is None else self.keypoints[rows]
        return Detections(self.boxes[rows], self.scores[rows], self.class_ids[rows], tracks, points)

    @classmethod
    def empty(cls) -> Detections:
        """Return no detections."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int32))

    def to_supervision(self) -> Any:
        """Return the same as ``supervision.Detections``; needs the package ``supervision``.

        Key points, which that class has no column for, are in its ``data["keypoints"]``.
        """
        import supervision

        return supervision.Detections(
            xyxy=self.boxes,
            confidence=self.scores,
            class_id=self.class_ids,
            tracker_id=self.track_ids,
            data={} if self.keypoints is None else {"keypoints": self.keypoints},
        )

    @classmethod
    def from_supervision(cls, found: Any) -> Detections:
        """Return the rows of a ``supervision.Detections``, best score first.

        Raises:
            ValueError: it holds rows but no confidence or no class_id.
        """
        if len(found) and (found.confidence is None or found.class_id is None):
            raise ValueError("supervision.Detections: confidence and class_id are needed, one of them is None")
        if not len(found):
            return cls.empty()
        tracks = None if found.tracker_id is None else np.asarray(found.tracker_id, np.int64)
        points = getattr(found, "data", {}).get("keypoints")
        columns = cls(
            np.asarray(found.xyxy, np.float32),
            np.asarray(found.confidence, np.float32),
            np.asarray(found.class_id, np.int32),
            tracks,
            None if points is None else np.asarray(points, np.float32),
        )
        return columns[np.argsort(-columns.scores, kind="stable")]
