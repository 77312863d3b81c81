"""Real models on real pictures, against the detections of an independent decoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_runtime.detections import Detections
from edge_runtime.detector import Detector
from edge_runtime.vision.boxes import clip, iou

MODELS = {
    "detect.tflite": "labelmap_90.txt",
    "ssd_mobilenet_v1_coco_quant_metadata.tflite": None,
    "ssd_mobilenet_v1_coco_quant_raw.tflite": "labelmap_90.txt",
    "ssd_mobilenet_v2_fpnlite_320_coco_float_io.tflite": "labelmap_90.txt",
}
SCORE_TOLERANCE = 0.06
"""Other CPUs, engines and resizers move a quantised score by a few steps."""


def picture(shared: Path, name: str) -> np.ndarray:
    """Return a picture, or frame N of "video.mp4#N"."""
    file, _, number = name.partition("#")
    if not number:
        return np.asarray(cv2.imread(str(shared / file)))
    video = cv2.VideoCapture(str(shared / file))
    for _ in range(int(number) + 1):
        ok, image = video.read()
        assert ok
    video.release()
    return np.asarray(image)


@pytest.mark.parametrize("model", MODELS)
def test_each_expected_detection_is_found(shared: Path, model: str) -> None:
    """Label, score and box, from the file to the name: a swapped axis or a label off by one fails here."""
    expected: dict[str, Any] = json.loads((shared / "models" / "expected_detections.json").read_text())[model]
    labels = None if MODELS[model] is None else shared / "models" / "labels" / str(MODELS[model])
    floor = expected["threshold"] - SCORE_TOLERANCE
    missed, total = [], 0
    with Detector(shared / "models" / model, labels=labels, num_threads=1, score_threshold=floor) as detector:
        for name, rows in expected["results"].items():
            image = picture(shared, name)
            found = detector.detect(image)
            missed += [(name, row) for row in rows if not is_among(row, image, found, detector.names_of(found))]
            total += len(rows)
        # tflite-runtime has kernels of its own for weights of 8 bits with activations of float.
        is_other_arithmetic = "float_io" in model and detector.describe().engine == "tflite-runtime"
    assert total > 10
    assert len(missed) <= (total // 5 if is_other_arithmetic else 0), missed


def is_among(row: dict[str, Any], image: np.ndarray, found: Detections, names: tuple[str, ...]) -> bool:
    """Return whether an expected row is found: the label, a box that fits, a score within the tolerance."""
    box = clip(np.array([row["box_xyxy"]], np.float32), (image.shape[1], image.shape[0]))
    fits = (iou(box, found.boxes)[0] >= 0.85) & (np.abs(found.scores - row["score"]) <= SCORE_TOLERANCE)
    return row["label"] in {one for one, fit in zip(names, fits, strict=True) if fit}
