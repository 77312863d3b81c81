"""The capture that may be let go while it is read."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest

from edge_runtime.capture import handle as module
from edge_runtime.capture.handle import Handle, quieten
from tests.capture.fakes import Clock, FakeCapture, image


def test_a_read_gives_the_image_and_the_moment_the_grab_returned() -> None:
    """Decoding comes after the grab and is no part of when the picture was taken."""
    clock = Clock(100)

    def grab() -> np.ndarray:
        clock.ns = 200
        return image(7)

    read, grabbed_ns = Handle(FakeCapture([grab]), clock=clock).read()

    assert read is not None
    assert (int(read[0, 0, 0]), grabbed_ns) == (7, 200)


@pytest.mark.parametrize("item", [None, "damaged", cv2.error("bad JPEG")])
def test_a_failed_grab_or_a_damaged_image_is_no_image(item: object) -> None:
    """USB cameras send broken JPEGs now and then; that must not end the program."""
    assert Handle(FakeCapture([item])).read()[0] is None


def test_after_release_nothing_reaches_the_device_any_more() -> None:
    """OpenCV crashes when a released capture is used."""
    capture = FakeCapture([image()], properties={cv2.CAP_PROP_FPS: 25.0})
    handle = Handle(capture)
    assert handle.get(cv2.CAP_PROP_FPS) == 25.0

    handle.release()
    handle.release()

    assert handle.is_released
    assert capture.released == 1
    assert handle.read()[0] is None
    assert handle.get(cv2.CAP_PROP_FPS) == 0.0


def test_releasing_waits_for_the_read_under_way() -> None:
    """Freeing the device while another thread is inside it is a segmentation fault, not an exception."""
    reading, go_on = threading.Event(), threading.Event()

    def grab() -> np.ndarray:
        reading.set()
        assert go_on.wait(10)
        return image()

    capture = FakeCapture([grab])
    handle = Handle(capture)
    reader = threading.Thread(target=handle.read)
    reader.start()
    assert reading.wait(10)
    closer = threading.Thread(target=handle.release)
    closer.start()
    assert capture.released == 0

    go_on.set()
    reader.join(10)
    closer.join(10)

    assert capture.released == 1


def test_opencv_is_quietened_unless_the_user_asked_to_hear_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg writes a line for every failed retry, for months; whoever debugs still gets them."""
    levels: list[int] = []
    monkeypatch.setattr(module, "_set_log_level", levels.append)
    for name in ("OPENCV_LOG_LEVEL", "OPENCV_FFMPEG_DEBUG", "OPENCV_FFMPEG_LOGLEVEL"):
        monkeypatch.delenv(name, raising=False)
    environ = module.os.environ

    quieten()
    assert environ["OPENCV_FFMPEG_LOGLEVEL"] == "-8"
    assert levels == [2]

    monkeypatch.setenv("OPENCV_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("OPENCV_FFMPEG_DEBUG", "1")
    monkeypatch.delenv("OPENCV_FFMPEG_LOGLEVEL")
    quieten()
    assert "OPENCV_FFMPEG_LOGLEVEL" not in environ
    assert levels == [2]
