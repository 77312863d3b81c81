"""The CSI camera over a look-alike of picamera2; the real one cannot run here."""

from __future__ import annotations

import itertools
import logging
import sys
import threading
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.capture import picamera as module
from edge_runtime.capture.picamera import PicameraSource, open_picamera2
from edge_runtime.errors import CaptureError, ConfigError, FrameTimeoutError
from tests.capture.fakes import Clock, FakePicamera2, image

NOW = 5_000_000_000


def make_source(*cameras: FakePicamera2, **options: Any) -> PicameraSource:
    given = iter(cameras)
    return PicameraSource(opener=lambda number: next(given), clock=Clock(NOW), **options)


def shot(value: int = 128, timestamp: int | None = NOW - 20_000_000) -> tuple[np.ndarray, dict[str, Any]]:
    return image(value), {} if timestamp is None else {"SensorTimestamp": timestamp}


def take(source: PicameraSource, count: int) -> list[Any]:
    return list(itertools.islice(source, count))


def test_frames_come_in_order_stamped_by_the_sensor() -> None:
    """The sensor's time is the only one that holds exposure and processing."""
    camera = FakePicamera2([shot(1), shot(2)])

    with make_source(camera) as source:
        frames = take(source, 2)

    assert [(int(frame.image[0, 0, 0]), frame.sequence) for frame in frames] == [(1, 0), (2, 1)]
    assert frames[0].captured_ns == NOW - 20_000_000
    assert frames[0].source == "picamera"
    assert not frames[0].image.flags.writeable


def test_bgr_a_short_queue_and_the_newest_frame_are_asked_for() -> None:
    """libcamera's RGB888 is blue, green, red in memory; with its queue on, the first frame is an old one."""
    camera = FakePicamera2([shot()])

    with make_source(camera, size_wh=(1280, 720), fps=25.0) as source:
        assert (source.resolution, source.fps, source.is_live) == ((1280, 720), 25.0, True)

    assert camera.config["main"] == {"format": "RGB888", "size": (1280, 720)}
    assert camera.config["controls"]["FrameDurationLimits"] == (40000, 40000)
    assert (camera.config["queue"], camera.config["buffer_count"]) == (False, 4)


def test_a_rate_is_not_asked_of_a_camera_that_has_no_such_control(caplog: pytest.LogCaptureFixture) -> None:
    """libcamera lists USB cameras too, and refuses a control that they do not offer."""
    with caplog.at_level(logging.INFO), make_source(FakePicamera2([shot()], controls=()), fps=25.0) as source:
        assert source.fps is None

    assert "camera open name=picamera size=640x480 fps=None" in caplog.text


def test_every_request_is_given_back() -> None:
    """The camera has four buffers; with all of them kept it stands still."""
    camera = FakePicamera2([shot(), shot(), shot()])

    with make_source(camera) as source:
        take(source, 3)

    assert [request.released for request in camera.requests] == [1, 1, 1]


def test_a_request_is_given_back_even_if_its_image_cannot_be_made() -> None:
    """Otherwise four damaged frames would stop the camera for good."""
    broken = FakePicamera2([(None, {})])

    with pytest.raises(AttributeError):
        make_source(broken).__enter__()

    assert [request.released for request in broken.requests] == [1]
    assert broken.calls[-1] == "close"


@pytest.mark.parametrize("timestamp", [None, 0, NOW - 3_000_000_000])
def test_a_frame_without_a_believable_stamp_counts_from_its_arrival(
    timestamp: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """USB cameras behind libcamera give none."""
    monkeypatch.setattr(module, "suspended_ns", lambda: 0)

    with make_source(FakePicamera2([shot(timestamp=timestamp)])) as source:
        assert take(source, 1)[0].captured_ns == NOW


def test_a_stamp_of_the_boot_clock_is_taken_back_to_the_monotonic_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two differ by the time the machine was suspended."""
    monkeypatch.setattr(module, "suspended_ns", lambda: 3_600_000_000_000)
    stamp = NOW - 20_000_000 + 3_600_000_000_000

    with make_source(FakePicamera2([shot(timestamp=stamp)])) as source:
        assert take(source, 1)[0].captured_ns == NOW - 20_000_000


def test_the_time_suspended_is_never_negative() -> None:
    """The boot clock counts all that the monotonic one counts."""
    assert module.suspended_ns() > -1_000_000


def test_a_silent_camera_is_a_time_out_and_can_still_be_closed() -> None:
    """A loose ribbon cable looks like this; picamera2 would otherwise wait for the frame when closing."""
    camera = FakePicamera2([shot(), TimeoutError()])

    with make_source(camera, frame_timeout_s=2.0) as source:
        frames = iter(source)
        next(frames)
        with pytest.raises(FrameTimeoutError, match=r"picamera: no frame for 2.0 s; check the ribbon cable"):
            next(frames)

    assert camera.waits == [2.0, 2.0]
    assert camera.calls[-2:] == ["cancel_all_and_flush", "close"]


def test_a_camera_lost_while_running_is_a_capture_error() -> None:
    """Whatever picamera2 raises, the pipeline knows one family of errors."""
    with make_source(FakePicamera2([shot(), RuntimeError("gone")])) as source:
        frames = iter(source)
        next(frames)
        with pytest.raises(CaptureError, match=r"picamera: lost \(gone\)"):
            next(frames)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (IndexError("list index out of range"), r"picamera:1: no camera number 1 .*rpicam-hello --list-cameras"),
        (RuntimeError("Camera __init__ sequence did not complete."), r"picamera:1: cannot be opened, probably in use"),
    ],
)
def test_a_camera_that_is_absent_or_taken_is_named_so(error: Exception, message: str) -> None:
    """picamera2 answers with "list index out of range"."""

    def opener(number: int) -> Any:
        assert number == 1
        raise error

    with pytest.raises(CaptureError, match=message):
        PicameraSource(1, opener=opener).__enter__()


def test_a_camera_that_is_taken_names_the_program_that_has_it(tmp_path: Path) -> None:
    """libcamera says "sequence did not complete"; whoever has a media device open is the one to end."""
    (tmp_path / "77" / "fd").mkdir(parents=True)
    (tmp_path / "77" / "comm").write_text("rpicam-vid\n")
    (tmp_path / "77" / "fd" / "5").symlink_to("/dev/media2")

    def opener(number: int) -> Any:
        raise RuntimeError("Camera __init__ sequence did not complete.")

    with pytest.raises(CaptureError, match=r"in use by rpicam-vid \(process 77\) \(Camera __init__"):
        PicameraSource(0, opener=opener, proc=tmp_path).__enter__()


def test_a_camera_that_refuses_its_settings_is_closed_and_named() -> None:
    """An odd width, for one, is refused."""
    camera = FakePicamera2([])

    def refuse() -> None:
        raise RuntimeError("width and height should be even")

    camera.refuses = refuse

    with pytest.raises(
        CaptureError, match=r"does not start with size \(641, 480\) \(width and height should be even\)"
    ):
        make_source(camera, size_wh=(641, 480)).__enter__()

    assert camera.calls[-1] == "close"


def test_a_source_can_be_entered_again_after_leaving() -> None:
    """That is how the pipeline reconnects."""
    first, second = FakePicamera2([shot(1)]), FakePicamera2([shot(2)])
    source = make_source(first, second)

    seen = []
    for _ in range(2):
        with source:
            seen += take(source, 1)
    with pytest.raises(CaptureError, match="not open"):
        take(source, 1)

    assert [int(frame.image[0, 0, 0]) for frame in seen] == [1, 2]
    assert (first.calls.count("close"), second.calls.count("close")) == (1, 1)


def test_leaving_waits_for_the_capture_under_way() -> None:
    """picamera2 would be closed under the thread that is inside it."""
    reading, go_on = threading.Event(), threading.Event()

    class Held(FakePicamera2):
        def capture_request(self, wait: float) -> Any:
            if self.requests:
                reading.set()
                assert go_on.wait(10)
            assert "close" not in self.calls
            return super().capture_request(wait)

    camera = Held([shot(1), shot(2)])
    source = make_source(camera).__enter__()
    seen: list[Any] = []
    reader = threading.Thread(target=lambda: seen.extend(take(source, 2)))
    reader.start()
    assert reading.wait(10)
    closer = threading.Thread(target=source.__exit__, args=(None, None, None))
    closer.start()
    go_on.set()
    reader.join(10)
    closer.join(10)

    assert len(seen) == 2
    assert camera.calls[-1] == "close"


def test_leaving_without_having_entered_is_allowed() -> None:
    """Clean-up code does that."""
    make_source().__exit__(None, None, None)


def test_a_missing_picamera2_tells_both_commands_that_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes from apt alone, and a plain virtual environment does not see it."""
    monkeypatch.setitem(sys.modules, "picamera2", None)

    with pytest.raises(ConfigError, match=r"sudo apt install python3-picamera2.*--system-site-packages"):
        open_picamera2(0)


def test_an_installed_picamera2_is_opened_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boards with two connectors have cameras 0 and 1."""
    stand_in = types.SimpleNamespace(Picamera2=lambda number: ("camera", number))
    monkeypatch.setitem(sys.modules, "picamera2", stand_in)

    assert open_picamera2(1) == ("camera", 1)


def test_a_picamera2_built_for_another_numpy_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """pip's numpy 2 above apt's modules ends in "numpy.dtype size changed"."""
    (tmp_path / "picamera2.py").write_text("raise ValueError('numpy.dtype size changed')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "picamera2", raising=False)

    with pytest.raises(ConfigError, match="does not work with this environment's numpy"):
        open_picamera2(0)
