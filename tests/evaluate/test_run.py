"""A detector over a data set: figures that can be worked out on paper."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from edge_runtime.capture.scene import SHAPES
from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.evaluate.dataset import Category, scenes
from edge_runtime.model.labels import Labels
from tests.evaluate.scripted import HEIGHT, SPEC, WIDTH, make_dataset, make_detector

pytest.importorskip("pycocotools", reason="the extra [evaluate] is not installed")

from edge_runtime.evaluate.run import evaluate

CAT = {"category_id": 1, "bbox": [100, 40, 100, 100]}
OTHER_CAT = {"category_id": 1, "bbox": [260, 40, 100, 100]}
DOG = {"category_id": 2, "bbox": [10, 10, 60, 60]}


def test_all_found_and_nothing_else_is_one() -> None:
    """Also the first annotation, whose id is 0: pycocotools takes that id for no partner at all."""
    detector = make_detector({0: [(0.9, (100, 40, 100, 100), 0), (0.8, (10, 10, 60, 60), 1)], 1: [
        (0.7, (260, 40, 100, 100), 0)]})  # fmt: skip
    found = evaluate(detector, make_dataset([CAT, DOG, {**OTHER_CAT, "image_id": 1}], pictures=2))
    assert_allclose([found.map, found.map50, found.map75], 1)
    assert {name: one.truths for name, one in found.per_class.items()} == {"cat": 2, "dog": 1}
    assert (found.images, found.truths, found.detections) == (2, 3, 3)
    assert_allclose(found.curves.at_50, 1)


def test_one_of_two_found_is_half_of_the_recalls() -> None:
    """Precision is 1 at the recalls 0, 0.01 ... 0.5, which are 51 of 101."""
    found = evaluate(make_detector({0: [(0.9, (100, 40, 100, 100), 0)]}), make_dataset([CAT, OTHER_CAT]))
    assert_allclose([found.map, found.map50], 51 / 101)


def test_a_false_one_with_a_better_score_halves_the_precision() -> None:
    rows = [(0.9, (5, 5, 30, 30), 0), (0.8, (100, 40, 100, 100), 0)]
    found = evaluate(make_detector({0: rows}), make_dataset([CAT]))
    assert_allclose([found.map, found.map50], 0.5)


def test_a_false_one_with_a_worse_score_costs_nothing() -> None:
    rows = [(0.9, (100, 40, 100, 100), 0), (0.8, (5, 5, 30, 30), 0)]
    assert_allclose(evaluate(make_detector({0: rows}), make_dataset([CAT])).map, 1)


def test_a_loose_box_counts_only_at_the_overlaps_it_reaches() -> None:
    """100x62 of 100x100 is 0.62: enough for 0.5, 0.55 and 0.6, three of ten."""
    found = evaluate(make_detector({0: [(0.9, (100, 40, 100, 62), 0)]}), make_dataset([CAT]))
    assert_allclose([found.map, found.map50, found.map75], [0.3, 1, 0])
    assert_allclose(found.curves.mean, 0.3)


def test_the_mean_is_that_of_the_classes_not_of_the_boxes() -> None:
    found = evaluate(make_detector({0: [(0.9, (100, 40, 100, 100), 0)]}), make_dataset([CAT, DOG]))
    assert_allclose(found.map, 0.5)
    assert_allclose([found.per_class["cat"].map, found.per_class["dog"].map], [1, 0])


def test_what_is_found_in_a_crowd_is_neither_right_nor_wrong() -> None:
    """A crowd is a region with more of them than anybody wanted to outline."""
    rows = [(0.9, (210, 10, 50, 50), 0), (0.85, (300, 20, 50, 50), 0), (0.8, (100, 40, 100, 100), 0)]
    crowd = {"category_id": 1, "bbox": [205, 0, 195, 200], "iscrowd": 1}
    found = evaluate(make_detector({0: rows}), make_dataset([CAT, crowd]))
    assert_allclose(found.map, 1)
    assert found.truths == found.per_class["cat"].truths == 1


def test_nothing_found_is_zero_and_no_error() -> None:
    found = evaluate(make_detector({}), make_dataset([CAT]))
    assert (found.map, found.map50, found.detections, found.results) == (0, 0, 0, [])


def test_a_class_without_a_box_in_the_truth_does_not_count() -> None:
    """COCO has no figure for it; a 0 would pull the mean down."""
    found = evaluate(make_detector({0: [(0.9, (100, 40, 100, 100), 0)]}), make_dataset([CAT]))
    assert list(found.per_class) == ["cat"]
    assert_allclose(found.map, 1)


def test_classes_that_one_side_lacks_are_named_and_left_out() -> None:
    """A model of two classes is measured by what it was made for, and everybody sees that it was."""
    rows = [(0.9, (100, 40, 100, 100), 0), (0.8, (10, 10, 60, 60), 1)]
    categories = [Category(1, "cat"), Category(2, "horse")]
    found = evaluate(make_detector({0: rows}), make_dataset([CAT, DOG], categories=categories))
    assert_allclose(found.map, 1)
    assert (found.only_in_truth, found.only_in_model) == (("horse",), ("dog",))
    assert [row["category_id"] for row in found.results] == [1]


def test_results_are_rows_of_coco() -> None:
    found = evaluate(make_detector({0: [(0.9, (100, 40, 100, 62), 0)]}), make_dataset([CAT]))
    [row] = found.results
    assert list(row) == ["image_id", "category_id", "bbox", "score"]
    assert (row["image_id"], row["category_id"], row["score"]) == (0, 1, 0.9)
    assert_allclose(row["bbox"], [100, 40, 100, 62], atol=1e-3)


def test_progress_counts_every_picture() -> None:
    seen: list[tuple[int, int]] = []
    evaluate(make_detector({}), make_dataset([CAT], pictures=3), on_progress=lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_mean_of_the_invoke_times_is_a_time() -> None:
    assert 0 < evaluate(make_detector({}), make_dataset([CAT])).mean_invoke_ms < 1000


def test_pycocotools_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """stdout belongs to the figures: a JSON reader behind a pipe wants nothing else."""
    evaluate(make_detector({0: [(0.9, (100, 40, 100, 100), 0)]}), make_dataset([CAT]))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("box", [(np.nan, 0, 10, 10), (0, 0, 10, np.nan)])
def test_a_box_that_is_no_number_is_the_models_fault(box: Any) -> None:
    """A damaged model must not come out as merely a bad one."""
    with pytest.raises(ModelError, match=r"0\.png: the model gives the box .*nan"):
        evaluate(make_detector({0: [(0.9, box, 0)]}), make_dataset([CAT]))


def test_a_box_inside_out_is_an_empty_one() -> None:
    found = evaluate(make_detector({0: [(0.9, (100, 40, -20, 50), 0)]}), make_dataset([CAT]))
    assert found.map == 0
    assert found.results[0]["bbox"][2] == 0


def test_no_class_in_common_is_an_error() -> None:
    with pytest.raises(ConfigError, match="--labels"):
        evaluate(make_detector({}), make_dataset([CAT], categories=[Category(1, "horse"), Category(2, "cow")]))


def test_only_crowds_are_nothing_to_measure() -> None:
    with pytest.raises(ConfigError, match="grey: no box of a class"):
        evaluate(make_detector({}), make_dataset([{**CAT, "iscrowd": 1}]))


def test_a_model_without_labels_goes_by_number() -> None:
    spec = replace(SPEC, labels=None, num_classes=2)
    found = evaluate(make_detector({0: [(0.9, (10, 10, 60, 60), 1)]}, spec), make_dataset([DOG]))
    assert_allclose(found.per_class["dog"].map, 1)


def test_whoever_finds_every_drawn_shape_gets_one() -> None:
    """The truth of the scenes, their numbers and their classes fit together; one class off, and it is 0."""
    dataset = scenes(4, size_wh=(WIDTH, HEIGHT))
    found: dict[int, list[Any]] = {}
    for row in dataset.annotations:
        found.setdefault(row["image_id"], []).append((0.9, tuple(row["bbox"]), row["category_id"] - 1))
    spec = replace(SPEC, labels=Labels(SHAPES))
    measured = evaluate(make_detector(found, spec, is_in_order=True), dataset)
    assert_allclose([measured.map, measured.map75], 1)
    assert measured.truths == measured.detections == len(dataset.annotations) > 4
