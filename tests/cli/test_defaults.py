"""The program without a model, a source, or both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from edge_runtime.capture.sprites import SHAPES
from edge_runtime.capture.v4l import Nodes
from edge_runtime.selftest.printing import picture
from tests.cli.program import VIDEO_FRAMES, Done, found_in

Edge = Callable[..., Done]

without_camera = pytest.mark.skipif(bool(Nodes().names()), reason="this machine has a camera")


@without_camera
def test_nothing_named_detects_drawn_shapes_at_once(edge: Edge) -> None:
    """The first command anybody tries: it needs neither a model nor a camera, and says what it does."""
    done = edge("--max-frames", 20)
    assert done.code == 0
    results = [record for record in done.records if record["type"] == "detections"]
    assert len(results) == 20
    labels = {label for record in results for label in found_in(record)}
    assert labels <= set(SHAPES)
    assert labels, "the scene shows shapes all the time"
    [line] = [line for line in done.err.splitlines() if "no model was named" in line]
    assert "model=shapes.int8.tflite" in line
    assert "source=scene (no camera opens: this machine has no camera" in line


@pytest.mark.skipif(Path("/dev/video0").exists(), reason="this machine has a camera 0")
def test_a_named_model_still_waits_for_the_camera(edge: Edge, model: Path) -> None:
    """A service whose camera comes late must not show drawn shapes meanwhile."""
    done = edge("--model", model, "--duration", "0.8", "--log", "-", "-q")
    assert done.code == 0
    assert [(one["part"], one["to"]) for one in done.records] == [("camera", "lost")]


def test_a_source_alone_gets_the_bundled_model(edge: Edge, video: Path) -> None:
    done = edge("--source", video, "--log", "-")
    assert (done.code, len(done.records)) == (0, VIDEO_FRAMES)
    assert f"source={video} (as asked for)" in done.err


def test_a_source_that_is_none_is_the_only_thing_said(edge: Edge) -> None:
    """What was chosen for a run that never begins is of no use, and hides the line that is."""
    done = edge("--source", "nosuch")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("edge-runtime: error: ")
    assert done.err.count("\n") == 1


def test_detect_and_bench_take_the_bundled_model_too(edge: Edge, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "card.png"), picture(2.0))
    done = edge("detect", "card.png", "--json")
    said = "no model was named, so this is the bundled shapes.int8.tflite, which finds drawn shapes\n"
    assert (done.code, done.err) == (0, said)
    assert edge("detect", "card.png", "-q").err == ""
    assert set(found_in(done.records[0])) <= set(SHAPES)
    bench = edge("bench", "--num-runs", 3, "--warmup-runs", 0, "--json")
    assert (bench.code, bench.err) == (0, "")
    assert Path(json.loads(bench.out)["model"]).name == "shapes.int8.tflite"


def test_the_settings_show_that_the_source_is_left_open(edge: Edge) -> None:
    assert 'source = "auto"' in edge("config").out
    assert 'source = "0"' in edge("config", "--source", "0").out
