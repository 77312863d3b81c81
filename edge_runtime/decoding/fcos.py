"""FCOS: each cell of a grid tells how far the sides of its box lie from its middle, and a score for each class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import Candidates, Heads
from edge_runtime.decoding.quantized import best_rows, check_rows, real
from edge_runtime.vision.grid import grid


def decode(heads: Heads, score_threshold: float, *, strides: tuple[int, ...]) -> Candidates:
    """Return the best `MAX_CANDIDATES` cells that reach the threshold, each with its best class.

    Outputs:
        boxes: (1, N, 4), the distances from the middle of the cell to the left, top, right and bottom side, in cells.
        scores: (1, N, classes), 0 to 1, no background. Cells run along rows, the finest grid first.

    Raises:
        ModelError: there are more or fewer rows than cells.

    Source: Tian et al., FCOS (2019), with the distances counted in strides and no centre-ness. A side cannot lie
    behind the middle, so a negative distance is 0.
    """
    stored, distances = heads.array("scores")[0], heads.array("boxes")[0]
    cells, stride = grid(heads.model_wh, strides)
    check_rows("fcos", (len(stored), len(distances)), len(cells), strides)
    rows, scores = best_rows(stored.max(axis=1), heads.spec("scores"), score_threshold)
    sides = real(distances[rows], heads.spec("boxes"))
    boxes_model = boxes_around(cells[rows] + np.float32(0.5), sides, stride[rows])
    return Candidates(boxes_model, scores, stored[rows].argmax(axis=1).astype(np.int32))


def boxes_around(
    middles: NDArray[np.float32], distances_ltrb: NDArray[np.float32], stride: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return (n, 4) xyxy, pixels, from middles (n, 2) and distances (n, 4), both in cells of `stride` (n, 1) pixels."""
    ahead = np.maximum(distances_ltrb, np.float32(0))
    boxes: NDArray[np.float32] = np.concatenate([middles - ahead[:, :2], middles + ahead[:, 2:]], axis=1) * stride
    return boxes
