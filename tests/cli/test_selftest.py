"""``edge-runtime selftest`` as a user starts it, on models whose answer is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.capture.sprites import SHAPES
from edge_runtime.selftest.frames import card_truth, homography, lay_over
from tests.cli.program import Done
from tests.factory.metadata import embedded_metadata
from tests.factory.models import write_postprocess_ssd

Edge = Callable[..., Done]
SIZE_WH = (640, 480)
CHECKS = ("recall", "source colours", "input colours", "orientation", "latency")


@pytest.fixture(scope="session")
def held_card() -> np.ndarray:
    """Return the homography of a card held a little askew."""
    return homography(SIZE_WH, fill=0.85, turn=0.12, tilt=(0.3, -0.2))


@pytest.fixture
def photo(tmp_path: Path, held_card: np.ndarray) -> Path:
    """Return a picture of that card before a grey wall."""
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), lay_over(np.full((*SIZE_WH[::-1], 3), 90, np.uint8), held_card))
    return path


def write_finder(path: Path, held_card: np.ndarray, labels: Sequence[str] = SHAPES) -> Path:
    """Write a model that finds that card in every picture, where it is in the photo."""
    boxes = card_truth(held_card).boxes / np.tile(SIZE_WH, 2)
    return write_postprocess_ssd(
        path, boxes=boxes[:, [1, 0, 3, 2]], classes=list(range(6)), scores=[0.9] * 6, num_classes=6,
        metadata=embedded_metadata(), packed={"labelmap.txt": "\n".join(labels)},
    )  # fmt: skip


@pytest.fixture
def finder(tmp_path: Path, held_card: np.ndarray) -> Path:
    return write_finder(tmp_path / "finder.tflite", held_card)


def statuses(done: Done) -> dict[str, str]:
    return {one["name"]: one["status"] for one in json.loads(done.out)["checks"]}


def test_a_picture_of_the_card_passes(edge: Edge, finder: Path, photo: Path) -> None:
    """What somebody does who sets up a camera: one shot of the card, one answer."""
    done = edge("selftest", "--model", finder, "--source", photo, "--max-latency-ms", 100_000)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[-1] == "passed"
    assert f"{photo}, pictures: 1, with the test card in sight: 1" in done.out
    rows = {line[:15].strip(): line[15:].split()[0] for line in lines if line[15:].split()[:1] == ["pass"]}
    assert rows == dict.fromkeys(CHECKS, "pass")


def test_swapped_colours_fail_with_exit_code_1(edge: Edge, finder: Path, photo: Path) -> None:
    """A script that sets up a hundred boards asks for nothing else."""
    image = cv2.imread(str(photo))
    cv2.imwrite(str(photo), np.ascontiguousarray(image[..., ::-1]))
    done = edge("selftest", "--model", finder, "--source", photo, "--json", "--max-latency-ms", 100_000)
    assert (done.code, done.err) == (1, "")
    assert statuses(done) == {**dict.fromkeys(CHECKS, "pass"), "source colours": "fail"}
    found = json.loads(done.out)
    assert (found["passed"], found["pictures"], found["cards_seen"]) == (False, 1, 1)
    assert Path(found["model"]) == finder


def test_wrong_labels_fail_the_recall(edge: Edge, photo: Path, tmp_path: Path, held_card: np.ndarray) -> None:
    model = write_finder(tmp_path / "wrong.tflite", held_card, SHAPES[::-1])
    done = edge("selftest", "--model", model, "--source", photo)
    assert done.code == 1
    assert "failed: recall" in done.out
    assert "recall: use a model made for the shapes" in done.out


def test_a_limit_on_the_latency_is_kept(edge: Edge, finder: Path, photo: Path) -> None:
    """No model answers within a hundredth of a millisecond."""
    done = edge("selftest", "--model", finder, "--source", photo, "--max-latency-ms", "0.01", "--json")
    assert (done.code, statuses(done)["latency"]) == (1, "fail")


def test_drawn_scenes_are_looked_at_where_no_source_is_named(edge: Edge, finder: Path) -> None:
    """This model finds the same in every picture, which is hardly ever right."""
    done = edge("selftest", "--model", finder, "--frames", "10", "--json")
    assert (done.code, done.err) == (1, "")
    found = json.loads(done.out)
    assert (found["source"], found["pictures"]) == ("scene", 10)
    assert statuses(done)["recall"] == "fail"


def test_the_bundled_model_passes_on_drawn_scenes(edge: Edge) -> None:
    """What comes with the package must work where it is installed."""
    done = edge("selftest", "--json")
    found = json.loads(done.out)
    assert (done.code, found["passed"]) == (0, True), done.out
    assert (found["pictures"], found["cards_seen"]) == (60, 12)


def test_the_bundled_model_finds_the_card_in_a_picture_and_how_it_lies(edge: Edge, photo: Path) -> None:
    """The real model and a picture as a camera mounted in all ways would take it."""
    image = cv2.imread(str(photo))
    assert edge("selftest", "--source", photo).code == 0
    cv2.imwrite(str(photo), image[::-1, ::-1])
    done = edge("selftest", "--source", photo, "--json")
    assert statuses(done)["orientation"] == "fail"
    assert "upside down" in done.out
    cv2.imwrite(str(photo), image[:, ::-1])
    done = edge("selftest", "--source", photo, "--json")
    assert statuses(done)["orientation"] == "fail"
    assert "mirrored" in done.out


def test_a_source_without_the_card_says_how_to_get_one(edge: Edge, model: Path, photo: Path, finder: Path) -> None:
    cv2.imwrite(str(photo), np.zeros((480, 640, 3), np.uint8))
    done = edge("selftest", "--model", finder, "--threshold", "0.95", "--source", photo)
    assert done.code == 1
    assert "print the card with --print-card card.pdf and hold it" in done.out


@pytest.mark.parametrize(
    ("args", "code", "phrases"),
    [
        (("--model", "{model}"), 3, ["name none of circle, square", "leave --model out"]),
        (("--model", "{finder}", "--source", "/dev/video99"), 4, ["/dev/video99"]),
        (("--model", "{finder}", "--source", "none.mp4"), 2, ["'none.mp4' is no file"]),
        (("--model", "{finder}", "--frames", "0"), 2, ["--frames: '0' is not allowed"]),
        (("--model", "{finder}", "--max-latency-ms", "-1"), 2, ["--max-latency-ms: '-1' is not allowed"]),
        (("--print-card", "card.gif"), 2, ["card.gif", ".pdf, .png, .svg"]),
        (("--print-card", "none/card.pdf"), 6, ["the folder none does not exist"]),
    ],
)
def test_what_cannot_be_tested_is_an_error_of_one_line(
    edge: Edge, model: Path, finder: Path, args: tuple[str, ...], code: int, phrases: list[str]
) -> None:
    done = edge("selftest", *(one.format(model=model, finder=finder) for one in args))
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith("edge-runtime: error: ")
    assert done.err.count("\n") == 1
    assert all(phrase in done.err for phrase in phrases), done.err


def test_the_card_is_written_without_a_model(edge: Edge, tmp_path: Path) -> None:
    """It is printed at a desk, before the board is there."""
    assert edge("selftest", "--print-card", "card.pdf") == Done(0, "", "wrote card.pdf\n")
    assert (tmp_path / "card.pdf").read_bytes().startswith(b"%PDF-1.4\n")
    again = edge("selftest", "--print-card", "card.pdf")
    assert (again.code, "add --overwrite" in again.err) == (6, True)
    assert edge("selftest", "--print-card", "card.pdf", "--overwrite").code == 0
