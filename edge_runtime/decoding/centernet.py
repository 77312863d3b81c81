"""CenterNet: a map of scores for each class, whose peaks are the middles of things, with their size beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import Candidates, Heads
from edge_runtime.decoding.quantized import at_least, best_rows, check_rows, logit, real, sigmoid
from edge_runtime.vision.boxes import xyxy_from_cxcywh
from edge_runtime.vision.grid import grid


def decode(heads: Heads, score_threshold: float, *, strides: tuple[int, ...]) -> Candidates:
    """Return the best `MAX_CANDIDATES` peaks that reach the threshold. They need no suppression.

    Outputs:
        scores: (1, H, W, classes), 0 to 1 or, where one of them is negative, logits.
        sizes: (1, H, W, 2), width and height in cells.
        offsets: (1, H, W, 2), x and y from the corner of the cell in cells.

    Raises:
        ModelError: there are more or fewer cells than the input has.

    Source: Zhou et al., Objects as Points (2019), section 3; xingyizhou/CenterNet, models/decode.py, ctdet_decode.
    """
    return _decode(heads, score_threshold, strides, channels_at=-1)


def decode_planes(heads: Heads, score_threshold: float, *, strides: tuple[int, ...]) -> Candidates:
    """Return what `decode` returns, for outputs with the channels in front: scores (1, classes, H, W), and so on.

    Source: as `decode`.
    """
    return _decode(heads, score_threshold, strides, channels_at=0)


_ROLES = ("scores", "sizes", "offsets")


def _decode(heads: Heads, score_threshold: float, strides: tuple[int, ...], *, channels_at: int) -> Candidates:
    """Return the candidates of maps whose channels are this axis of one picture's."""
    stored, sizes, offsets = (np.moveaxis(heads.array(role)[0], channels_at, -1) for role in _ROLES)
    score_spec, size_spec, offset_spec = (heads.spec(role) for role in _ROLES)
    height, width, classes = stored.shape
    cells, stride = grid(heads.model_wh, strides)
    check_rows("centernet", (height * width,), len(cells), strides)
    # Far from everything a logit is far below zero, and a score never is: the map itself tells which it holds.
    are_logits = not at_least(stored.min(), score_spec, _BELOW_ANY_SCORE).all()
    threshold = logit(score_threshold) if are_logits else score_threshold
    at = np.flatnonzero(at_least(stored, score_spec, threshold).reshape(-1))
    at = at[are_peaks(stored, at)]
    best, values = best_rows(stored.reshape(-1)[at], score_spec, threshold)
    rows, class_ids = np.divmod(at[best], classes)
    middles = cells[rows] + real(offsets.reshape(-1, 2)[rows], offset_spec)
    boxes_cxcywh = np.concatenate([middles, real(sizes.reshape(-1, 2)[rows], size_spec)], axis=1) * stride[rows]
    return Candidates(
        xyxy_from_cxcywh(boxes_cxcywh), sigmoid(values) if are_logits else values, class_ids.astype(np.int32)
    )


_BELOW_ANY_SCORE = -0.5
_AROUND = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0))


def are_peaks(stored: NDArray[Any], at: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return (n,) which of these flat places of a map (H, W, classes) have no higher neighbour among the eight around.

    Of equal ones side by side, as quantised maps have them, the first is the peak. Only what reached the threshold is
    looked at: a few of a million values.
    """
    height, width, _ = stored.shape
    y, x, channel = np.unravel_index(at, stored.shape)
    here = stored[y, x, channel]
    found = np.ones(len(at), bool)
    for down, right in _AROUND:
        there_y, there_x = y + down, x + right
        is_inside = (there_y >= 0) & (there_y < height) & (there_x >= 0) & (there_x < width)
        beside = stored[np.clip(there_y, 0, height - 1), np.clip(there_x, 0, width - 1), channel]
        is_before = (down, right) < (0, 0)
        found &= ~(is_inside & (beside >= here if is_before else beside > here))
    return found
