"""YOLOX: each cell of three grids tells one box, relative to itself, an objectness and class scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import Candidates, OutputSpec
from edge_runtime.decoding.objectness import best_objects
from edge_runtime.decoding.quantized import check_rows, real
from edge_runtime.vision.boxes import xyxy_from_cxcywh
from edge_runtime.vision.grid import grid

_LARGEST_LOG = np.float32(10)  # e^10 strides is far beyond any input; more would overflow


def decode(
    outputs: Sequence[NDArray[Any]],
    specs: Sequence[OutputSpec],
    model_wh: tuple[int, int],
    score_threshold: float,
    roles: Mapping[str, int],
    *,
    strides: tuple[int, ...],
) -> Candidates:
    """Return the best `MAX_CANDIDATES` cells that reach the threshold, each with its best class.

    Args:
        outputs: predictions (1, N, 5 + classes): x, y from the corner of the cell in cells, the logarithm of width and
            height in cells, objectness and class scores, sigmoid applied. Cells run along rows, the finest grid first.
        specs: of these outputs; a threshold is applied to scores as they are stored.
        model_wh: size of the model's input.
        score_threshold: 0 to 1.
        roles: "predictions" -> index.
        strides: of the grids, in pixels.

    Raises:
        ModelError: there are more or fewer rows than cells.

    Source: Ge et al., YOLOX (2021); Megvii-BaseDetection/YOLOX, the export without decoding in the model.
    """
    stored, spec = outputs[roles["predictions"]][0], specs[roles["predictions"]]
    cells, stride = grid(model_wh, strides)
    check_rows("yolox", (len(stored),), len(cells), strides)
    rows, scores, class_ids = best_objects(stored, spec, score_threshold)
    raw = real(stored[rows, :4], spec)
    middles, sides = raw[:, :2] + cells[rows], np.exp(np.minimum(raw[:, 2:], _LARGEST_LOG))
    boxes_cxcywh = np.concatenate([middles, sides], axis=1) * stride[rows]
    return Candidates(xyxy_from_cxcywh(boxes_cxcywh), scores, class_ids)
