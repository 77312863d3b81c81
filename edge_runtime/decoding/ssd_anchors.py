"""Raw SSD: box encodings and class scores for each anchor, no suppression in the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import Candidates, Decoder, Heads
from edge_runtime.decoding.quantized import best_rows, real
from edge_runtime.errors import ModelError
from edge_runtime.vision.anchors import make_anchors

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


def for_recipe(recipe: str, model_wh: tuple[int, int]) -> Decoder:
    """Return the decoder for the anchors that a published recipe makes for an input of this size; see `decode`."""
    return with_anchors(make_anchors(recipe, model_wh))


def with_anchors(anchors: NDArray[np.float32], scales_yxhw: Sequence[float] = SCALES_YXHW) -> Decoder:
    """Return the decoder for these anchors; see `decode`."""
    return partial(decode, anchors=anchors, scales_yxhw=scales_yxhw)


def decode(
    heads: Heads,
    score_threshold: float,
    *,
    anchors: NDArray[np.float32],
    scales_yxhw: Sequence[float] = SCALES_YXHW,
) -> Candidates:
    """Return the best `MAX_CANDIDATES` anchors that reach the threshold, each with its best class.

    One class for an anchor, as the operator TFLite_Detection_PostProcess has it: the same box is not reported as a
    cat and a dog.

    Outputs, found by shape where their roles are not known:
        boxes: (1, N, 4), encodings ty, tx, th, tw.
        scores: (1, N, 1 + classes), column 0 the background, sigmoid already applied.

    The anchors are (N, 4) centre y, centre x, height, width, 0 to 1; the scales are the divisors of the encodings.

    Raises:
        ModelError: the shapes do not fit one another or the anchors.

    Source: Liu et al., SSD (2016), equation 2 inverted; scales of the TensorFlow Object Detection API.
    """
    heads = replace(heads, roles=_complete_roles(heads))
    encodings, stored = heads.array("boxes")[0], heads.array("scores")[0]
    if not len(encodings) == len(stored) == len(anchors):
        raise ModelError(
            f"ssd_anchors: {len(encodings)} boxes, {len(stored)} rows of scores and {len(anchors)} anchors differ; "
            "give the anchors file made for this model"
        )
    best_of_anchor = stored[:, 1:].max(axis=1)
    rows, scores = best_rows(best_of_anchor, heads.spec("scores"), score_threshold)
    boxes_norm = decode_boxes(real(encodings[rows], heads.spec("boxes")), anchors[rows], scales_yxhw)
    boxes_model = boxes_norm * np.array([*heads.model_wh, *heads.model_wh], np.float32)
    return Candidates(boxes_model, scores, stored[rows, 1:].argmax(axis=1).astype(np.int32))


def decode_boxes(
    encodings: NDArray[np.float32], anchors: NDArray[np.float32], scales_yxhw: Sequence[float]
) -> NDArray[np.float32]:
    """Return (n, 4) xyxy, 0 to 1, from encodings (n, 4) ty, tx, th, tw and their anchors (n, 4)."""
    offsets = encodings / np.asarray(scales_yxhw, np.float32)
    centres_yx = offsets[:, :2] * anchors[:, 2:] + anchors[:, :2]
    halves_yx = np.exp(offsets[:, 2:]) * anchors[:, 2:] / 2
    top_left, bottom_right = centres_yx - halves_yx, centres_yx + halves_yx
    return np.concatenate([top_left[:, ::-1], bottom_right[:, ::-1]], axis=1)


def _complete_roles(heads: Heads) -> Mapping[str, int]:
    if "boxes" in heads.roles and "scores" in heads.roles:
        return heads.roles
    outputs = heads.outputs
    boxes = [index for index, output in enumerate(outputs) if output.ndim == 3 and output.shape[2] == 4]
    if len(outputs) != 2 or len(boxes) != 1:
        shapes = ", ".join(str(list(output.shape)) for output in outputs)
        raise ModelError(
            f"ssd_anchors: outputs {shapes} are not boxes [1, N, 4] and scores [1, N, 1 + classes]; "
            "name them in the sidecar: [outputs] boxes = ..., scores = ..."
        )
    return {"boxes": boxes[0], "scores": 1 - boxes[0]}
