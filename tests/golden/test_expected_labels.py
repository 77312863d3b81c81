"""Real classifiers on a real picture."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.detector import Detector
from tests.golden.test_expected_detections import SCORE_TOLERANCE, picture

EXPECTED = {
    "mobilenet_v1_0.25_224_float32.tflite": [("Egyptian cat", 0.40), ("tabby", 0.23), ("tiger cat", 0.15)],
    "mobilenet_v1_0.25_128_quant.tflite": [("tiger cat", 0.21)],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_best_labels_of_the_whole_picture_are_those_expected(shared: Path, tmp_path: Path, name: str) -> None:
    """Float and 8 bits; the labels are those packed in the float model, a thousand and the background."""
    with zipfile.ZipFile(shared / "models" / "mobilenet_v1_0.25_224_float32.tflite") as archive:
        (tmp_path / "labels.txt").write_bytes(archive.read("labels.txt"))
    labels = None if "float32" in name else tmp_path / "labels.txt"
    image = picture(shared, "images/reference/cat_720p.jpg")
    with Detector(
        shared / "models" / name, labels=labels, task="classify", score_threshold=0.05, max_detections=3, num_threads=1
    ) as detector:
        found = detector.detect(image)
        names = detector.names_of(found)
    assert len(found) <= 3
    for (label, score), got, got_score in zip(EXPECTED[name], names, found.scores.tolist(), strict=False):
        assert label == got
        assert got_score == pytest.approx(score, abs=SCORE_TOLERANCE)
    assert np.array_equal(found.boxes[0], [0, 0, image.shape[1], image.shape[0]])
