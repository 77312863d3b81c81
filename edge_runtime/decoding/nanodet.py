"""NanoDet: each cell tells class scores and, for each side of its box, how likely each of eight distances is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import Candidates, OutputSpec
from edge_runtime.decoding.fcos import boxes_around
from edge_runtime.decoding.quantized import best_rows, check_rows, real
from edge_runtime.vision.grid import grid

_SIDES, _DISTANCES = 4, 8


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
        outputs: predictions (1, N, classes + 32): class scores, sigmoid applied, then for left, top, right and bottom
            eight logits, one for each of the distances 0 to 7 cells from the corner of the cell. Cells run along rows,
            the finest grid first.
        specs: of these outputs; a threshold is applied to scores as they are stored.
        model_wh: size of the model's input.
        score_threshold: 0 to 1.
        roles: "predictions" -> index.
        strides: of the grids, in pixels.

    Raises:
        ModelError: there are more or fewer rows than cells.

    Source: Li et al., Generalized Focal Loss (2020), equation 3; RangiLyu/nanodet, nanodet_plus_head.py, whose points
        are the corners of the cells.
    """
    stored, spec = outputs[roles["predictions"]][0], specs[roles["predictions"]]
    cells, stride = grid(model_wh, strides)
    check_rows("nanodet", (len(stored),), len(cells), strides)
    classes = stored.shape[1] - _SIDES * _DISTANCES
    rows, scores = best_rows(stored[:, :classes].max(axis=1), spec, score_threshold)
    distances = mean_distances(real(stored[rows, classes:], spec))
    class_ids = stored[rows, :classes].argmax(axis=1).astype(np.int32)
    return Candidates(boxes_around(cells[rows], distances, stride[rows]), scores, class_ids)


def mean_distances(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n, 4) the mean distance of each side, 0 to 7 cells, from logits (n, 32)."""
    by_side = logits.reshape(-1, _SIDES, _DISTANCES)
    weights = np.exp(by_side - by_side.max(axis=2, keepdims=True))
    distances: NDArray[np.float32] = weights @ np.arange(_DISTANCES, dtype=np.float32) / weights.sum(axis=2)
    return distances
