"""Non-maximum suppression: of boxes of one class that overlap, the best score stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.vision.boxes import iou

MAX_CANDIDATES = 1000
"""Rows that enter the IoU matrix; 1000 make a 4 MB matrix. A crowd of better ones hides the rest anyway."""


def best_first(scores: NDArray[np.float32], limit: int) -> NDArray[np.intp]:
    """Return the indices of the `limit` best scores, best first; ties keep the lower index."""
    return np.argsort(-scores, kind="stable")[:limit]


def nms(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_ids: NDArray[np.int32],
    *,
    iou_threshold: float,
    max_candidates: int = MAX_CANDIDATES,
) -> NDArray[np.intp]:
    """Return the indices to keep, best score first, per class; ties keep the lower index.

    Only the best `max_candidates` rows are looked at, so the time is bounded.

    Args:
        boxes: (n, 4) xyxy, any unit.
        scores: (n,).
        class_ids: (n,); boxes of different classes never suppress one another.
        iou_threshold: 0 to 1; a box goes when its IoU with a better one is above this.
        max_candidates: upper bound of the rows compared.
    """
    order = best_first(scores, max_candidates)
    same_class = class_ids[order][:, None] == class_ids[order]
    clash = (iou(boxes[order], boxes[order]) > iou_threshold) & same_class
    keep = np.ones(len(order), dtype=bool)
    for i in range(len(order)):
        if keep[i]:
            keep[i + 1 :] &= ~clash[i, i + 1 :]
    return order[keep]
