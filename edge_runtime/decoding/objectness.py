"""Heads that say how sure they are of an object, and then of its class: the score is the product."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import OutputSpec
from edge_runtime.decoding.quantized import at_least, real, within_one
from edge_runtime.vision.nms import MAX_CANDIDATES, best_first

_FIRST_CLASS = 5


def best_objects(
    stored: NDArray[Any], spec: OutputSpec, threshold: float
) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.int32]]:
    """Return the best `MAX_CANDIDATES` rows whose score reaches the threshold, best first, their scores and classes.

    Objectness and class score are 0 to 1, so neither can be below the threshold where their product reaches it: both
    are compared as stored, and only what is left is multiplied.

    Args:
        stored: (N, 5 + classes): the box, objectness, class scores, as stored.
        spec: of the output they are from.
        threshold: 0 to 1.
    """
    rows = np.flatnonzero(at_least(stored[:, 4], spec, threshold))
    best_class = stored[rows, _FIRST_CLASS:].max(axis=1)
    passing = at_least(best_class, spec, threshold)
    rows = rows[passing]
    scores = within_one(real(stored[rows, 4], spec)) * within_one(real(best_class[passing], spec))
    reached = np.flatnonzero(scores >= threshold)
    best = reached[best_first(scores[reached], MAX_CANDIDATES)]
    rows = rows[best]
    return rows, scores[best], stored[rows, _FIRST_CLASS:].argmax(axis=1).astype(np.int32)
