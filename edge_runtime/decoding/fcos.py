"""FCOS: each cell of a grid tells how far the sides of its box lie from its middle, and a score for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import Candidates, OutputSpec
from edge_runtime.decoding.quantized import best_rows, check_rows, real
from edge_runtime.vision.grid import grid


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
        outputs: boxes (1, N, 4), the distances from the middle of the cell to the left, top, right and bottom side,
            in cells; scores (1, N, classes), 0 to 1, no background. Cells run along rows, the finest grid first.
        specs: of these outputs; a threshold is applied to scores as they are stored.
        model_wh: size of the model's input.
        score_threshold: 0 to 1.
        roles: "boxes" and "scores" -> index.
        strides: of the grids, in pixels.

    Raises:
        ModelError: there are more or fewer rows than cells.

    Source: Tian et al., FCOS (2019), with the distances counted in strides and no centre-ness. A side cannot lie
    behind the middle, so a negative distance is 0.
    """
    stored, score_spec = outputs[roles["scores"]][0], specs[roles["scores"]]
    distances, box_spec = outputs[roles["boxes"]][0], specs[roles["boxes"]]
    cells, stride = grid(model_wh, strides)
    check_rows("fcos", (len(stored), len(distances)), len(cells), strides)
    rows, scores = best_rows(stored.max(axis=1), score_spec, score_threshold)
    boxes_model = boxes_around(cells[rows] + np.float32(0.5), real(distances[rows], box_spec), stride[rows])
    return Candidates(boxes_model, scores, stored[rows].argmax(axis=1).astype(np.int32))


def boxes_around(
    middles: NDArray[np.float32], distances_ltrb: NDArray[np.float32], stride: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return (n, 4) xyxy, pixels, from middles (n, 2) and distances (n, 4), both in cells of `stride` (n, 1) pixels."""
    ahead = np.maximum(distances_ltrb, np.float32(0))
    boxes: NDArray[np.float32] = np.concatenate([middles - ahead[:, :2], middles + ahead[:, 2:]], axis=1) * stride
    return boxes
