"""detect.tflite on every shared picture, against the plain loop that tutorials show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.detections import Detections
from edge_runtime.detector import Detector
from edge_runtime.inference.engine import load_engine, quiet_stderr
from edge_runtime.vision.boxes import clip, iou

THRESHOLD = 0.3
SCORE_STEP = 1 / 256


@pytest.fixture(scope="module")
def detector(shared: Path) -> Iterator[Detector]:
    with Detector(
        shared / "models" / "detect.tflite",
        labels=shared / "models" / "labels" / "labelmap_90.txt",
        num_threads=1,
        score_threshold=THRESHOLD,
    ) as opened:
        yield opened


def plain_loop(model: Path, pictures: list[Path]) -> Iterator[tuple[Path, Detections]]:
    """Resize, convert, invoke, scale: nothing of the package is used but the choice of the engine."""
    with quiet_stderr():
        interpreter = load_engine().interpreter(model_path=str(model), num_threads=1)
        interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    outputs = interpreter.get_output_details()
    for picture in pictures:
        image = cv2.imread(str(picture))
        height, width = image.shape[:2]
        rgb = cv2.cvtColor(cv2.resize(image, (300, 300)), cv2.COLOR_BGR2RGB)
        interpreter.set_tensor(source["index"], rgb[None])
        interpreter.invoke()
        boxes, classes, scores, count = (interpreter.get_tensor(one["index"])[0] for one in outputs)
        rows = np.flatnonzero(scores[: int(count)] >= THRESHOLD)
        pixels = boxes[rows][:, [1, 0, 3, 2]] * np.array([width, height, width, height], np.float32)
        clipped = clip(pixels.astype(np.float32), (width, height))
        yield picture, Detections(clipped, scores[rows], classes[rows].astype(np.int32))


def test_every_shared_picture_gives_what_the_plain_loop_gives(shared: Path, detector: Detector) -> None:
    """All that is clever here (buffers, tables, thresholds on stored values) must not change a detection."""
    pictures = [
        *sorted((shared / "images" / "val2017").glob("*.jpg")),
        *sorted((shared / "images/reference").iterdir()),
    ]
    total = 0
    for picture, expected in plain_loop(shared / "models" / "detect.tflite", pictures):
        found = detector.detect(cv2.imread(str(picture)))
        assert len(found) == len(expected), picture.name
        assert found.class_ids.tolist() == expected.class_ids.tolist(), picture.name
        assert np.abs(found.scores - expected.scores).max(initial=0) <= SCORE_STEP, picture.name
        solid = np.diagonal(iou(found.boxes, expected.boxes))
        assert solid.min(initial=1) >= 0.99, picture.name
        total += len(found)
    assert total > 300
