"""Whether a camera is there and to be believed, when it is tried again, and that one that hangs is told."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from edge_runtime.capture.paced import PacedSource
from edge_runtime.capture.replay import ReplaySource
from edge_runtime.capture.state import HANGS_OPENING_S, HANGS_READING_S, CameraState
from edge_runtime.errors import CaptureError, LoginError
from edge_runtime.frame import Frame
from edge_runtime.result import StateChange
from tests.capture.fakes import Clock, image

GONE = CaptureError("camera 0: unplugged")
RNG = np.random.default_rng(1)


class Camera(ReplaySource):
    """A source that says it is a device."""

    is_live = True
    name = "camera 0"

    def __init__(self) -> None:
        super().__init__([image()], 1)


def frame(second: float = 0.0, picture: np.ndarray | None = None) -> Frame:
    noise = RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    return Frame(noise if picture is None else picture, 0, round(second * 1e9), 0.0, "camera 0")


def watched(source: Any = None, clock: Clock | None = None) -> tuple[CameraState, list[StateChange]]:
    changes: list[StateChange] = []
    return CameraState(source or Camera(), (1.0, 2.0, 5.0), changes.append, clock=clock or Clock()), changes


def ways(changes: list[StateChange]) -> list[tuple[str, str]]:
    assert {change.part for change in changes} == {"camera"}
    return [(change.before, change.after) for change in changes]


def test_each_change_is_told_once_and_the_tries_come_ever_later() -> None:
    """A camera that is unplugged for a night makes one line and not one for every try."""
    camera, changes = watched()
    waits = [camera.lose(GONE) for _ in range(4)]
    camera.delivers(frame())
    camera.delivers(frame())
    waits.append(camera.lose(GONE))
    assert waits == [2.0, 5.0, 5.0, 5.0, 1.0]
    assert ways(changes) == [("starting", "lost"), ("lost", "ok"), ("ok", "lost")]
    assert changes[0].reason == "camera 0: unplugged"


def test_a_refused_login_is_tried_at_a_pace_that_locks_no_account(caplog: pytest.LogCaptureFixture) -> None:
    """Cameras lock out after five to seven wrong tries within half an hour."""
    camera, _ = watched()
    with caplog.at_level(logging.WARNING):
        waits = [camera.lose(LoginError("network camera rtsp://cam: refuses user or password")) for _ in range(5)]
    assert 30 * 60 / min(waits) < 5
    assert len(caplog.records) == 1
    assert f"every {waits[0]:.0f} s as wrong tries may lock the account" in caplog.text


def test_black_pictures_make_the_camera_suspect_and_good_ones_clear_it() -> None:
    """An empty scene would say the same: nothing found."""
    camera, changes = watched()
    black = np.zeros((48, 64, 3), np.uint8)
    marks = [camera.delivers(frame(second / 10)).doubt for second in range(10)]
    marks += [camera.delivers(frame(1 + second / 10, black)).doubt for second in range(30)]
    marks += [camera.delivers(frame(4 + second / 10)).doubt for second in range(30)]

    assert ways(changes) == [("starting", "ok"), ("ok", "suspect"), ("suspect", "ok")]
    assert changes[1].reason == "camera 0 sends black pictures; check lens, cover and light"
    assert changes[2].reason == "camera 0 sends good pictures again"
    assert marks[:10] == [None] * 10
    assert set(marks[10:40]) == {"black"}, "a black frame is marked before the camera counts as suspect"
    assert marks[-1] is None


def test_a_suspect_camera_that_is_unplugged_is_lost_and_begins_anew() -> None:
    """What comes back is another stream, to be judged by itself; the first try comes soon."""
    camera, changes = watched()
    black = np.zeros((48, 64, 3), np.uint8)
    for second in range(4):
        camera.delivers(frame(second, black))
    assert camera.lose(GONE) == 1.0
    camera.delivers(frame(60))
    assert ways(changes) == [("starting", "ok"), ("ok", "suspect"), ("suspect", "lost"), ("lost", "ok")]


def test_films_and_drawn_scenes_are_believed() -> None:
    """A film may begin with a black picture or show a title for a minute, and it never hangs in a driver."""
    clock = Clock()
    camera, changes = watched(PacedSource(Camera(), fps=1.0), clock)
    black = np.zeros((48, 64, 3), np.uint8)
    marks = [camera.delivers(frame(second, black)).doubt for second in range(20)]
    camera.watch()
    clock.ns += 10**12
    assert camera.watch() is None
    assert set(marks) == {None}
    assert ways(changes) == [("starting", "ok")]


def test_another_resolution_is_told_once_and_is_no_tear(caplog: pytest.LogCaptureFixture) -> None:
    """Somebody changed a setting at the camera's own page."""
    camera, changes = watched()
    with caplog.at_level(logging.WARNING):
        for second in range(6):
            picture = RNG.integers(0, 256, (48, 64) if second < 3 else (96, 128), dtype=np.uint8)
            camera.delivers(frame(second, np.dstack([picture] * 3)))
    assert ways(changes) == [("starting", "ok")]
    assert [record.message for record in caplog.records] == [
        "camera changed its resolution name=camera 0 before=64x48 now=128x96"
    ]


def test_a_capture_thread_that_never_comes_back_is_a_state_after_a_bound() -> None:
    """A thread that sits in the kernel cannot be ended; the run must not look like one that sees nothing."""
    clock = Clock()
    camera, changes = watched(clock=clock)
    camera.delivers(frame())
    clock.ns += round((HANGS_READING_S - 1) * 1e9)
    assert camera.watch() is None
    clock.ns += 2 * 10**9
    error = camera.watch()
    assert error is not None
    assert "camera 0 hangs in the driver" in str(error)
    assert camera.watch() is None, "it is told once"
    assert ways(changes) == [("starting", "ok"), ("ok", "lost")]
    assert changes[-1].reason == str(error)


def test_one_that_is_waited_for_does_not_hang_until_the_next_try_does() -> None:
    """Waiting mends an unplugged camera; nothing but a new process mends a driver that hangs."""
    clock = Clock()
    camera, changes = watched(clock=clock)
    camera.lose(GONE)
    assert not camera.hangs
    clock.ns += round((HANGS_OPENING_S + 3) * 1e9)
    assert camera.watch() is not None
    assert camera.hangs
    assert ways(changes) == [("starting", "lost"), ("lost", "lost")]
    camera.delivers(frame())
    assert ways(changes)[-1] == ("lost", "ok")
    assert not camera.hangs


def test_a_driver_that_answers_after_all_with_an_error_is_waited_for_again() -> None:
    """The kernel gives up after minutes; then the camera is lost as any other is."""
    clock = Clock()
    camera, _ = watched(clock=clock)
    camera.watch()
    clock.ns += round((HANGS_OPENING_S + 1) * 1e9)
    assert camera.watch() is not None
    camera.lose(GONE)
    assert not camera.hangs


def test_waiting_for_the_next_try_is_no_hanging() -> None:
    """Ten minutes between two tries are on purpose."""
    clock = Clock()
    camera, _ = watched(clock=clock)
    delay_s = camera.lose(LoginError("refused"))
    clock.ns += round(delay_s * 1e9)
    assert camera.watch() is None
    clock.ns += round((HANGS_OPENING_S + 1) * 1e9)
    assert camera.watch() is not None
