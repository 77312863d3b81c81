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

COCO_80 = "coco_80.txt"
MODELS = {
    "detect.tflite": "labelmap_90.txt",
    "ssd_mobilenet_v1_coco_quant_metadata.tflite": None,
    "ssd_mobilenet_v1_coco_quant_raw.tflite": "labelmap_90.txt",
    "ssd_mobilenet_v2_fpnlite_320_coco_float_io.tflite": "labelmap_90.txt",
    "yolox_nano_416_float16.tflite": COCO_80,
    "yolox_nano_416_dynamic_range.tflite": COCO_80,
    "agpl-3.0/yolo11n_full_integer_quant_416.tflite": None,
    "blazeface_front_float32.tflite": None,
    "blazeface_short_range.tflite": None,
}
SCORE_TOLERANCE = 0.06
"""Other CPUs, engines and resizers move a quantised score by a few steps."""
COARSE_TOLERANCE = 0.16
"""The integer YOLO has steps of 0.31 before its sigmoid: 0.08 of a score, and the older engine is up to two away."""


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
    floor = expected["threshold"] - COARSE_TOLERANCE
    missed, total = [], 0
    with Detector(shared / "models" / model, labels=labels, num_threads=1, score_threshold=floor) as detector:
        is_older = detector.describe().engine == "tflite-runtime"
        tolerance = COARSE_TOLERANCE if is_older and "full_integer" in model else SCORE_TOLERANCE
        for name, rows in expected["results"].items():
            image = picture(shared, name)
            found = detector.detect(image)
            names = detector.names_of(found)
            missed += [(name, row) for row in rows if not is_among(row, image, found, names, tolerance)]
            total += len(rows)
    # tflite-runtime has kernels of its own for weights of 8 bits with activations of float.
    allowed = total // 5 if is_older and "float_io" in model else 0
    assert total > 2
    assert len(missed) <= allowed, missed


def test_anchors_made_by_the_recipe_find_what_those_of_the_file_find(shared: Path, tmp_path: Path) -> None:
    """The same model without the file beside it.

    The file has its anchors in 8 bits, in steps of 5 pixels of a picture 768 wide: small boxes differ by a little,
    and of two ties that overlap by just the limit one is suppressed.
    """
    name = "ssd_mobilenet_v1_coco_quant_raw.tflite"
    expected = json.loads((shared / "models" / "expected_detections.json").read_text())[name]
    alone = tmp_path / name
    alone.write_bytes((shared / "models" / name).read_bytes())
    labels = shared / "models" / "labels" / "labelmap_90.txt"
    threshold = expected["threshold"] - SCORE_TOLERANCE
    missed, total = [], 0
    with Detector(alone, labels=labels, num_threads=1, score_threshold=threshold) as detector:
        assert detector.spec.anchor_recipe == "ssd"
        for key, rows in expected["results"].items():
            image = picture(shared, key)
            found = detector.detect(image)
            names = detector.names_of(found)
            missed += [(key, row) for row in rows if not is_among(row, image, found, names, SCORE_TOLERANCE, 0.7)]
            total += len(rows)
    assert total > 20
    assert len(missed) <= 1, missed


def test_a_broken_model_is_decoded_and_warned_of(shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its boxes were cut off when it was quantised; that is said once, at the start, with the numbers."""
    labels = shared / "models" / "labels" / COCO_80
    image = picture(shared, "images/reference/dog.jpg")
    with Detector(shared / "models" / "yolox_nano_416_int8_BROKEN.tflite", labels=labels, num_threads=1) as detector:
        assert len(detector.detect(image))
        detector.detect(image)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "share one quantisation, 0 to 0.996 in steps of 0.00391" in warnings[0]


def is_among(
    row: dict[str, Any],
    image: np.ndarray,
    found: Detections,
    names: tuple[str, ...],
    tolerance: float,
    least_iou: float = 0.85,
) -> bool:
    """Return whether an expected row is found: the label, a box that fits, a score within the tolerance."""
    box = clip(np.array([row["box_xyxy"]], np.float32), (image.shape[1], image.shape[0]))
    fits = (iou(box, found.boxes)[0] >= least_iou) & (np.abs(found.scores - row["score"]) <= tolerance)
    return row["label"] in {one for one, fit in zip(names, fits, strict=True) if fit}
