"""Numbers of a tensor: thresholds on what is stored, real values only for the rows that pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import OutputSpec
from edge_runtime.errors import ModelError
from edge_runtime.vision.nms import MAX_CANDIDATES, best_first

LARGEST_LOGIT = 100.0


def at_least(stored: NDArray[Any], spec: OutputSpec, threshold: float) -> NDArray[np.bool_]:
    """Return where the real value is at least the threshold, compared as stored: nothing is dequantised.

    A NaN, which a damaged float model can give, is never at least anything.
    """
    quantization = spec.quantization
    if quantization is None:
        return np.asarray(stored >= threshold)
    lowest = math.ceil(round(threshold / quantization.scale + quantization.zero_point, 6))
    return np.asarray(stored >= lowest) if lowest <= np.iinfo(stored.dtype).max else np.zeros(stored.shape, bool)


def real(stored: NDArray[Any], spec: OutputSpec) -> NDArray[np.float32]:
    """Return the real values as float32."""
    if spec.quantization is None:
        return np.asarray(stored, np.float32)
    steps = stored.astype(np.float32) - np.float32(spec.quantization.zero_point)
    values: NDArray[np.float32] = steps * np.float32(spec.quantization.scale)
    return values


def logit(score: float) -> float:
    """Return the logit of a score; of 0 and 1 those at which models cut theirs off, not infinity."""
    if not 0 < score < 1:
        return math.copysign(LARGEST_LOGIT, score - 0.5)
    return math.log(score / (1 - score))


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the scores of logits, 0 to 1."""
    scores = 1 / (1 + np.exp(-np.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT).astype(np.float64)))
    return scores.astype(np.float32)


def within_one(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return scores with what a rounded or damaged model gives beyond 0 to 1 cut off."""
    return np.clip(scores, np.float32(0), np.float32(1))


def best_rows(stored: NDArray[Any], spec: OutputSpec, threshold: float) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the rows of the best `MAX_CANDIDATES` scores that reach the threshold, best first, and their real values.

    Args:
        stored: (n,) scores as stored.
        spec: of the output they are from.
        threshold: 0 to 1.
    """
    rows = np.flatnonzero(at_least(stored, spec, threshold))
    scores = real(stored[rows], spec)
    best = best_first(scores, MAX_CANDIDATES)
    return rows[best], scores[best]


def check_rows(family: str, found: Sequence[int], expected: int, strides: Sequence[int]) -> None:
    """Raise ModelError unless every output has a row for each cell."""
    if any(rows != expected for rows in found):
        raise ModelError(
            f"{family}: outputs have {' and '.join(str(rows) for rows in found)} rows, strides {list(strides)} make "
            f"{expected}; write the strides of this model in its sidecar: strides = [...]"
        )
