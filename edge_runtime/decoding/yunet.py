"""YuNet: each cell of three grids tells a face, relative to itself, with five points."""

from __future__ import annotations

import numpy as np

from edge_runtime.decoding import Candidates, Heads
from edge_runtime.decoding.levels import joined
from edge_runtime.decoding.quantized import at_least, check_rows, real, within_one
from edge_runtime.vision.boxes import xyxy_from_cxcywh
from edge_runtime.vision.grid import grid
from edge_runtime.vision.nms import MAX_CANDIDATES, best_first

_LARGEST_LOG = np.float32(10)  # e^10 strides is far beyond any input; more would overflow


def decode(heads: Heads, score_threshold: float, *, strides: tuple[int, ...]) -> Candidates:
    """Return the best `MAX_CANDIDATES` faces that reach the threshold, with their key points; their class is 0.

    Outputs, for each grid, the finest first; cells run along rows:
        cls_1, obj_1: (1, N1, 1), 0 to 1; which of the two is which does not matter.
        bbox_1: (1, N1, 4), centre x and y from the corner of the cell in cells, the logarithm of width and height in
            cells.
        kps_1: (1, N1, 10), x and y of the right and left eye, the tip of the nose, the right and left corner of the
            mouth, from the corner of the cell in cells.

    Raises:
        ModelError: a grid has more or fewer rows than cells.

    Source: Wu et al., YuNet (2023); opencv/opencv, modules/objdetect/src/face_detect.cpp.
    """
    return joined([_one_grid(heads, score_threshold, level, stride) for level, stride in enumerate(strides, 1)])


def _one_grid(heads: Heads, score_threshold: float, level: int, size: int) -> Candidates:
    roles = [f"{part}_{level}" for part in ("cls", "obj", "bbox", "kps")]
    cls, obj, bbox, kps = (heads.array(role)[0] for role in roles)
    cls_spec, obj_spec, bbox_spec, kps_spec = (heads.spec(role) for role in roles)
    cells, _ = grid(heads.model_wh, (size,))
    check_rows("yunet", (len(cls), len(obj), len(bbox), len(kps)), len(cells), (size,))
    # The score is the root of the product. Neither factor is above 1, so none is below the threshold squared.
    least = score_threshold**2
    rows = np.flatnonzero(at_least(cls[:, 0], cls_spec, least) & at_least(obj[:, 0], obj_spec, least))
    scores = np.sqrt(within_one(real(cls[rows, 0], cls_spec)) * within_one(real(obj[rows, 0], obj_spec)))
    reached = np.flatnonzero(scores >= score_threshold)
    best = reached[best_first(scores[reached], MAX_CANDIDATES)]
    rows, scores = rows[best], scores[best]
    raw = real(bbox[rows], bbox_spec)
    boxes_cxcywh = np.concatenate([raw[:, :2] + cells[rows], np.exp(np.minimum(raw[:, 2:], _LARGEST_LOG))], axis=1)
    points = real(kps[rows], kps_spec).reshape(len(rows), kps.shape[1] // 2, 2) + cells[rows][:, None]
    stride = np.float32(size)
    return Candidates(xyxy_from_cxcywh(boxes_cxcywh * stride), scores, np.zeros(len(rows), np.int32), points * stride)
