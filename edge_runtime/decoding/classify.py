"""Classifiers: one score for each class, of the whole picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import Candidates, Heads, OutputSpec
from edge_runtime.decoding.quantized import best_rows, real
from edge_runtime.vision.nms import MAX_CANDIDATES, best_first


def decode(heads: Heads, score_threshold: float, *, score_kind: str | None) -> Candidates:
    """Return the best `MAX_CANDIDATES` classes that reach the threshold, best first; the box of each is the input.

    Outputs:
        scores: any shape that holds one number for each class: (1, classes), (1, 1, 1, classes).

    The kind of score is "probabilities", "logits", which are made probabilities by a softmax, or None: logits where a
    value lies outside 0 to 1.

    Source: Howard et al., MobileNets (2017), the softmax over 1001 classes with the background first.
    """
    stored, spec = heads.array("scores").reshape(-1), heads.spec("scores")
    if score_kind == "logits" or (score_kind is None and _has_logits(stored, spec)):
        scores = softmax(real(stored, spec))
        class_ids = np.flatnonzero(scores >= score_threshold)
        class_ids = class_ids[best_first(scores[class_ids], MAX_CANDIDATES)]
        scores = scores[class_ids]
    else:
        class_ids, scores = best_rows(stored, spec, score_threshold)
    whole = np.array([0, 0, *heads.model_wh], np.float32)
    return Candidates(np.tile(whole, (len(class_ids), 1)), scores, class_ids.astype(np.int32))


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n,) probabilities from (n,) logits."""
    weights = np.exp(logits.astype(np.float64) - logits.max())
    probabilities: NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
    return probabilities


def _has_logits(stored: NDArray[Any], spec: OutputSpec) -> bool:
    least, most = real(np.array([stored.min(), stored.max()]), spec)
    return bool(least < 0 or most > _NEARLY_ONE)


_NEARLY_ONE = 1.01
