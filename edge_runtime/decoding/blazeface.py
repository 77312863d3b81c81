"""BlazeFace: faces as offsets from anchors that only have a middle, and a logit for each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import Candidates, OutputSpec
from edge_runtime.decoding.quantized import best_rows, check_rows, real
from edge_runtime.vision.boxes import xyxy_from_cxcywh
from edge_runtime.vision.grid import grid

PER_CELL = 2
_LARGEST_LOGIT = 100.0


def decode(
    outputs: Sequence[NDArray[Any]],
    specs: Sequence[OutputSpec],
    model_wh: tuple[int, int],
    score_threshold: float,
    roles: Mapping[str, int],
    *,
    strides: tuple[int, ...],
) -> Candidates:
    """Return the best `MAX_CANDIDATES` faces that reach the threshold; their class is 0.

    The six points of each face (eyes, nose, mouth, ears) are left out.

    Args:
        outputs: boxes (1, N, 16): centre x, centre y, width, height and six points, in pixels of the input, counted
            from the middle of the anchor; scores (1, N, 1): logits, cut at -100 and 100.
        specs: of these outputs; a threshold is applied to logits as they are stored.
        model_wh: size of the model's input.
        score_threshold: 0 to 1.
        roles: "boxes" and "scores" -> index.
        strides: of the layers, in pixels, such as 8, 16, 16, 16.

    Raises:
        ModelError: there are more or fewer rows than anchors.

    Source: Bazarevsky et al., BlazeFace (2019); google-ai-edge/mediapipe, face_detection_short_range and
        ssd_anchors_calculator.
    """
    stored, score_spec = outputs[roles["scores"]][0, :, 0], specs[roles["scores"]]
    raw, box_spec = outputs[roles["boxes"]][0], specs[roles["boxes"]]
    middles = anchor_middles(model_wh, strides)
    check_rows("blazeface", (len(stored), len(raw)), len(middles), strides)
    rows, logits = best_rows(stored, score_spec, _logit(score_threshold))
    boxes_cxcywh = real(raw[rows, :4], box_spec)
    boxes_cxcywh[:, :2] += middles[rows]
    scores = 1 / (1 + np.exp(-np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT).astype(np.float64)))
    return Candidates(xyxy_from_cxcywh(boxes_cxcywh), scores.astype(np.float32), np.zeros(len(rows), np.int32))


@lru_cache(maxsize=16)
def anchor_middles(model_wh: tuple[int, int], strides: tuple[int, ...]) -> NDArray[np.float32]:
    """Return (n, 2) the middle of each anchor in pixels; not to be written to.

    Two anchors for each cell of each layer. Layers of the same stride that follow one another are one grid, whose
    cells have all their anchors in a row.
    """
    found = []
    for stride, layers in groupby(strides):
        cells, size = grid(model_wh, (stride,))
        found.append(np.repeat((cells + np.float32(0.5)) * size, PER_CELL * len(list(layers)), axis=0))
    middles = np.concatenate(found)
    middles.setflags(write=False)
    return middles


def _logit(score: float) -> float:
    if not 0 < score < 1:
        return math.copysign(_LARGEST_LOGIT, score - 0.5)
    return math.log(score / (1 - score))
