"""Arithmetic on boxes: plain functions on arrays, xyxy unless a name says otherwise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]


def xyxy_from_yxyx(boxes_yxyx: Boxes) -> Boxes:
    """Return (n, 4) xyxy from (n, 4) y1, x1, y2, x2, in the same unit."""
    return np.ascontiguousarray(boxes_yxyx[:, (1, 0, 3, 2)])


def xyxy_from_cxcywh(boxes_cxcywh: Boxes) -> Boxes:
    """Return (n, 4) xyxy from (n, 4) centre x, centre y, width, height, in the same unit."""
    half = boxes_cxcywh[:, 2:] / 2
    return np.concatenate([boxes_cxcywh[:, :2] - half, boxes_cxcywh[:, :2] + half], axis=1)


def clip(boxes: Boxes, size_wh: tuple[float, float]) -> Boxes:
    """Return the part of each box inside a picture of this size; a box outside becomes an empty one at its edge."""
    limits = np.array([*size_wh, *size_wh], np.float32)
    return np.clip(boxes, np.float32(0), limits)


def area(boxes: Boxes) -> NDArray[np.float32]:
    """Return (n,) areas; 0 for a box turned inside out."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    areas: NDArray[np.float32] = sides[:, 0] * sides[:, 1]
    return areas


def iou(boxes: Boxes, others: Boxes) -> NDArray[np.float32]:
    """Return (n, m) intersection over union of boxes (n, 4) with others (m, 4); 0 where both are empty.

    Boxes that only touch share no area: their IoU is 0.
    """
    top_left = np.maximum(boxes[:, None, :2], others[None, :, :2])
    bottom_right = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    sides = np.maximum(bottom_right - top_left, 0)
    shared = sides[..., 0] * sides[..., 1]
    union = area(boxes)[:, None] + area(others)[None, :] - shared
    overlap: NDArray[np.float32] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap
