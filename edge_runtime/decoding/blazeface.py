"""BlazeFace: faces as offsets from anchors that only have a middle, and a logit for each."""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import Candidates, Heads
from edge_runtime.decoding.quantized import best_rows, check_rows, logit, real, sigmoid
from edge_runtime.vision.boxes import xyxy_from_cxcywh
from edge_runtime.vision.grid import grid

PER_CELL = 2


def decode(heads: Heads, score_threshold: float, *, strides: tuple[int, ...]) -> Candidates:
    """Return the best `MAX_CANDIDATES` faces that reach the threshold, with their key points; their class is 0.

    Outputs:
        boxes: (1, N, 16), centre x, centre y, width, height and x, y of six points (right eye, left eye, nose, mouth,
            right ear, left ear), in pixels of the input, centres and points counted from the middle of the anchor.
        scores: (1, N, 1), logits, cut at -100 and 100.

    The strides are those of the layers, such as 8, 16, 16, 16; each has two anchors for a cell.

    Raises:
        ModelError: there are more or fewer rows than anchors.

    Source: Bazarevsky et al., BlazeFace (2019); google-ai-edge/mediapipe, face_detection_short_range,
        ssd_anchors_calculator and tensors_to_detections_calculator.
    """
    return _decode(heads, score_threshold, anchor_middles(heads.model_wh, strides), strides)


def decode_full_range(heads: Heads, score_threshold: float, *, strides: tuple[int, ...]) -> Candidates:
    """Return what `decode` returns, for the model of faces up to five metres away: one layer, one anchor for a cell.

    Source: google-ai-edge/mediapipe, face_detection_full_range (interpolated_scale_aspect_ratio 0).
    """
    return _decode(heads, score_threshold, anchor_middles(heads.model_wh, strides, per_cell=1), strides)


def _decode(heads: Heads, score_threshold: float, middles: NDArray[np.float32], strides: tuple[int, ...]) -> Candidates:
    """Return the candidates for anchors with these middles (N, 2)."""
    stored, raw = heads.array("scores")[0, :, 0], heads.array("boxes")[0]
    check_rows("blazeface", (len(stored), len(raw)), len(middles), strides)
    rows, logits = best_rows(stored, heads.spec("scores"), logit(score_threshold))
    values = real(raw[rows], heads.spec("boxes"))
    values[:, :2] += middles[rows]
    points = values[:, 4:].reshape(len(rows), (values.shape[1] - 4) // 2, 2) + middles[rows][:, None]
    return Candidates(xyxy_from_cxcywh(values[:, :4]), sigmoid(logits), np.zeros(len(rows), np.int32), points)


@lru_cache(maxsize=16)
def anchor_middles(
    model_wh: tuple[int, int], strides: tuple[int, ...], per_cell: int = PER_CELL
) -> NDArray[np.float32]:
    """Return (n, 2) the middle of each anchor in pixels; not to be written to.

    So many anchors for each cell of each layer. Layers of the same stride that follow one another are one grid, whose
    cells have all their anchors in a row.
    """
    found = []
    for stride, layers in groupby(strides):
        cells, size = grid(model_wh, (stride,))
        found.append(np.repeat((cells + np.float32(0.5)) * size, per_cell * len(list(layers)), axis=0))
    middles = np.concatenate(found)
    middles.setflags(write=False)
    return middles
