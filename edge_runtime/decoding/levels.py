"""Heads with outputs of their own for each grid: what all of them found together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_runtime.decoding import Candidates
from edge_runtime.vision.nms import MAX_CANDIDATES, best_first


def joined(levels: Sequence[Candidates]) -> Candidates:
    """Return the best `MAX_CANDIDATES` of all levels, best first; all of them have key points, or none has."""
    scores = np.concatenate([level.scores for level in levels])
    best = best_first(scores, MAX_CANDIDATES)
    points = [level.points_model for level in levels if level.points_model is not None]
    return Candidates(
        np.concatenate([level.boxes_model for level in levels])[best],
        scores[best],
        np.concatenate([level.class_ids for level in levels])[best],
        np.concatenate(points)[best] if points else None,
    )
