"""Raw SSD: box encodings and class scores for each anchor, no suppression in the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import Candidates, OutputSpec
from edge_runtime.decoding.quantized import at_least, real
from edge_runtime.errors import ModelError
from edge_runtime.vision.nms import MAX_CANDIDATES, best_first

SCALES_YXHW = (10.0, 10.0, 5.0, 5.0)
"""Divisors of the encodings. Source: TensorFlow Object Detection API, faster_rcnn_box_coder in the SSD pipelines."""


def read_anchors(path: Path) -> NDArray[np.float32]:
    """Return (n, 4) anchors as centre y, centre x, height, width, 0 to 1, from a CSV file; one header line may lead.

    Raises:
        ModelError: the file is missing, or holds no such table.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ModelError(f"anchors: {path} cannot be read ({exc})") from exc
    rows = [line.split(",") for line in lines if line.strip()]
    if rows and not _is_number(rows[0][0]):
        rows = rows[1:]
    try:
        anchors = np.array(rows, np.float32)
    except ValueError as exc:
        raise ModelError(f"anchors: {path} holds something that is no number ({exc})") from exc
    if anchors.ndim != 2 or anchors.shape[1] != 4:
        raise ModelError(f"anchors: {path} needs four columns: centre y, centre x, height, width; got {anchors.shape}")
    return anchors


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def with_anchors(anchors: NDArray[np.float32], scales_yxhw: Sequence[float] = SCALES_YXHW) -> Callable[..., Candidates]:
    """Return the decoder for these anchors; see `decode`."""

    def decoder(*args: Any, **kwargs: Any) -> Candidates:
        return decode(*args, **kwargs, anchors=anchors, scales_yxhw=scales_yxhw)

    return decoder


def decode(
    outputs: Sequence[NDArray[Any]],
    specs: Sequence[OutputSpec],
    model_wh: tuple[int, int],
    score_threshold: float,
    roles: Mapping[str, int],
    *,
    anchors: NDArray[np.float32],
    scales_yxhw: Sequence[float] = SCALES_YXHW,
) -> Candidates:
    """Return the best `MAX_CANDIDATES` anchors that reach the threshold, each with its best class.

    One class for an anchor, as the operator TFLite_Detection_PostProcess has it: the same box is not reported as a
    cat and a dog.

    Args:
        outputs: encodings (1, N, 4) as ty, tx, th, tw, and scores (1, N, 1 + classes), column 0 the background,
            sigmoid already applied.
        specs: of these outputs; a threshold is applied to scores as they are stored.
        model_wh: size of the model's input.
        score_threshold: 0 to 1.
        roles: "boxes" and "scores" -> index; found by shape where absent.
        anchors: (N, 4) centre y, centre x, height, width, 0 to 1.
        scales_yxhw: divisors of the encodings.

    Raises:
        ModelError: the shapes do not fit one another or the anchors.

    Source: Liu et al., SSD (2016), equation 2 inverted; scales of the TensorFlow Object Detection API.
    """
    boxes_at, scores_at = _find_pair(outputs, roles)
    encodings, stored = outputs[boxes_at][0], outputs[scores_at][0]
    if not len(encodings) == len(stored) == len(anchors):
        raise ModelError(
            f"ssd_anchors: {len(encodings)} boxes, {len(stored)} rows of scores and {len(anchors)} anchors differ; "
            "give the anchors file made for this model"
        )
    best_of_anchor = stored[:, 1:].max(axis=1)
    rows = np.flatnonzero(at_least(best_of_anchor, specs[scores_at], score_threshold))
    scores = real(best_of_anchor[rows], specs[scores_at])
    best = best_first(scores, MAX_CANDIDATES)
    rows = rows[best]
    boxes_norm = decode_boxes(real(encodings[rows], specs[boxes_at]), anchors[rows], scales_yxhw)
    boxes_model = boxes_norm * np.array([*model_wh, *model_wh], np.float32)
    return Candidates(boxes_model, scores[best], stored[rows, 1:].argmax(axis=1).astype(np.int32))


def decode_boxes(
    encodings: NDArray[np.float32], anchors: NDArray[np.float32], scales_yxhw: Sequence[float]
) -> NDArray[np.float32]:
    """Return (n, 4) xyxy, 0 to 1, from encodings (n, 4) ty, tx, th, tw and their anchors (n, 4)."""
    offsets = encodings / np.asarray(scales_yxhw, np.float32)
    centres_yx = offsets[:, :2] * anchors[:, 2:] + anchors[:, :2]
    halves_yx = np.exp(offsets[:, 2:]) * anchors[:, 2:] / 2
    top_left, bottom_right = centres_yx - halves_yx, centres_yx + halves_yx
    return np.concatenate([top_left[:, ::-1], bottom_right[:, ::-1]], axis=1)


def _find_pair(outputs: Sequence[NDArray[Any]], roles: Mapping[str, int]) -> tuple[int, int]:
    if "boxes" in roles and "scores" in roles:
        return roles["boxes"], roles["scores"]
    boxes = [index for index, output in enumerate(outputs) if output.ndim == 3 and output.shape[2] == 4]
    if len(outputs) != 2 or len(boxes) != 1:
        shapes = ", ".join(str(list(output.shape)) for output in outputs)
        raise ModelError(
            f"ssd_anchors: outputs {shapes} are not boxes [1, N, 4] and scores [1, N, 1 + classes]; "
            "name them in the sidecar: [outputs] boxes = ..., scores = ..."
        )
    return boxes[0], 1 - boxes[0]
