"""SSD with its post-processing inside the model: four small outputs, already suppressed and sorted.

EfficientDet-Lite ends in the same operator. CenterNet's export for TensorFlow Lite has the same outputs, from plain
operators: its peaks need no suppression.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import Candidates, Heads
from edge_runtime.decoding.quantized import at_least, real
from edge_runtime.errors import ModelError
from edge_runtime.vision.boxes import clip, xyxy_from_yxyx

ROLES = ("boxes", "classes", "scores", "count")


def decode(heads: Heads, score_threshold: float) -> Candidates:
    """Return the rows the model counts as valid and that reach the threshold.

    Outputs, in any order; those whose roles the file does not tell are found by shape and values:
        boxes: (1, N, 4), y1, x1, y2, x2 of the input's height and width, 0 to 1; clipped to the input, as some begin
            outside the picture.
        classes: (1, N), without background.
        scores: (1, N).
        count: (1,).

    Raises:
        ModelError: the outputs are not those of this family.

    Source: TensorFlow Lite's TFLite_Detection_PostProcess,
        tensorflow/lite/kernels/detection_postprocess.cc; TensorFlow Object Detection API,
        export_tflite_graph_lib_tf2.py, for the same outputs of CenterNet.
    """
    heads = replace(heads, roles=complete_roles(heads))
    stored = heads.array("scores")[0]
    counted = np.nan_to_num(real(heads.array("count").reshape(-1)[:1], heads.spec("count")))
    count = min(max(int(counted[0]), 0), len(stored))
    rows = np.flatnonzero(at_least(stored[:count], heads.spec("scores"), score_threshold))
    scores, class_ids, boxes_yxyx_norm = (
        real(heads.array(role)[0][rows], heads.spec(role)) for role in ("scores", "classes", "boxes")
    )
    boxes_model = xyxy_from_yxyx(boxes_yxyx_norm) * np.array([*heads.model_wh, *heads.model_wh], np.float32)
    return Candidates(clip(boxes_model, heads.model_wh), scores, np.rint(class_ids).astype(np.int32))


def complete_roles(heads: Heads) -> dict[str, int]:
    """Return the index of every role: what is given, then what the shape tells, then what the values tell.

    Raises:
        ModelError: there are not four outputs, or no two of shape (1, N).
    """
    outputs, known = heads.outputs, dict(heads.roles)
    if all(role in known for role in ROLES):
        return known
    free = [index for index in range(len(outputs)) if index not in known.values()]
    for role, fits in (("boxes", _is_boxes), ("count", _is_count)):
        if role not in known:
            known[role] = next((index for index in free if fits(outputs[index])), -1)
            free = [index for index in free if index != known[role]]
    rows = [role for role in ("classes", "scores") if role not in known]
    if -1 in known.values() or len(free) != len(rows):
        shapes = ", ".join(str(list(output.shape)) for output in outputs)
        raise ModelError(
            f"ssd_postprocess: outputs {shapes} are not boxes [1, N, 4], classes [1, N], scores [1, N] and count [1]; "
            "name them in the sidecar: [outputs] boxes = ..., classes = ..., scores = ..., count = ..."
        )
    if len(rows) == 1:
        return known | {rows[0]: free[0]}
    return known | dict(zip(rows, _classes_first(free, heads, boxes_lead=known["boxes"] == 0), strict=True))


def _is_boxes(output: NDArray[Any]) -> bool:
    return output.ndim == 3 and output.shape[2] == 4


def _is_count(output: NDArray[Any]) -> bool:
    return output.size == 1 and output.ndim <= 1


def _classes_first(pair: list[int], heads: Heads, *, boxes_lead: bool) -> list[int]:
    """Return the two indices as classes, scores.

    Scores lie within 0 to 1 and never rise; classes are whole numbers. Where both could be either, as when every
    row is 0, the order that exporters use decides: (boxes, classes, scores, count) and (scores, boxes, count,
    classes).
    """
    first, second = (real(heads.outputs[index].reshape(-1), heads.specs[index]) for index in pair)
    either = _could_be_pair(first, second), _could_be_pair(second, first)
    if either == (True, False):
        return pair
    if either == (False, True):
        return pair[::-1]
    return pair if boxes_lead else pair[::-1]


def _could_be_pair(classes: NDArray[np.float32], scores: NDArray[np.float32]) -> bool:
    are_classes = bool((classes == np.rint(classes)).all())
    are_scores = bool(((scores >= 0) & (scores <= 1)).all() and (np.diff(scores) <= 0).all())
    return are_classes and are_scores
