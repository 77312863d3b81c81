"""The USB camera, over a capture that behaves as devices do."""

from __future__ import annotations

import itertools
import logging
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_runtime.capture.opencv import CameraSource, open_v4l2
from edge_runtime.capture.v4l import Nodes
from edge_runtime.errors import CaptureError, FrameTimeoutError
from tests.capture.fakes import Clock, FakeCapture, image


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    """One camera, /dev/video0."""
    nodes = Nodes(tmp_path / "dev", tmp_path / "sys")
    (nodes.sysfs / "video0").mkdir(parents=True)
    (nodes.sysfs / "video0" / "name").write_text("C920\n")
    nodes.dev.mkdir()
    (nodes.dev / "video0").touch()
    return nodes


def make_source(nodes: Nodes, *captures: FakeCapture, **options: Any) -> CameraSource:
    """Return a camera at /dev/video0 whose first, second, ... opening gives these captures."""
    given = iter(captures)
    options.setdefault("clock", Clock())
    options.setdefault("pause", getattr(options["clock"], "pause", None))
    options.setdefault("environ", {})
    return CameraSource(options.pop("device", 0), opener=lambda path: next(given), nodes=nodes, **options)


def take(source: CameraSource, count: int) -> list[Any]:
    return list(itertools.islice(source, count))


def test_frames_come_in_order_with_the_first_one_not_lost(nodes: Nodes) -> None:
    """Opening reads a frame to be sure; that frame is an observation like any other."""
    with make_source(nodes, FakeCapture([image(1), image(2), image(3)])) as source:
        frames = take(source, 3)

    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 2, 3]
    assert [frame.sequence for frame in frames] == [0, 1, 2]
    assert {frame.source for frame in frames} == {str(nodes.dev / "video0")}
    assert len({id(frame.image) for frame in frames}) == 3
    assert not any(frame.image.flags.writeable for frame in frames)


def test_size_rate_jpeg_and_a_short_queue_are_asked_of_the_driver(nodes: Nodes) -> None:
    """Uncompressed, USB 2 is full at 640x480; a long queue would hold old frames."""
    capture = FakeCapture([image()])

    with make_source(nodes, capture, size_wh=(1280, 720), fps=15.0):
        pass

    assert capture.asked == {
        cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"MJPG"),
        cv2.CAP_PROP_FRAME_WIDTH: 1280,
        cv2.CAP_PROP_FRAME_HEIGHT: 720,
        cv2.CAP_PROP_FPS: 15.0,
        cv2.CAP_PROP_BUFFERSIZE: 2,
    }


def test_what_nobody_asked_for_is_left_to_the_driver(nodes: Nodes) -> None:
    """Every setting restarts the stream, and some cameras refuse what they do not list."""
    capture = FakeCapture([image()])

    with make_source(nodes, capture):
        pass

    assert set(capture.asked) == {cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_BUFFERSIZE}


def test_resolution_and_rate_are_what_the_driver_gave(nodes: Nodes, caplog: pytest.LogCaptureFixture) -> None:
    """A camera answers with the nearest size it has; boxes are in pixels of that one."""
    capture = FakeCapture(
        [image(size_wh=(320, 240))],
        properties={cv2.CAP_PROP_FPS: 25.0, cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"YUYV")},
    )
    source = make_source(nodes, capture, size_wh=(640, 480))
    assert (source.resolution, source.fps) == (None, None)

    with caplog.at_level(logging.INFO), source:
        assert (source.resolution, source.fps) == ((320, 240), 25.0)

    assert "size=320x240 fps=25.0 fourcc=YUYV" in caplog.text
    assert "size not available" in caplog.text


@pytest.mark.parametrize("fps", [0.0, -1.0, 90000.0, float("nan")])
def test_a_rate_that_cannot_be_is_no_rate(nodes: Nodes, fps: float) -> None:
    """Drivers answer 0 or nonsense where they do not know."""
    with make_source(nodes, FakeCapture([image()], properties={cv2.CAP_PROP_FPS: fps})) as source:
        assert source.fps is None


def test_the_drivers_own_time_is_the_time_of_capture(nodes: Nodes) -> None:
    """It was taken before USB transfer and scheduling: latency without that would flatter."""
    clock = Clock(10_000_000_000)

    with make_source(nodes, FakeCapture([image()], properties={cv2.CAP_PROP_POS_MSEC: 9_970.5}), clock=clock) as source:
        assert take(source, 1)[0].captured_ns == 9_970_500_000


def test_without_a_believable_driver_time_the_grab_is_the_time_of_capture(nodes: Nodes) -> None:
    """Wall-clock stamps, as some drivers give, are decades off."""
    clock = Clock(10_000_000_000)
    capture = FakeCapture([image()], properties={cv2.CAP_PROP_POS_MSEC: 1.7e12})

    with make_source(nodes, capture, clock=clock) as source:
        assert take(source, 1)[0].captured_ns == 10_000_000_000


def test_a_few_failed_reads_are_survived(nodes: Nodes) -> None:
    """A hiccup on the bus or a damaged JPEG is no lost camera."""
    with make_source(nodes, FakeCapture([image(1), None, "damaged", None, image(2)])) as source:
        assert [int(frame.image[0, 0, 0]) for frame in take(source, 2)] == [1, 2]


def test_a_silent_camera_is_a_time_out_after_the_time_given(nodes: Nodes) -> None:
    """And it is asked at a gentle pace: a broken device answers at once, thousands of times a second."""
    clock = Clock()
    with make_source(nodes, FakeCapture([image()]), clock=clock, frame_timeout_s=2.0) as source:
        frames = iter(source)
        next(frames)
        started = clock.ns
        with pytest.raises(FrameTimeoutError, match=r"no frame for 2.0 s; reconnect it"):
            next(frames)

    assert clock.ns - started == pytest.approx(2e9, abs=1e8)
    assert len(clock.pauses) <= 41


def test_an_unplugged_camera_is_an_error_at_once(nodes: Nodes) -> None:
    """Waiting out the time-out would only delay the reconnect."""
    clock = Clock()

    def unplug() -> None:
        (nodes.dev / "video0").unlink()

    with make_source(nodes, FakeCapture([image(), unplug]), clock=clock) as source:
        frames = iter(source)
        next(frames)
        with pytest.raises(CaptureError, match="video0: unplugged") as caught:
            next(frames)

    assert not isinstance(caught.value, FrameTimeoutError)
    assert clock.pauses == []


def test_a_camera_that_came_back_under_its_link_is_noticed(nodes: Nodes, tmp_path: Path) -> None:
    """The link in /dev/v4l then points at a new device, while the old handle is dead for good."""
    link = tmp_path / "by-id"
    link.symlink_to(nodes.dev / "video0")

    def replug() -> None:
        (nodes.dev / "video1").touch()
        link.unlink()
        link.symlink_to(nodes.dev / "video1")

    with make_source(nodes, FakeCapture([image(), replug]), FakeCapture([image(9)]), device=str(link)) as source:
        frames = iter(source)
        next(frames)
        with pytest.raises(CaptureError, match="unplugged"):
            next(frames)
    with source:
        assert int(take(source, 1)[0].image[0, 0, 0]) == 9


def test_a_camera_that_is_not_there_is_not_even_opened(nodes: Nodes) -> None:
    """The message lists those that are there."""
    with pytest.raises(CaptureError, match=r"video7: no such device; there is .*video0 \(C920\)"):
        make_source(nodes, device=7).__enter__()


def test_a_device_of_another_group_tells_what_to_do(nodes: Nodes) -> None:
    """Being in the group `video` is what a new user lacks."""
    nodes = Nodes(nodes.dev, nodes.sysfs, lambda path, mode: False)

    with pytest.raises(CaptureError, match="usermod -aG video"):
        make_source(nodes).__enter__()


def test_a_busy_camera_is_released_and_named_busy(nodes: Nodes) -> None:
    """OpenCV says nothing but that it is not open."""
    capture = FakeCapture(opened=False)

    with pytest.raises(CaptureError, match="it is busy, or no camera"):
        make_source(nodes, capture).__enter__()

    assert capture.released == 1


def test_a_device_that_opens_but_never_sends_is_not_believed(nodes: Nodes) -> None:
    """A Pi's CSI node opens like a camera; the reader must hear of picamera before anything else starts."""
    (nodes.sysfs / "video0" / "name").write_text("unicam-image\n")
    capture = FakeCapture()

    with pytest.raises(FrameTimeoutError, match="use --source picamera"):
        make_source(nodes, capture).__enter__()

    assert capture.released == 1


def test_a_grey_camera_is_refused_by_name(nodes: Nodes) -> None:
    """Thermal cameras send one channel; the model would fail on it much later."""
    with (
        make_source(nodes, FakeCapture([np.zeros((48, 64, 1), np.uint8)])) as source,
        pytest.raises(CaptureError, match=r"video0.*shape \(48, 64, 1\)"),
    ):
        take(source, 1)


def test_a_source_can_be_entered_again_after_leaving(nodes: Nodes) -> None:
    """That is how the pipeline reconnects; the numbers of the frames begin anew."""
    source = make_source(nodes, FakeCapture([image(1)]), FakeCapture([image(2)]))

    seen = []
    for _ in range(2):
        with source:
            seen += take(source, 1)

    assert [(int(frame.image[0, 0, 0]), frame.sequence) for frame in seen] == [(1, 0), (2, 0)]


def test_iterating_without_entering_is_an_error(nodes: Nodes) -> None:
    """Leaving without having entered is none: clean-up code does that."""
    source = make_source(nodes)
    source.__exit__(None, None, None)

    with pytest.raises(CaptureError, match="not open"):
        next(iter(source))


def test_leaving_while_another_thread_reads_ends_that_read_in_order(nodes: Nodes) -> None:
    """A crash inside OpenCV would take the whole program along."""
    reading, go_on = threading.Event(), threading.Event()

    def stall() -> None:
        reading.set()
        assert go_on.wait(10)

    capture = FakeCapture([image(), stall])
    source = make_source(nodes, capture)
    errors: list[Exception] = []

    def capture_thread() -> None:
        with pytest.raises(CaptureError) as caught:
            take(source, 2)
        errors.append(caught.value)

    source.__enter__()
    reader = threading.Thread(target=capture_thread)
    reader.start()
    assert reading.wait(10)
    closer = threading.Thread(target=source.__exit__, args=(None, None, None))
    closer.start()
    go_on.set()
    closer.join(10)
    reader.join(10)

    assert capture.released == 1
    assert len(errors) == 1


@pytest.mark.parametrize(("environ", "expected"), [({}, "1"), ({"OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "7"}, "7")])
def test_opencvs_wait_of_ten_seconds_is_cut_unless_the_user_chose_one(
    nodes: Nodes, environ: dict[str, str], expected: str
) -> None:
    """Ten seconds inside one read are ten seconds in which the program cannot stop."""
    with make_source(nodes, FakeCapture([image()]), environ=environ):
        assert environ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"] == expected


def test_the_real_opener_gives_a_capture_that_is_not_open_for_a_missing_device(tmp_path: Path) -> None:
    """The look-alike above answers with the same calls as the real thing."""
    capture = open_v4l2(str(tmp_path / "video99"))

    assert not capture.isOpened()
    assert not capture.grab()
    capture.release()


def test_a_camera_closed_between_two_reads_ends_its_reader(nodes: Nodes) -> None:
    """The reader must not wait out the time-out on a device that nobody wants any more."""
    source = make_source(nodes, FakeCapture([image(), None]), pause=lambda seconds: source.__exit__(None, None, None))

    with source:
        frames = iter(source)
        next(frames)
        with pytest.raises(CaptureError, match="closed while it was read"):
            next(frames)
