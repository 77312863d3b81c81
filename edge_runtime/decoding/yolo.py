"""The heads of the YOLO exports that decode their boxes in the model: v8 and v11, v5, and the ones without NMS.

Boxes are in pixels of the input or, as in the TensorFlow Lite exports, normalised to 0 to 1: which of the two is the
setting `box_unit`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import Candidates, Heads, OutputSpec
from edge_runtime.decoding.objectness import best_objects
from edge_runtime.decoding.quantized import best_rows, real
from edge_runtime.vision.boxes import xyxy_from_cxcywh


def decode(heads: Heads, score_threshold: float, *, box_unit: str) -> Candidates:
    """Return the best `MAX_CANDIDATES` columns that reach the threshold, each with its best class.

    Outputs:
        predictions: (1, 4 + classes, N), rows centre x, centre y, width, height and the class scores, 0 to 1.

    Source: ultralytics/ultralytics, the exports of YOLOv8, YOLO11 and, without the end-to-end head, YOLO26.
    """
    return _joined(heads, heads.array("predictions")[0], score_threshold, box_unit)


def decode_rows(heads: Heads, score_threshold: float, *, box_unit: str) -> Candidates:
    """Return what `decode` returns, for a head whose axes have been exchanged: predictions (1, N, 4 + classes).

    Source: as `decode`; converters that move channels last transpose this output as well.
    """
    return _joined(heads, heads.array("predictions")[0].T, score_threshold, box_unit)


def _joined(heads: Heads, stored: NDArray[Any], score_threshold: float, box_unit: str) -> Candidates:
    """Return the candidates of boxes and scores in one (4 + classes, N)."""
    spec = heads.spec("predictions")
    return _best(stored[:4], spec, stored[4:], spec, score_threshold, _pixels(box_unit, heads.model_wh))


def decode_split(heads: Heads, score_threshold: float, *, box_unit: str) -> Candidates:
    """Return what `decode` returns, for a head cut before boxes and scores are joined.

    Each then has a quantisation of its own, so scores keep their precision.

    Outputs:
        boxes: (1, 4, N), centre x, centre y, width, height.
        scores: (1, classes, N), 0 to 1.

    Source: as `decode`; the two inputs of its last concatenation.
    """
    return _split(heads, heads.array("boxes")[0], heads.array("scores")[0], score_threshold, box_unit)


def decode_split_rows(heads: Heads, score_threshold: float, *, box_unit: str) -> Candidates:
    """Return what `decode_split` returns, with the axes exchanged: boxes (1, N, 4) and scores (1, N, classes).

    Source: as `decode_split`.
    """
    return _split(heads, heads.array("boxes")[0].T, heads.array("scores")[0].T, score_threshold, box_unit)


def _split(
    heads: Heads, boxes_cxcywh: NDArray[Any], stored: NDArray[Any], score_threshold: float, box_unit: str
) -> Candidates:
    """Return the candidates of boxes (4, N) and scores (classes, N), each as its own output has them."""
    scale = _pixels(box_unit, heads.model_wh)
    return _best(boxes_cxcywh, heads.spec("boxes"), stored, heads.spec("scores"), score_threshold, scale)


def decode_v5(heads: Heads, score_threshold: float, *, box_unit: str) -> Candidates:
    """Return the best `MAX_CANDIDATES` rows that reach the threshold, each with its best class.

    Outputs:
        predictions: (1, N, 5 + classes), centre x, centre y, width, height, objectness and class scores.

    Source: ultralytics/yolov5, export.py.
    """
    stored, spec = heads.array("predictions")[0], heads.spec("predictions")
    rows, scores, class_ids = best_objects(stored, spec, score_threshold)
    boxes_cxcywh = real(stored[rows, :4], spec) * _pixels(box_unit, heads.model_wh)
    return Candidates(xyxy_from_cxcywh(boxes_cxcywh), scores, class_ids)


def decode_end_to_end(heads: Heads, score_threshold: float, *, box_unit: str) -> Candidates:
    """Return the rows that reach the threshold; overlaps are already gone.

    Outputs:
        predictions: (1, N, 6), left, top, right, bottom, score and class.

    Source: ultralytics/ultralytics, the exports of YOLOv10 and YOLO26, and of others with NMS in the model.
    """
    stored, spec = heads.array("predictions")[0], heads.spec("predictions")
    rows, scores = best_rows(stored[:, 4], spec, score_threshold)
    boxes_model = real(stored[rows, :4], spec) * _pixels(box_unit, heads.model_wh)
    return Candidates(boxes_model, scores, np.rint(real(stored[rows, 5], spec)).astype(np.int32))


def _best(
    boxes_cxcywh: NDArray[Any],
    box_spec: OutputSpec,
    stored_scores: NDArray[Any],
    score_spec: OutputSpec,
    threshold: float,
    scale: NDArray[np.float32],
) -> Candidates:
    """Return the best columns of boxes (4, N) and scores (classes, N), both as stored."""
    columns, scores = best_rows(stored_scores.max(axis=0), score_spec, threshold)
    boxes_model = xyxy_from_cxcywh(real(boxes_cxcywh[:, columns].T, box_spec) * scale)
    return Candidates(boxes_model, scores, stored_scores[:, columns].argmax(axis=0).astype(np.int32))


def _pixels(box_unit: str, model_wh: tuple[int, int]) -> NDArray[np.float32]:
    """Return (4,) what a box is multiplied by to be in pixels."""
    return np.array([*model_wh, *model_wh] if box_unit == "normalized" else [1] * 4, np.float32)
