"""The heads of the YOLO exports that decode their boxes in the model: v8 and v11, v5, and the ones without NMS.

Boxes are in pixels of the input or, as in the TensorFlow Lite exports, normalised to 0 to 1: which of the two is the
setting `box_unit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import Candidates, OutputSpec
from edge_runtime.decoding.objectness import best_objects
from edge_runtime.decoding.quantized import best_rows, real
from edge_runtime.vision.boxes import xyxy_from_cxcywh


def decode(
    outputs: Sequence[NDArray[Any]],
    specs: Sequence[OutputSpec],
    model_wh: tuple[int, int],
    score_threshold: float,
    roles: Mapping[str, int],
    *,
    box_unit: str,
) -> Candidates:
    """Return the best `MAX_CANDIDATES` columns that reach the threshold, each with its best class.

    Args:
        outputs: predictions (1, 4 + classes, N): rows centre x, centre y, width, height and the class scores, 0 to 1.
        specs: of these outputs; a threshold is applied to scores as they are stored.
        model_wh: size of the model's input.
        score_threshold: 0 to 1.
        roles: "predictions" -> index.
        box_unit: "pixels" or "normalized".

    Source: ultralytics/ultralytics, the exports of YOLOv8 and YOLO11.
    """
    stored, spec = outputs[roles["predictions"]][0], specs[roles["predictions"]]
    columns, scores = best_rows(stored[4:].max(axis=0), spec, score_threshold)
    boxes_cxcywh = real(stored[:4, columns].T, spec) * _pixels(box_unit, model_wh)
    return Candidates(xyxy_from_cxcywh(boxes_cxcywh), scores, stored[4:, columns].argmax(axis=0).astype(np.int32))


def decode_v5(
    outputs: Sequence[NDArray[Any]],
    specs: Sequence[OutputSpec],
    model_wh: tuple[int, int],
    score_threshold: float,
    roles: Mapping[str, int],
    *,
    box_unit: str,
) -> Candidates:
    """Return the best `MAX_CANDIDATES` rows that reach the threshold, each with its best class.

    Args:
        outputs: predictions (1, N, 5 + classes): centre x, centre y, width, height, objectness and class scores.
        specs: of these outputs; a threshold is applied to scores as they are stored.
        model_wh: size of the model's input.
        score_threshold: 0 to 1.
        roles: "predictions" -> index.
        box_unit: "pixels" or "normalized".

    Source: ultralytics/yolov5, export.py.
    """
    stored, spec = outputs[roles["predictions"]][0], specs[roles["predictions"]]
    rows, scores, class_ids = best_objects(stored, spec, score_threshold)
    boxes_cxcywh = real(stored[rows, :4], spec) * _pixels(box_unit, model_wh)
    return Candidates(xyxy_from_cxcywh(boxes_cxcywh), scores, class_ids)


def decode_end_to_end(
    outputs: Sequence[NDArray[Any]],
    specs: Sequence[OutputSpec],
    model_wh: tuple[int, int],
    score_threshold: float,
    roles: Mapping[str, int],
    *,
    box_unit: str,
) -> Candidates:
    """Return the rows that reach the threshold; overlaps are already gone.

    Args:
        outputs: predictions (1, N, 6): left, top, right, bottom, score and class.
        specs: of these outputs; a threshold is applied to scores as they are stored.
        model_wh: size of the model's input.
        score_threshold: 0 to 1.
        roles: "predictions" -> index.
        box_unit: "pixels" or "normalized".

    Source: ultralytics/ultralytics, the exports of YOLOv10 and YOLO26, and of others with NMS in the model.
    """
    stored, spec = outputs[roles["predictions"]][0], specs[roles["predictions"]]
    rows, scores = best_rows(stored[:, 4], spec, score_threshold)
    boxes_model = real(stored[rows, :4], spec) * _pixels(box_unit, model_wh)
    return Candidates(boxes_model, scores, np.rint(real(stored[rows, 5], spec)).astype(np.int32))


def _pixels(box_unit: str, model_wh: tuple[int, int]) -> NDArray[np.float32]:
    """Return (4,) what a box is multiplied by to be in pixels."""
    return np.array([*model_wh, *model_wh] if box_unit == "normalized" else [1] * 4, np.float32)
