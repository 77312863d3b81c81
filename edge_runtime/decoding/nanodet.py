"""NanoDet and PicoDet: each cell tells class scores and how likely each of eight distances is for each side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import Candidates, Heads
from edge_runtime.decoding.fcos import boxes_around
from edge_runtime.decoding.levels import joined
from edge_runtime.decoding.quantized import best_rows, check_rows, real
from edge_runtime.vision.grid import grid

_SIDES, _DISTANCES = 4, 8
_HALF = np.float32(0.5)


def decode(heads: Heads, score_threshold: float, *, strides: tuple[int, ...]) -> Candidates:
    """Return the best `MAX_CANDIDATES` cells that reach the threshold, each with its best class.

    Outputs:
        predictions: (1, N, classes + 32), class scores, sigmoid applied, then for left, top, right and bottom eight
            logits, one for each of the distances 0 to 7 cells from the corner of the cell. Cells run along rows, the
            finest grid first.

    Raises:
        ModelError: there are more or fewer rows than cells.

    Source: Li et al., Generalized Focal Loss (2020), equation 3; RangiLyu/nanodet, nanodet_plus_head.py, whose points
        are the corners of the cells.
    """
    return _one_output("nanodet", heads, score_threshold, strides, from_corner=np.float32(0))


def decode_v0(heads: Heads, score_threshold: float, *, strides: tuple[int, ...]) -> Candidates:
    """Return what `decode` returns, for NanoDet before Plus: distances are counted from the middle of the cell.

    Source: RangiLyu/nanodet, nanodet_head.py, whose points are the middles of the cells.
    """
    return _one_output("nanodet_v0", heads, score_threshold, strides, from_corner=_HALF)


def _one_output(
    family: str, heads: Heads, score_threshold: float, strides: tuple[int, ...], *, from_corner: np.float32
) -> Candidates:
    """Return the candidates of an output with scores and distances; the points are so many cells from the corners."""
    stored, spec = heads.array("predictions")[0], heads.spec("predictions")
    cells, stride = grid(heads.model_wh, strides)
    check_rows(family, (len(stored),), len(cells), strides)
    classes = stored.shape[1] - _SIDES * _DISTANCES
    rows, scores = best_rows(stored[:, :classes].max(axis=1), spec, score_threshold)
    distances = mean_distances(real(stored[rows, classes:], spec))
    class_ids = stored[rows, :classes].argmax(axis=1).astype(np.int32)
    return Candidates(boxes_around(cells[rows] + from_corner, distances, stride[rows]), scores, class_ids)


def decode_split(heads: Heads, score_threshold: float, *, strides: tuple[int, ...]) -> Candidates:
    """Return the best `MAX_CANDIDATES` cells that reach the threshold, each with its best class.

    Outputs, for each grid, the finest first, each with a quantisation of its own:
        scores_1: (1, N1, classes), sigmoid applied.
        distances_1: (1, N1, 32), the logits of `decode`, counted from the middle of the cell.

    Raises:
        ModelError: a grid has more or fewer rows than cells.

    Source: PaddlePaddle/PaddleDetection, pico_head.py, exported without post-processing; RangiLyu/nanodet,
        nanodet_head.py, the export with two outputs for each grid.
    """
    return joined([_one_grid(heads, score_threshold, level, stride) for level, stride in enumerate(strides, 1)])


def _one_grid(heads: Heads, score_threshold: float, level: int, size: int) -> Candidates:
    scores_role, distances_role = f"scores_{level}", f"distances_{level}"
    stored, logits = heads.array(scores_role)[0], heads.array(distances_role)[0]
    cells, stride = grid(heads.model_wh, (size,))
    check_rows("picodet", (len(stored), len(logits)), len(cells), (size,))
    rows, scores = best_rows(stored.max(axis=1), heads.spec(scores_role), score_threshold)
    distances = mean_distances(real(logits[rows], heads.spec(distances_role)))
    boxes_model = boxes_around(cells[rows] + _HALF, distances, stride[rows])
    return Candidates(boxes_model, scores, stored[rows].argmax(axis=1).astype(np.int32))


def mean_distances(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n, 4) the mean distance of each side, 0 to 7 cells, from logits (n, 32)."""
    by_side = logits.reshape(-1, _SIDES, _DISTANCES)
    weights = np.exp(by_side - by_side.max(axis=2, keepdims=True))
    distances: NDArray[np.float32] = weights @ np.arange(_DISTANCES, dtype=np.float32) / weights.sum(axis=2)
    return distances
