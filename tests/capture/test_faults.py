"""Faults of cameras, injected into whole runs: what a user sees is a state, marked results, and a run that goes on."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest

from edge_runtime.capture import state as camera_state
from edge_runtime.capture.opencv import CameraSource
from edge_runtime.capture.picamera import PicameraSource
from edge_runtime.errors import CaptureError
from edge_runtime.outputs.jsonl import JsonLinesOutput
from edge_runtime.outputs.records import schema
from edge_runtime.outputs.video import VideoOutput
from edge_runtime.pipeline import Pipeline, Summary
from edge_runtime.result import StateChange
from tests.capture.fakes import Clock, FakeCapture, FakePicamera2
from tests.capture.machine import Machine
from tests.test_pipeline import Kept, detector

CAMERA = ("C920", "AB12", 1)
RNG = np.random.default_rng(1)


def living(size_wh: tuple[int, int] = (64, 48)) -> np.ndarray:
    return RNG.integers(0, 256, (size_wh[1], size_wh[0], 3), dtype=np.uint8)


class Told(Kept):
    """Keeps what it gets and tells when the camera went into a state."""

    def __init__(self) -> None:
        super().__init__("told")
        self._changed = threading.Condition()

    def write_state(self, change: StateChange) -> None:
        with self._changed:
            super().write_state(change)
            self._changed.notify_all()

    def wait_for(self, state: str, times: int = 1) -> None:
        """Wait until the camera has come into this state so often."""
        with self._changed:
            assert self._changed.wait_for(lambda: [way[1] for way in self.ways].count(state) >= times, 30), self.states

    @property
    def ways(self) -> list[tuple[str, str]]:
        return [(change.before, change.after) for change in self.states]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Return what a hanging driver waits for; it is set in the end, as no thread may survive a test."""
    event = threading.Event()
    yield event
    event.set()
    for thread in threading.enumerate():
        if thread.name == "capture":
            thread.join(10)
            assert not thread.is_alive()


def ticking(clock: Clock, picture: np.ndarray, seconds: float) -> Callable[[], np.ndarray]:
    """Return a step of a script: so much later this picture comes."""

    def step() -> np.ndarray:
        clock.ns += round(seconds * 1e9)
        return picture

    return step


def plugged(machine: Machine, *captures: FakeCapture, **options: Any) -> CameraSource:
    """Return a camera whose first, second, ... opening gives these captures."""
    machine.plug("1", CAMERA)
    given = iter(captures)
    clock = options.pop("clock", None) or Clock()
    return CameraSource(
        0, opener=lambda path: next(given), nodes=machine.nodes, environ={}, clock=clock, pause=clock.pause, **options
    )


def run_until_it_is_back(pipeline: Pipeline, told: Told) -> None:
    """Run until the camera was there, was lost, and is there again."""
    run = threading.Thread(target=pipeline.run)
    run.start()
    told.wait_for("ok", times=2)
    pipeline.stop()
    run.join(10)
    assert not run.is_alive()
    assert told.ways[:3] == [("starting", "ok"), ("ok", "lost"), ("lost", "ok")]


def test_results_of_black_frames_are_marked_and_the_camera_is_suspect(machine: Machine, tmp_path: Path) -> None:
    """A covered camera must not look like a quiet night in the records."""
    clock = Clock()
    black = np.zeros((48, 64, 3), np.uint8)
    script = [ticking(clock, living(), 0.1) for _ in range(3)]
    script += [ticking(clock, black, 0.5) for _ in range(12)]
    script += [ticking(clock, living(), 0.5) for _ in range(8)]
    # 23 pictures come, slowly enough for each to be answered: the next one waits until the last is written.
    gate = threading.Semaphore(1)

    class Lines(JsonLinesOutput):
        def write(self, result: Any, drawn: Any) -> None:
            super().write(result, drawn)
            gate.release()

    def waiting(step: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: step() if gate.acquire(timeout=30) else None

    path = tmp_path / "out.jsonl"
    source = plugged(machine, FakeCapture(map(waiting, script)), clock=clock)
    Pipeline(source, detector(), [Lines(path)], max_frames=23).run()

    records = [json.loads(line) for line in path.read_text().splitlines()]
    valid = jsonschema.Draft202012Validator(schema())
    assert all(valid.is_valid(record) for record in records)
    marks = [record.get("camera") for record in records if record["type"] == "detections"]
    states = [(record["to"], record["reason"]) for record in records if record["type"] == "state"]
    assert marks == [None] * 3 + ["suspect"] * 15 + [None] * 5, "until it is believed again its frames stay marked"
    assert [state for state, _ in states[:3]] == ["ok", "suspect", "ok"]
    assert states[1][1].endswith("video0 sends black pictures; check lens, cover and light")


def test_a_camera_pulled_and_plugged_in_under_another_number_goes_on_by_itself(machine: Machine) -> None:
    """The old handle keeps the old number taken until it is closed, so this is what a replug looks like."""
    machine.plug("1", CAMERA)
    told = Told()

    def replug() -> None:
        machine.pull("1")
        machine.plug("1", CAMERA, number=1)

    machine.scripts[1] = [living(), replug]
    pipeline = Pipeline(machine.camera(0), detector(), [told], retry_delays_s=(0.01,))
    run_until_it_is_back(pipeline, told)


def test_a_camera_absent_at_boot_is_waited_for(machine: Machine) -> None:
    """The service starts before the bus is ready."""
    told = Told()
    clock = Clock()
    source = CameraSource(
        0, opener=lambda path: FakeCapture(itertools.repeat(living())), nodes=machine.nodes, environ={},
        clock=clock, pause=clock.pause,
    )  # fmt: skip
    pipeline = Pipeline(source, detector(), [told], retry_delays_s=(0.01,), max_frames=2)
    run = threading.Thread(target=pipeline.run)
    run.start()
    told.wait_for("lost")
    machine.plug("1", CAMERA)
    run.join(10)

    assert not run.is_alive()
    assert told.ways[:2] == [("starting", "lost"), ("lost", "ok")]
    assert "no such device" in told.states[0].reason


def test_a_camera_that_another_program_has_is_taken_when_it_is_free(machine: Machine) -> None:
    """No need to start again what waited."""
    told = Told()
    source = plugged(machine, FakeCapture(opened=False), FakeCapture([living(), living()]))
    Pipeline(source, detector(), [told], retry_delays_s=(0.01,), max_frames=1).run()

    assert told.ways[:2] == [("starting", "lost"), ("lost", "ok")]
    assert "busy" in told.states[0].reason


def test_a_change_of_resolution_goes_through_boxes_drawing_and_video(machine: Machine, tmp_path: Path) -> None:
    """The file keeps its first size, boxes are always in pixels of their own frame."""
    sizes = [(64, 48)] * 6 + [(128, 96)] * 6 + [(96, 128)] * 6
    gate = threading.Semaphore(1)
    found: list[list[float]] = []

    class Video(VideoOutput):
        def write(self, result: Any, drawn: Any) -> None:
            super().write(result, drawn)
            found.append(result.detections.boxes[0].tolist())
            gate.release()

    script = [lambda wh=wh: living(wh) if gate.acquire(timeout=30) else None for wh in sizes]
    source = plugged(machine, FakeCapture(script))
    summary = Pipeline(source, detector(), [Video(tmp_path / "a.avi", 30.0)], max_frames=len(sizes)).run()

    assert summary.failed_outputs == ()
    assert found == [[0, 0, *wh] for wh in sizes]
    reader = cv2.VideoCapture(str(tmp_path / "a.avi"))
    shapes = []
    while (read := reader.read())[0]:
        shapes.append(read[1].shape)
    reader.release()
    assert set(shapes) == {(48, 64, 3)}
    assert len(shapes) == len(sizes)


def hang(release: threading.Event) -> Callable[..., Any]:
    def step(*_: Any, **__: Any) -> None:
        assert release.wait(60)

    return step


def run_until_lost(source: Any, told: Told) -> Summary:
    """Run until the camera is lost, then stop."""
    pipeline = Pipeline(source, detector(), [told])
    summaries: list[Summary] = []
    run = threading.Thread(target=lambda: summaries.append(pipeline.run()))
    run.start()
    told.wait_for("lost")
    pipeline.stop()
    run.join(10)
    assert not run.is_alive()
    return summaries[0]


def test_a_driver_that_hangs_for_good_is_told_and_left_behind(
    machine: Machine, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread can be taken out of the kernel; the run says so, and a stop ends it all the same."""
    monkeypatch.setattr(camera_state, "HANGS_READING_S", 0.1)
    told = Told()
    summary = run_until_lost(plugged(machine, FakeCapture([living(), hang(release)])), told)

    assert told.ways == [("starting", "ok"), ("ok", "lost")]
    assert "hangs in the driver" in told.states[-1].reason
    assert summary.left_threads == ("capture",)


def test_a_watchdog_is_fed_while_a_camera_is_waited_for_and_not_while_it_hangs(
    machine: Machine, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting mends an unplugged camera; nothing but a new process mends a driver that hangs."""
    monkeypatch.setattr(camera_state, "HANGS_OPENING_S", 0.1)
    troubles: list[str | None] = []
    beaten = threading.Event()

    def beat(processed: int, trouble: str | None) -> None:
        troubles.append(trouble)
        if "camera: lost" in troubles and trouble is None:
            beaten.set()

    def reopened(path: str) -> FakeCapture:
        return FakeCapture([hang(release)] if "camera: lost" in troubles else [])

    machine.plug("1", CAMERA)
    clock = Clock()
    source = CameraSource(0, opener=reopened, nodes=machine.nodes, environ={}, clock=clock, pause=clock.pause)
    pipeline = Pipeline(source, detector(), [Told()], retry_delays_s=(0.3,), on_tick=beat)
    run = threading.Thread(target=pipeline.run)
    run.start()
    assert beaten.wait(30)
    pipeline.stop()
    run.join(10)
    assert not run.is_alive()


def test_picamera2_that_never_returns_is_told_too(release: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own time-out does not help when libcamera's thread is the one that hangs."""
    monkeypatch.setattr(camera_state, "HANGS_READING_S", 0.1)
    told = Told()
    camera = FakePicamera2([(living(), {})])
    first = camera.capture_request
    requests = iter([first])
    camera.capture_request = lambda wait: next(requests, hang(release))(wait=wait)  # type: ignore[method-assign]
    run_until_lost(PicameraSource(opener=lambda number: camera), told)

    assert told.ways == [("starting", "ok"), ("ok", "lost")]
    assert "picamera hangs in the driver" in told.states[-1].reason


def test_a_driver_that_hangs_ends_a_run_that_shall_end_with_its_camera(
    machine: Machine, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--exit-on-source-loss leaves what comes next to whoever started the program."""
    monkeypatch.setattr(camera_state, "HANGS_READING_S", 0.1)
    source = plugged(machine, FakeCapture([living(), hang(release)]))
    with pytest.raises(CaptureError, match="hangs in the driver"):
        Pipeline(source, detector(), [Kept()], exit_on_source_loss=True).run()


def test_a_front_end_that_times_out_is_opened_anew() -> None:
    """libcamera stops the stream then; closing may fail as well, which must not end the run."""

    class Failing(FakePicamera2):
        def cancel_all_and_flush(self) -> None:
            raise RuntimeError("camera in the wrong state")

        def close(self) -> None:
            super().close()
            raise OSError("device went away")

    told = Told()
    broken = Failing([(living(), {}), TimeoutError()])
    cameras = iter([broken, FakePicamera2(itertools.repeat((living(), {})))])
    source = PicameraSource(opener=lambda number: next(cameras), frame_timeout_s=2.0)
    pipeline = Pipeline(source, detector(), [told], retry_delays_s=(0.01,))
    run_until_it_is_back(pipeline, told)
    assert "no frame for 2.0 s; check the ribbon cable" in told.states[1].reason
    assert broken.calls[-1] == "close"
