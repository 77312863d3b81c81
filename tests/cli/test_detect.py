"""``edge-runtime detect``: one picture."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from tests.cli.program import Done, found_in
from tests.factory.models import write_classifier

Edge = Callable[..., Done]


@pytest.fixture
def photo(pictures: Path) -> Path:
    return pictures / "shot1.png"


def test_the_picture_is_described_and_annotated(edge: Edge, model: Path, photo: Path, tmp_path: Path) -> None:
    """The example of the README: a table on stdout, a picture of the same size, its name on stderr."""
    done = edge("detect", "--model", model, photo, "--output", "boxes.jpg")
    assert (done.code, done.err) == (0, "wrote boxes.jpg\n")
    assert [line.split()[:2] for line in done.out.splitlines()] == [["person", "0.90"], ["car", "0.60"]]
    drawn, plain = cv2.imread(str(tmp_path / "boxes.jpg")), cv2.imread(str(photo))
    assert drawn.shape == plain.shape
    assert cv2.absdiff(drawn, plain).max() > 50
    assert [path.name for path in tmp_path.iterdir()] == ["boxes.jpg"]


def test_json_is_one_record_of_the_schema(edge: Edge, model: Path, photo: Path) -> None:
    done = edge("detect", "--model", model, photo, "--json")
    [record] = done.records
    assert found_in(record) == ["person", "car"]
    assert record["source"] == str(photo)


def test_nothing_found_says_what_to_try(edge: Edge, model: Path, photo: Path) -> None:
    done = edge("detect", "--model", model, photo, "--threshold", "0.95")
    assert (done.code, done.out) == (0, "nothing found; --threshold sets the lowest score to report\n")


def test_a_picture_that_exists_is_replaced_only_when_asked(
    edge: Edge, model: Path, photo: Path, tmp_path: Path
) -> None:
    args = ("detect", "--model", model, photo, "--output", "boxes.png")
    (tmp_path / "boxes.png").write_text("what was there")
    refused = edge(*args)
    assert (refused.code, refused.out) == (6, "")
    assert (tmp_path / "boxes.png").read_text() == "what was there"
    again = edge(*args, "--overwrite", "-q")
    assert (again.code, again.err) == (0, "")
    assert cv2.imread(str(tmp_path / "boxes.png")) is not None


def test_the_outputs_of_a_service_are_none_of_one_picture(edge: Edge, model: Path, photo: Path, tmp_path: Path) -> None:
    """The file of settings names the service's video; a try with the same file must not touch it."""
    (tmp_path / "edge.toml").write_text(
        f'model = "{model}"\noutput = "all.mp4"\nlog = "all.jsonl"\noverwrite = true\nthreshold = 0.7\n'
    )
    done = edge("detect", "--config", "edge.toml", photo)
    assert (done.code, done.out.split()[0], len(done.out.splitlines())) == (0, "person", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["edge.toml"]


def test_a_picture_with_an_odd_name_is_a_picture(edge: Edge, model: Path, photo: Path, tmp_path: Path) -> None:
    """A leading dash, the name of a source, a pattern, bytes that are no text."""
    for name in (b"-x_y.png", b"scene", b"a*[b].png", b"\xff.png"):
        (tmp_path / os.fsdecode(name)).write_bytes(photo.read_bytes())
        done = edge("detect", "--model", model, "--json", "--", os.fsdecode(name))
        assert (done.code, done.err) == (0, ""), name
        assert found_in(json.loads(done.out)) == ["person", "car"]


def test_a_real_model_on_a_real_picture(edge: Edge, shared: Path) -> None:
    done = edge(
        "detect", "--model", shared / "models" / "ssd_mobilenet_v1_coco_quant_metadata.tflite", "--json",
        "--num-threads", "1", shared / "images" / "reference" / "dog.jpg",
    )  # fmt: skip
    [record] = done.records
    assert {"bicycle", "car", "dog"} <= set(found_in(record))


def test_a_classifier_labels_the_whole_picture(edge: Edge, photo: Path, tmp_path: Path) -> None:
    """Without the flag it is refused with the flag's name; with it there are labels, and nowhere a box round it all."""
    model = write_classifier(tmp_path / "c.tflite", best=1, classes=3)
    (tmp_path / "labels.txt").write_text("cat\ndog\ncow\n")
    refused = edge("detect", "--model", model, photo)
    assert (refused.code, refused.out) == (3, "")
    assert "looks like a classifier" in refused.err
    assert "--task classify" in refused.err
    args = ("detect", "--task", "classify", "--model", model, "--labels", tmp_path / "labels.txt", photo)
    done = edge(*args, "--output", "labelled.png")
    assert (done.code, done.out, done.err) == (0, "dog  0.78\n", "wrote labelled.png\n")
    drawn, plain = cv2.imread(str(tmp_path / "labelled.png")), cv2.imread(str(photo))
    changed = (drawn != plain).any(axis=2)
    assert changed[0, 0]
    assert not changed[-1].any()
    [record] = edge(*args, "--json").records
    height, width = plain.shape[:2]
    assert record["task"] == "classify"
    assert record["detections"] == [{"label": "dog", "class_id": 1, "score": 0.7812, "box": [0, 0, width, height]}]
