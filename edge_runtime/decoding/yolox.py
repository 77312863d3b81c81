"""YOLOX: each cell of three grids tells one box, relative to itself, an objectness and class scores."""

from __future__ import annotations

import numpy as np

from edge_runtime.decoding import Candidates, Heads
from edge_runtime.decoding.objectness import best_objects
from edge_runtime.decoding.quantized import check_rows, real
from edge_runtime.vision.boxes import xyxy_from_cxcywh
from edge_runtime.vision.grid import grid

_LARGEST_LOG = np.float32(10)  # e^10 strides is far beyond any input; more would overflow


def decode(heads: Heads, score_threshold: float, *, strides: tuple[int, ...]) -> Candidates:
    """Return the best `MAX_CANDIDATES` cells that reach the threshold, each with its best class.

    Outputs:
        predictions: (1, N, 5 + classes), x, y from the corner of the cell in cells, the logarithm of width and
            height in cells, objectness and class scores, sigmoid applied. Cells run along rows, the finest grid first.

    Raises:
        ModelError: there are more or fewer rows than cells.

    Source: Ge et al., YOLOX (2021); Megvii-BaseDetection/YOLOX, the export without decoding in the model.
    """
    stored, spec = heads.array("predictions")[0], heads.spec("predictions")
    cells, stride = grid(heads.model_wh, strides)
    check_rows("yolox", (len(stored),), len(cells), strides)
    rows, scores, class_ids = best_objects(stored, spec, score_threshold)
    raw = real(stored[rows, :4], spec)
    middles, sides = raw[:, :2] + cells[rows], np.exp(np.minimum(raw[:, 2:], _LARGEST_LOG))
    boxes_cxcywh = np.concatenate([middles, sides], axis=1) * stride[rows]
    return Candidates(xyxy_from_cxcywh(boxes_cxcywh), scores, class_ids)
