"""``edge-runtime evaluate``: the figures, the files, and what is said when something is missing."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.cli.program import PROGRAM, Done
from tests.factory.models import write_classifier

pytest.importorskip("pycocotools", reason="the extra [evaluate] is not installed")
pytest.importorskip("rich", reason="the extra [evaluate] is not installed")
pytest.importorskip("matplotlib", reason="the extra [evaluate] is not installed")

Edge = Callable[..., Done]
FLAGS = ("--images", "photos", "--annotations", "truth.json", "--num-threads", "1", "-q")


@pytest.fixture(autouse=True)
def truth(tmp_path: Path) -> dict[str, Any]:
    """Write two pictures of 100x50 and what the model of these tests finds in them: a person and a car."""
    (tmp_path / "photos").mkdir()
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / "photos" / f"{number}.png"), np.full((50, 100, 3), 90, np.uint8))
    boxes = {1: [20, 5, 40, 20], 3: [50, 25, 40, 20]}
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 100, "height": 50} for n in (1, 2)],
        "categories": [{"id": n, "name": name} for n, name in ((1, "person"), (2, "bicycle"), (3, "Car"), (4, "cow"))],
        "annotations": [
            {"id": 10 * n + c, "image_id": n, "category_id": c, "bbox": box} for n in (1, 2) for c, box in boxes.items()
        ],
    }
    (tmp_path / "truth.json").write_text(json.dumps(content))
    return content


def made(folder: Path) -> list[str]:
    """Return the names of what the program left behind."""
    return sorted(path.name for path in folder.iterdir() if path.name not in ("photos", "truth.json"))


def test_the_figures_of_a_model_that_finds_everything_are_one(edge: Edge, model: Path, tmp_path: Path) -> None:
    done = edge("evaluate", model, *FLAGS)
    assert (done.code, done.err) == (0, "")
    lines = {line.split()[0]: line.split()[1:] for line in done.out.splitlines() if line}
    assert (lines["mAP"][0], lines["mAP50"][0], lines["mAP75"][0]) == ("1.000", "1.000", "1.000")
    assert (lines["person"], lines["Car"]) == (["2", "1.000", "1.000"], ["2", "1.000", "1.000"])
    assert "1 class unknown to the model: cow" in done.out
    assert "\x1b" not in done.out
    assert made(tmp_path) == []


def test_where_nobody_sits_before_it_a_line_says_that_it_works(edge: Edge, model: Path) -> None:
    """Five thousand pictures take hours on a board, and a log that stays empty looks like a program that hangs."""
    done = edge("evaluate", model, *FLAGS[:-1])
    assert (done.code, done.err) == (0, "[1/2] evaluating\n")


def test_json_on_stdout_is_all_there_is(edge: Edge, model: Path) -> None:
    done = edge("evaluate", model, *FLAGS, "--json", "-", "--limit", "1")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    assert (found["map"], found["map50"], found["images"], found["truths"]) == (1, 1, 1, 2)
    assert found["per_class"]["Car"] == {"map": 1, "map50": 1, "truths": 1}
    assert found["only_in_annotations"] == ["cow"]
    assert (found["model"]["path"], found["model"]["bytes"]) == (str(model), model.stat().st_size)
    assert (found["settings"]["threshold"], found["settings"]["limit"]) == (0.001, 1)


def test_the_files_are_written_beside_the_table(edge: Edge, model: Path, tmp_path: Path) -> None:
    done = edge("evaluate", model, *FLAGS, "--json", "o.json", "--results", "r.json", "--plot", "p.png")
    assert (done.code, done.err) == (0, "")
    assert "mAP50" in done.out
    assert made(tmp_path) == ["o.json", "p.png", "r.json"]
    assert json.loads((tmp_path / "o.json").read_text())["map"] == 1
    rows = json.loads((tmp_path / "r.json").read_text())
    assert sorted((row["image_id"], row["category_id"]) for row in rows) == [(1, 1), (1, 3), (2, 1), (2, 3)]
    assert all(set(row) == {"image_id", "category_id", "bbox", "score"} for row in rows)
    assert cv2.imread(str(tmp_path / "p.png")) is not None


def test_a_plot_may_be_svg(edge: Edge, model: Path, tmp_path: Path) -> None:
    assert edge("evaluate", model, *FLAGS, "--plot", "p.svg").code == 0
    assert "<svg" in (tmp_path / "p.svg").read_text()


def test_drawn_scenes_need_no_folder(edge: Edge, tmp_path: Path, model: Path) -> None:
    """Their classes are the shapes; the same seed gives the same figures."""
    (tmp_path / "shapes.txt").write_text("circle\nsquare\ntriangle\n")
    args = ("evaluate", model, "--scenes", "3", "--labels", "shapes.txt", "--json", "-", "--num-threads", "1", "-q")
    done = edge(*args)
    assert (done.code, done.err) == (0, "")
    one, same, other = json.loads(done.out), json.loads(edge(*args).out), json.loads(edge(*args, "--seed", "7").out)
    assert (one["images"], one["settings"]["seed"], one["dataset"]) == (3, 2, "drawn scenes, seed 2")
    assert (one["truths"], one["map"]) == (same["truths"], same["map"])
    assert one["per_class"] != other["per_class"]
    assert set(one["only_in_annotations"]) == {"star", "hexagon", "cross"}


def test_what_a_service_reports_is_not_what_is_measured(edge: Edge, model: Path, tmp_path: Path) -> None:
    """A file of settings with threshold 0.8 would hide the car, one with classes the person, and halve the figure."""
    (tmp_path / "edge.toml").write_text("threshold = 0.8\nmax_detections = 1\nclasses = ['car']\n")
    plain = json.loads(edge("evaluate", model, *FLAGS, "--config", "edge.toml", "--json", "-").out)
    asked = json.loads(edge("evaluate", model, *FLAGS, "--threshold", "0.8", "--json", "-").out)
    assert (plain["map"], asked["map"]) == (1, 0.5)


def test_a_file_that_exists_is_replaced_only_when_asked(edge: Edge, model: Path, tmp_path: Path) -> None:
    """Found out before the work, not after."""
    (tmp_path / "o.json").write_text("what was there")
    refused = edge("evaluate", model, *FLAGS, "--results", "r.json", "--json", "o.json")
    assert (refused.code, refused.out) == (6, "")
    assert refused.err == "edge-runtime: error: o.json: exists; add --overwrite to replace it\n"
    assert ((tmp_path / "o.json").read_text(), made(tmp_path)) == ("what was there", ["o.json"])
    assert edge("evaluate", model, *FLAGS, "--json", "o.json", "--overwrite").code == 0
    assert json.loads((tmp_path / "o.json").read_text())["map"] == 1


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        ((), 2, "--images and --annotations: missing; give --images DIR and --annotations FILE, or --scenes N"),
        (("--images", "photos"), 2, "--annotations: missing"),
        (("--scenes", "3", "--images", "photos"), 2, "--scenes and --images: exclude one another"),
        (("--scenes", "3", "--limit", "2"), 2, "--scenes and --limit: exclude one another"),
        (("--scenes", "0"), 2, "--scenes: '0' is not allowed; give a whole number from 1"),
        ((*FLAGS, "--seed", "1"), 2, "--seed: is for drawn scenes"),
        ((*FLAGS, "--limit", "0"), 2, "--limit: '0' is not allowed; give a whole number from 1"),
        ((*FLAGS, "--threshold", "2"), 2, "--threshold: '2' is not allowed; give a number from 0 to 1"),
        ((*FLAGS, "--plot", "p.gif"), 2, "--plot: p.gif has another ending than .png or .svg"),
        ((*FLAGS, "--json", "a", "--results", "./a"), 2, "--json, --results, --plot: two of them name the same file"),
        ((*FLAGS, "--json", "none/a"), 6, "none/a: the folder none does not exist"),
        ((*FLAGS, "--images", "none"), 2, "none: there is no such folder"),
        ((*FLAGS, "--annotations", "none.json"), 2, "none.json: there is no such file"),
        ((*FLAGS, "--annotations", "photos/1.png"), 2, "photos/1.png: is not JSON"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_one_line(
    edge: Edge, model: Path, tmp_path: Path, args: tuple[str, ...], code: int, said: str
) -> None:
    done = edge("evaluate", model, *args)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(f"edge-runtime: error: {said}")
    assert done.err.count("\n") == 1
    assert made(tmp_path) == []


def test_a_model_that_is_no_detector_is_refused(edge: Edge, tmp_path: Path) -> None:
    write_classifier(tmp_path / "classifier.tflite")
    done = edge("evaluate", "classifier.tflite", *FLAGS)
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("edge-runtime: error: classifier.tflite: ")
    assert done.err.count("\n") == 1


def test_a_picture_that_cannot_be_read_stops_it_without_a_file(edge: Edge, model: Path, tmp_path: Path) -> None:
    """Left out it would change the figure, and nobody would know."""
    (tmp_path / "photos" / "2.png").write_bytes(b"no picture")
    done = edge("evaluate", model, *FLAGS, "--json", "o.json")
    assert (done.code, done.out) == (4, "")
    assert "2.png: damaged" in done.err
    assert made(tmp_path) == []


def test_labels_of_another_world_are_named(edge: Edge, model: Path, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("tulip\nrose\noak\n")
    done = edge("evaluate", model, *FLAGS, "--labels", "other.txt")
    assert done.code == 2
    assert "the model knows tulip, rose, oak, the annotations person, bicycle, Car, ...; give the labels" in done.err


def test_without_the_extra_the_remedy_is_one_line(edge: Edge, model: Path, tmp_path: Path) -> None:
    """The packages are for those who measure; a board that only detects does without them."""
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "pycocotools.py").write_text("raise ImportError('not here', name='pycocotools')\n")
    path = os.pathsep.join([str(tmp_path / "absent"), os.environ.get("PYTHONPATH", "")])
    done = edge("evaluate", model, *FLAGS, variables={"PYTHONPATH": path})
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith("run: python -m pip install 'edge-runtime[evaluate]'\n")
    assert done.err.count("\n") == 1


def test_ctrl_c_leaves_no_file_and_gives_the_terminal_back(
    model: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """The progress hides the cursor; a shell without one is a nuisance."""
    (tmp_path / "shapes.txt").write_text("circle\nsquare\ntriangle\n")
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, "evaluate", str(model), "--scenes", "100000", "--labels", "shapes.txt", "--json", "o.json",
         "--num-threads", "1"],
        cwd=tmp_path, env={**environment, "TERM": "xterm"}, stdout=subprocess.PIPE, stderr=its,
    )  # fmt: skip
    os.close(its)
    try:
        shown = b""
        while b"/100000" not in shown:
            shown += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        shown += read_to_end(ours)
        assert process.communicate(timeout=60)[0] == b""
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert process.returncode == 130
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")
    assert b"Traceback" not in shown
    assert b"interrupted; not all pictures were looked at, so there are no figures, and nothing is written" in shown
    assert made(tmp_path) == ["shapes.txt"]


def read_to_end(terminal: int) -> bytes:
    """Return what still comes out of a terminal; at its end Linux reports an error."""
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            return shown
