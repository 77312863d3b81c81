"""A public model on public pictures, against the figures of an independent decoder."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pycocotools", reason="the extra [evaluate] is not installed")

from edge_runtime.detector import Detector
from edge_runtime.evaluate.dataset import load_coco
from edge_runtime.evaluate.run import evaluate


def test_a_known_model_has_its_known_figures(shared: Path) -> None:
    """Everything between picture and figure at once: colours, scaling, boxes, classes. mAP 0.183, mAP50 0.318.

    Other CPUs and engines move a score by a step or two, and a figure by some thousandths.
    """
    images = shared / "images"
    dataset = load_coco(images / "val2017", images / "instances_val2017_dev.json")
    labels = shared / "models" / "labels" / "labelmap_90.txt"
    model = shared / "models" / "detect.tflite"
    with Detector(model, labels=labels, num_threads=1, score_threshold=0.001) as detector:
        found = evaluate(detector, dataset)
    assert found.map == pytest.approx(0.183, abs=0.006)
    assert found.map50 == pytest.approx(0.318, abs=0.008)
    assert found.per_class["person"].map50 == pytest.approx(0.515, abs=0.015)
    assert (found.images, len(found.per_class), found.only_in_truth, found.only_in_model) == (150, 78, (), ())
    assert found.truths == 1197 - 5


def test_classes_by_number_are_those_by_name(shared: Path) -> None:
    """The same model without its labels: 90 classes, COCO's own numbers."""
    images = shared / "images"
    dataset = load_coco(images / "val2017", images / "instances_val2017_dev.json", limit=12)
    model, labels = shared / "models" / "detect.tflite", shared / "models" / "labels" / "labelmap_90.txt"
    with (
        Detector(model, num_threads=1, score_threshold=0.001) as plain,
        Detector(model, labels=labels, num_threads=1, score_threshold=0.001) as named,
    ):
        by_number, by_name = evaluate(plain, dataset), evaluate(named, dataset)
    assert by_number.results == by_name.results
    assert by_number.map == by_name.map > 0.1
