"""SSD with its post-processing inside the model: four small outputs, already suppressed and sorted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import Candidates, OutputSpec
from edge_runtime.decoding.quantized import at_least, real
from edge_runtime.errors import ModelError
from edge_runtime.vision.boxes import clip, xyxy_from_yxyx

ROLES = ("boxes", "classes", "scores", "count")


def decode(
    outputs: Sequence[NDArray[Any]],
    specs: Sequence[OutputSpec],
    model_wh: tuple[int, int],
    score_threshold: float,
    roles: Mapping[str, int],
) -> Candidates:
    """Return the rows the model counts as valid and that reach the threshold.

    Args:
        outputs: in any order: boxes (1, N, 4) as y1, x1, y2, x2 of the input's height and width, 0 to 1;
            classes (1, N) without background; scores (1, N); count (1,).
        specs: of these outputs.
        model_wh: size of the model's input; boxes are clipped to it, as some begin outside the picture.
        score_threshold: 0 to 1.
        roles: role -> index, as far as the file tells; the others are found by shape and values.

    Raises:
        ModelError: the outputs are not those of this family.

    Source: TensorFlow Lite's TFLite_Detection_PostProcess,
        tensorflow/lite/kernels/detection_postprocess.cc.
    """
    known = complete_roles(outputs, specs, roles)
    picked = {role: (outputs[index][0], specs[index]) for role, index in known.items() if role != "count"}
    stored_scores, score_spec = picked["scores"]
    count = min(
        max(int(real(outputs[known["count"]].reshape(-1)[:1], specs[known["count"]])[0]), 0), len(stored_scores)
    )
    rows = np.flatnonzero(at_least(stored_scores[:count], score_spec, score_threshold))
    boxes_yxyx_norm = real(picked["boxes"][0][rows], picked["boxes"][1])
    boxes_model = xyxy_from_yxyx(boxes_yxyx_norm) * np.array([*model_wh, *model_wh], np.float32)
    class_ids = np.rint(real(picked["classes"][0][rows], picked["classes"][1])).astype(np.int32)
    return Candidates(clip(boxes_model, model_wh), real(stored_scores[rows], score_spec), class_ids)


def complete_roles(
    outputs: Sequence[NDArray[Any]], specs: Sequence[OutputSpec], roles: Mapping[str, int]
) -> dict[str, int]:
    """Return the index of every role: what is given, then what the shape tells, then what the values tell.

    Raises:
        ModelError: there are not four outputs, or no two of shape (1, N).
    """
    known = dict(roles)
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
    return known | dict(zip(rows, _classes_first(free, outputs, specs, known), strict=True))


def _is_boxes(output: NDArray[Any]) -> bool:
    return output.ndim == 3 and output.shape[2] == 4


def _is_count(output: NDArray[Any]) -> bool:
    return output.size == 1 and output.ndim <= 1


def _classes_first(
    pair: list[int], outputs: Sequence[NDArray[Any]], specs: Sequence[OutputSpec], known: Mapping[str, int]
) -> list[int]:
    """Return the two indices as classes, scores.

    Scores lie within 0 to 1 and never rise; classes are whole numbers. Where both could be either, as when every
    row is 0, the order that exporters use decides: (boxes, classes, scores, count) and (scores, boxes, count,
    classes).
    """
    first, second = (real(outputs[index].reshape(-1), specs[index]) for index in pair)
    either = _could_be_pair(first, second), _could_be_pair(second, first)
    if either == (True, False):
        return pair
    if either == (False, True):
        return pair[::-1]
    return pair if known["boxes"] == 0 else pair[::-1]


def _could_be_pair(classes: NDArray[np.float32], scores: NDArray[np.float32]) -> bool:
    are_classes = bool((classes == np.rint(classes)).all())
    are_scores = bool(((scores >= 0) & (scores <= 1)).all() and (np.diff(scores) <= 0).all())
    return are_classes and are_scores
