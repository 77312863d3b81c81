"""An evaluation for programs, for people, and as a plot."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

pytest.importorskip("pycocotools", reason="the extra [evaluate] is not installed")

from edge_runtime.evaluate.dataset import Category
from edge_runtime.evaluate.report import record, text
from edge_runtime.evaluate.run import Evaluation, evaluate
from tests.evaluate.scripted import make_dataset, make_detector

BOX = [100, 40, 100, 100]


def evaluation(categories: Iterable[Category] = (Category(1, "cat"), Category(2, "dog"))) -> Evaluation:
    """Return one in which cats are found and dogs are not."""
    known = list(categories)
    truth = [{"category_id": one.id, "bbox": BOX} for one in known]
    return evaluate(make_detector({0: [(0.9, (100, 40, 100, 62), 0)]}), make_dataset(truth, categories=known))


@pytest.fixture
def report(tmp_path: Path) -> dict[str, Any]:
    model = tmp_path / "m.tflite"
    model.write_bytes(b"model")
    backend = make_detector({}).describe()
    return record(evaluation(), model=model, backend=backend, settings={"threshold": 0.001}, dataset="grey")


def test_the_record_says_all_that_is_needed_to_repeat_it(report: dict[str, Any]) -> None:
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert (report["map"], report["map50"], report["images"]) == (0.15, 0.5, 1)
    assert report["per_class"]["cat"] == {"map": 0.3, "map50": 1.0, "truths": 1}
    assert report["model"]["sha256"] == hashlib.sha256(b"model").hexdigest()
    assert report["model"]["bytes"] == 5
    assert set(report["versions"]) == {"edge-runtime", "engine", "python", "numpy", "opencv"}
    assert report["settings"] == {"threshold": 0.001}
    assert report["date"].endswith("Z")
    assert report["board"]


def test_plain_text_holds_the_figures_and_no_control_characters(report: dict[str, Any]) -> None:
    """It goes into logs and through grep."""
    said = text(report, width=None)
    assert said.isprintable() or set(said) - {"\n"} <= set(map(chr, range(32, 127)))
    lines = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line}
    assert (lines["mAP"][0], lines["mAP50"][0], lines["mAP75"][0]) == ("0.150", "0.500", "0.000")
    assert (lines["cat"], lines["dog"]) == (["1", "0.300", "1.000"], ["1", "0.000", "0.000"])


def test_classes_left_out_are_named(tmp_path: Path) -> None:
    """A mean of fewer classes than somebody thinks is the wrong figure."""
    (tmp_path / "m.tflite").write_bytes(b"")
    found = evaluation([Category(1, "cat"), *(Category(one, f"animal {one}") for one in range(3, 12))])
    report = record(
        found, model=tmp_path / "m.tflite", backend=make_detector({}).describe(), settings={}, dataset="grey"
    )
    said = text(report, width=None)
    assert "9 classes unknown to the model: animal 3, animal 4" in said
    assert "1 class not in the annotations: dog" in said


def test_on_a_terminal_the_table_is_drawn_and_fits(report: dict[str, Any]) -> None:
    pytest.importorskip("rich", reason="the extra [evaluate] is not installed")
    report["per_class"]["[red]" + "x" * 90] = {"map": 0.5, "map50": 0.9, "truths": 3}
    said = text(report, width=72)
    table = said[said.index("class") :]
    assert max(len(line) for line in table.splitlines()) <= 72
    assert table.index("[red]xxx") < table.index("cat") < table.index("dog")
    assert "━" in table


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_a_plot_is_a_picture_and_the_same_each_time(ending: str) -> None:
    pytest.importorskip("matplotlib", reason="the extra [evaluate] is not installed")
    from edge_runtime.evaluate.plot import draw_plot

    found = evaluation([Category(1, "cat"), Category(2, "dog")])
    data = draw_plot(found, "a $model$ of 猫", ending)
    assert draw_plot(found, "a $model$ of 猫", ending) == data
    if ending == ".png":
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert min(image.shape[:2]) > 500
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 50
    else:
        root = ElementTree.fromstring(data)
        words = " ".join(root.itertext())
        assert root.tag.endswith("svg")
        assert "a $model$ of 猫" in words
        assert "recall" in words
        assert "cat  (1)" in words


def test_of_many_classes_the_most_frequent_are_drawn() -> None:
    """80 names on one axis can not be read."""
    pytest.importorskip("matplotlib", reason="the extra [evaluate] is not installed")
    from dataclasses import replace

    from edge_runtime.evaluate.plot import draw_plot
    from edge_runtime.evaluate.run import ClassResult

    many = {f"class-{one}": ClassResult(one / 80, one / 80, one) for one in range(1, 81)}
    words = " ".join(ElementTree.fromstring(draw_plot(replace(evaluation(), per_class=many), "", ".svg")).itertext())
    assert "class-80  (80)" in words
    assert "class-57  (57)" in words
    assert "class-56" not in words
    assert "The 24 most frequent classes" in words
