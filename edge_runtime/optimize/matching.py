"""What becomes of the parent's detections in a variant."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.detections import Detections
from edge_runtime.detector import Detector
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.optimize.calibration import Reader
from edge_runtime.vision.boxes import iou

log = logging.getLogger(__name__)

THRESHOLD, LOWER_THRESHOLD = 0.4, 0.2
"""A detection of the parent counts from the first on; the variant has found it if it is there from the second on."""

_SAME_IOU = 0.5


@dataclass(frozen=True, slots=True)
class DetectionError:
    """What became of the parent's detections."""

    pictures: int
    expected: int  # of the parent, from `THRESHOLD` on
    matched: int  # of these, found again with the same class and an IoU of at least 0.5
    extra: int  # of the variant, from `THRESHOLD` on, near none of the parent's
    mean_iou: float | None  # of the matched; None where there are none
    score_difference: float | None  # mean, absolute, of the matched


def compare_detections(parent: Path, variant: Path, readers: Sequence[Reader]) -> DetectionError | None:
    """Return what becomes of the parent's detections; None where one of the two cannot be opened as a detector."""
    try:
        with _detector(parent, THRESHOLD) as one, _detector(variant, LOWER_THRESHOLD) as other:
            pairs = [(one.detect(image), other.detect(image)) for image in (read() for read in readers)]
    except EdgeRuntimeError as exc:
        log.warning("detections not compared reason=%s", exc)
        return None
    matches = [match(expected, found) for expected, found in pairs]
    overlaps = np.concatenate([one.overlaps for one in matches])
    differences = np.concatenate([one.differences for one in matches])
    return DetectionError(
        pictures=len(readers),
        expected=sum(len(expected) for expected, _ in pairs),
        matched=len(overlaps),
        extra=sum(one.extra for one in matches),
        mean_iou=float(overlaps.mean()) if len(overlaps) else None,
        score_difference=float(differences.mean()) if len(overlaps) else None,
    )


def _detector(model: Path, threshold: float) -> Detector:
    return Detector(model, backend="cpu", engine="litert", num_threads=1, score_threshold=threshold)


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """The detections of one picture, paired."""

    overlaps: NDArray[np.float32]  # (matched,) IoU
    differences: NDArray[np.float32]  # (matched,) of the scores, absolute
    extra: int


def match(expected: Detections, found: Detections) -> Match:
    """Return the pairs of one class and an IoU of at least 0.5, best score first; each is in one pair at most."""
    overlap = iou(expected.boxes, found.boxes) * (expected.class_ids[:, None] == found.class_ids[None, :])
    near = overlap.max(axis=0, initial=0.0) >= _SAME_IOU
    extra = int(np.count_nonzero((found.scores >= THRESHOLD) & ~near))
    overlaps, differences = [], []
    for row in range(len(expected)):
        best = int(np.argmax(overlap[row])) if len(found) else 0
        if len(found) and overlap[row, best] >= _SAME_IOU:
            overlaps.append(overlap[row, best])
            differences.append(abs(expected.scores[row] - found.scores[best]))
            overlap[:, best] = 0
    return Match(np.array(overlaps, np.float32), np.array(differences, np.float32), extra)
