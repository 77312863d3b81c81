"""Which source a text means."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import pytest

from edge_runtime.capture.images import ImageSource
from edge_runtime.capture.network import NetworkSource
from edge_runtime.capture.open import open_source, redact
from edge_runtime.capture.opencv import CameraSource
from edge_runtime.capture.paced import PacedSource
from edge_runtime.capture.picamera import PicameraSource
from edge_runtime.capture.scene import SceneFrame
from edge_runtime.capture.video import VideoSource
from edge_runtime.errors import ConfigError
from tests.capture.fakes import image

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("0", CameraSource, "/dev/video0"),
        (" 2 ", CameraSource, "/dev/video2"),
        ("/dev/video2", CameraSource, "/dev/video2"),
        ("/dev/v4l/by-id/usb-C920", CameraSource, "/dev/v4l/by-id/usb-C920"),
        ("picamera", PicameraSource, "picamera"),
        ("picamera:1", PicameraSource, "picamera:1"),
        ("rtsp://me:geheim@cam/live", NetworkSource, "rtsp://cam/live"),
        ("RTSPS://cam/live", NetworkSource, "RTSPS://cam/live"),
        ("http://cam/stream", NetworkSource, "http://cam/stream"),
        ("https://cam/stream?token=abc", NetworkSource, "https://cam/stream?token=***"),
    ],
)
def test_the_text_alone_decides_without_touching_a_device(text: str, kind: type, name: str) -> None:
    """None of these is there; a device is opened when the source is entered."""
    source = open_source(text)

    assert type(source) is kind
    assert source.name == name
    assert source.is_live


def test_files_are_told_apart_by_what_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, a pattern and a picture are pictures; every other file is a video."""
    cv2.imwrite(str(tmp_path / "a.PNG"), image())
    (tmp_path / "clip.mkv").touch()
    (tmp_path / "without_ending").touch()
    monkeypatch.setenv("HOME", str(tmp_path))

    assert type(open_source(str(tmp_path))) is ImageSource
    assert type(open_source(str(tmp_path / "a.PNG"))) is ImageSource
    assert type(open_source(str(tmp_path / "*.PNG"))) is ImageSource
    assert type(open_source(str(tmp_path / "clip.mkv"))) is VideoSource
    assert type(open_source(str(tmp_path / "without_ending"))) is VideoSource
    assert open_source("~/clip.mkv").name == str(tmp_path / "clip.mkv")
    assert not open_source(str(tmp_path)).is_live


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("clip.mp4", "'clip.mp4' is no file and no folder"),
        ("shots/*.png", "no file fits the pattern"),
        ("ftp://me:geheim@cam/x", "'ftp://cam/x' has an unknown scheme 'ftp'"),
        ("picamera:x", "is no file"),
        ("scene:-1", "is no file"),
        ("12345", "is no file"),
    ],
)
def test_what_means_no_source_is_an_error_of_one_line_with_the_choices(text: str, message: str) -> None:
    """The user sees what was understood and what there is."""
    with pytest.raises(ConfigError, match=message.replace("*", r"\*")) as caught:
        open_source(text)

    assert "picamera" in str(caught.value)
    assert "rtsp://" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/urandom"])
def test_a_device_that_is_no_camera_is_not_waited_for(device: str) -> None:
    """A camera that is not there yet may come; /dev/null will never be one."""
    with pytest.raises(ConfigError, match=f"{device} is a device, but no camera; a source is a camera"):
        open_source(device)


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="this system has no /dev/shm to write to")
def test_files_in_memory_are_files() -> None:
    """/dev/shm is where pictures go that should not wear out the card."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        (Path(folder) / "clip.mkv").touch()
        cv2.imwrite(f"{folder}/a.png", image())

        assert type(open_source(folder)) is ImageSource
        assert type(open_source(f"{folder}/*.png")) is ImageSource
        assert type(open_source(f"{folder}/clip.mkv")) is VideoSource


def test_the_scene_is_a_live_source_of_the_size_and_rate_asked_for() -> None:
    """It stands in for a camera, so it has to behave like one: paced, and newest frame first."""
    source = open_source("scene", size_wh=(96, 64), fps=200.0, seed=5)

    assert (type(source), source.is_live, source.name) == (PacedSource, True, "scene:5")
    with source:
        assert (source.resolution, source.fps) == ((96, 64), 200.0)
        first = next(iter(source))
    assert isinstance(first, SceneFrame)
    assert first.size_wh == (96, 64)


def test_a_seed_in_the_text_wins_over_the_default() -> None:
    """`scene:7` is always the same scene."""
    assert open_source("scene:7", seed=5).name == "scene:7"
    assert open_source("scene").resolution == (640, 480)


def test_realtime_plays_a_file_as_if_it_were_a_camera(tmp_path: Path) -> None:
    """And at another rate, if one is given."""
    (tmp_path / "clip.mp4").touch()

    source = open_source(str(tmp_path / "clip.mp4"), realtime=True, fps=5.0)

    assert (type(source), source.is_live, source.fps) == (PacedSource, True, 5.0)


def test_realtime_changes_nothing_about_a_camera() -> None:
    """It is live already."""
    assert type(open_source("0", realtime=True)) is CameraSource


def test_a_size_for_what_has_its_own_is_said_to_have_no_effect(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Silence would let the user believe in it."""
    (tmp_path / "clip.mp4").touch()

    with caplog.at_level(logging.WARNING):
        open_source("rtsp://me:geheim@cam/live", size_wh=(320, 240))
        open_source(str(tmp_path / "clip.mp4"), size_wh=(320, 240))

    assert [record.message.split()[-1] for record in caplog.records] == [
        "source=rtsp://cam/live",
        f"source={tmp_path / 'clip.mp4'}",
    ]


def test_redact_is_offered_here_for_everyone_who_writes_a_message() -> None:
    """The pipeline and the command line name sources too."""
    assert redact("rtsp://me:geheim@cam/live") == "rtsp://cam/live"


def test_choosing_a_source_imports_neither_opencv_nor_numpy() -> None:
    """`--help` and the checks of a configuration must not cost the memory of OpenCV."""
    code = (
        "import sys, edge_runtime.capture, edge_runtime.capture.open; "
        "print(sorted({'cv2', 'numpy', 'imutils', 'picamera2'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
