"""The model that comes along, and what is run where none is named."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.bundled import DEFAULT, FOLDERS, bundled_model
from edge_runtime.capture.v4l import Nodes
from edge_runtime.config import Config
from edge_runtime.errors import CaptureError, ConfigError, ModelError
from edge_runtime.service import first_camera, with_defaults
from tests.factory.models import write_echo

ROOT = Path(__file__).resolve().parents[1]


def test_the_repository_has_the_model_that_runs_by_default() -> None:
    """Without it the first command of the README is an error."""
    assert bundled_model() == ROOT / "models" / f"shapes.{DEFAULT}.tflite"


def test_a_wheels_own_folder_comes_first(tmp_path: Path) -> None:
    """Beside an installed package lie the folders of others, and one of them may be called models."""
    inside, beside = tmp_path / "inside", tmp_path / "beside"
    for folder in (inside, beside):
        folder.mkdir()
        (folder / "shapes.int8.tflite").touch()
    (beside / "shapes.tflite").touch()
    assert bundled_model(folders=(inside, beside)) == inside / "shapes.int8.tflite"
    assert bundled_model("", folders=(inside, beside)) == beside / "shapes.tflite"
    assert FOLDERS[0].parent.name == "edge_runtime"


def test_a_variant_that_is_not_there_is_an_error_that_lists_the_others(tmp_path: Path) -> None:
    (tmp_path / "shapes.tflite").touch()
    (tmp_path / "shapes.float16.tflite").touch()
    with pytest.raises(ModelError, match=r"shapes\.int4\.tflite: .* only shapes\.float16\.tflite, shapes\.tflite; "):
        bundled_model("int4", folders=(tmp_path / "none", tmp_path))
    with pytest.raises(ModelError, match="has none; name a model with --model"):
        bundled_model(folders=(tmp_path / "none",))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_echo(tmp_path / "m.tflite")


def no_question() -> tuple[str | None, str]:
    raise AssertionError("nobody wanted to know which camera there is")


def test_a_named_model_waits_for_camera_0(model: Path) -> None:
    """Who set up a service gets the camera when it is plugged in, and never drawn shapes instead."""
    found = with_defaults(Config(model=model), no_question)
    assert (found.model, found.source) == (model, "0")


@pytest.mark.parametrize("source", ["0", "/dev/video7", "scene"])
def test_a_named_source_stays_with_either_model(model: Path, source: str) -> None:
    assert with_defaults(Config(model=model, source=source), no_question).source == source
    found = with_defaults(Config(source=source), no_question)
    assert (found.model, found.source) == (bundled_model(), source)


@pytest.mark.parametrize(
    ("camera", "why", "source"),
    [("/dev/video2", "the first camera that opens", "/dev/video2"), (None, "no camera opens: none", "scene")],
)
def test_with_nothing_named_there_is_something_to_see_and_a_line_says_what(
    caplog: pytest.LogCaptureFixture, camera: str | None, why: str, source: str
) -> None:
    """Boxes around drawn shapes would puzzle whoever believes to look at a camera."""
    with caplog.at_level(logging.INFO, "edge_runtime.service"):
        found = with_defaults(Config(), lambda: (camera, why))
    assert (found.model, found.source) == (bundled_model(), source)
    [line] = caplog.messages
    assert all(part in line for part in ("shapes.int8.tflite", "bundled", f"source={source}", why))


class OneCamera:
    """Stands in for `open_source`: one camera works, the others fail as they would."""

    def __init__(self, works: str, fails_with: type[Exception]) -> None:
        self.works, self.fails_with = works, fails_with
        self.tried: list[str] = []
        self.left = 0

    def __call__(self, name: str, **options: object) -> Any:
        self.tried.append(name)
        return self

    def __enter__(self) -> OneCamera:
        if self.tried[-1] != self.works:
            raise self.fails_with(f"camera {self.tried[-1]}: busy")
        return self

    def __exit__(self, *_: object) -> None:
        self.left += 1


def nodes(folder: Path, *names: str) -> Nodes:
    for number, name in enumerate(names):
        (folder / f"video{number}").mkdir()
        (folder / f"video{number}" / "name").write_text(f"{name}\n")
    return Nodes(sysfs=folder)


@pytest.mark.parametrize("error", [CaptureError, ConfigError])
def test_a_camera_that_does_not_open_is_passed_over(tmp_path: Path, error: type[Exception]) -> None:
    """Another program may hold the first one; picamera2 may be missing."""
    opener = OneCamera("/dev/video1", error)
    assert first_camera(nodes(tmp_path, "C920", "C270"), opener)[0] == "/dev/video1"
    assert opener.left == 1, "the pipeline opens it anew"
    found, why = first_camera(Nodes(sysfs=tmp_path), OneCamera("none", error))
    assert found is None
    assert "/dev/video0: busy" in why
    assert "/dev/video1: busy" in why


def test_the_pis_own_connector_is_read_by_picamera(tmp_path: Path) -> None:
    """Its nodes open like a camera's and never give a picture."""
    opener = OneCamera("picamera", CaptureError)
    assert first_camera(nodes(tmp_path, "unicam", "rp1-cfe", "bcm2835-codec-decode"), opener)[0] == "picamera"
    assert opener.tried == ["picamera"]


def test_a_machine_without_a_camera_says_so(tmp_path: Path) -> None:
    assert first_camera(nodes(tmp_path)) == (None, "no camera opens: this machine has no camera at /dev/video*")
