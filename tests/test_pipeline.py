"""The loop: order, loss, ends, faults. No camera, no model: prepared sources and a prepared backend."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.capture.paced import PacedSource
from edge_runtime.capture.replay import ReplaySource
from edge_runtime.clock import now_ns
from edge_runtime.detector import Detector
from edge_runtime.errors import BackendDownError, CaptureError, InvokeError, OutputError
from edge_runtime.frame import Frame
from edge_runtime.inference import Quantization, TensorSpec
from edge_runtime.inference.fake import FakeBackend
from edge_runtime.model.labels import Labels
from edge_runtime.model.spec import ModelSpec
from edge_runtime.outputs import Output
from edge_runtime.pipeline import Pipeline, Summary
from edge_runtime.result import Result, StateChange

SPEC = ModelSpec(
    decoder="ssd_postprocess", size_wh=(8, 8), is_nchw=False, color="rgb", mean=None, std=None, fit="stretch",
    fill=(0.0, 0.0, 0.0), roles={"boxes": 0, "classes": 1, "scores": 2, "count": 3}, labels=Labels(("thing",)),
)  # fmt: skip
FLOAT = np.dtype("float32")
OUTPUTS = [
    TensorSpec("boxes", (1, 1, 4), FLOAT), TensorSpec("classes", (1, 1), FLOAT),
    TensorSpec("scores", (1, 1), FLOAT), TensorSpec("count", (1,), FLOAT),
]  # fmt: skip
ANSWER = [
    np.array([[[0, 0, 1, 1]]], np.float32), np.zeros((1, 1), np.float32),
    np.full((1, 1), 0.9, np.float32), np.ones(1, np.float32),
]  # fmt: skip
IMAGES = [np.full((16, 24, 3), value, np.uint8) for value in range(10)]


def detector(on_invoke: Callable[[], object] = lambda: None) -> Detector:
    """Return a detector that finds one thing in every frame, after calling `on_invoke`."""

    def script(inputs: Sequence[Any]) -> list[Any]:
        on_invoke()
        return ANSWER

    source = TensorSpec("image", (1, 8, 8, 3), np.dtype("uint8"), Quantization(1 / 128, 128))
    return Detector.from_backend(FakeBackend([source], OUTPUTS, script), SPEC)


class Kept:
    """An output that keeps what it gets."""

    def __init__(self, name: str = "kept", *, needs_drawing: bool = False) -> None:
        self.name = name
        self.needs_drawing = needs_drawing
        self.results: list[Result] = []
        self.drawn: list[Any] = []
        self.states: list[StateChange] = []
        self.calls: list[str] = []

    def open(self) -> None:
        self.calls.append("open")

    def write(self, result: Result, drawn: Any) -> None:
        self.results.append(result)
        self.drawn.append(drawn)

    def write_state(self, change: StateChange) -> None:
        self.states.append(change)

    def close(self) -> None:
        self.calls.append("close")

    @property
    def sequences(self) -> list[int]:
        return [result.frame.sequence for result in self.results]


class Script:
    """A live source that does what it is told: frames, errors, events to wait for; one list for each entering."""

    is_live = True
    name = "scripted"
    resolution = (24, 16)
    fps = 30.0

    def __init__(self, *visits: Sequence[Any]) -> None:
        self._visits = iter(visits)

    def __enter__(self) -> Script:
        self._steps: Sequence[Any] = next(self._visits)
        if self._steps and isinstance(self._steps[0], Exception):
            raise self._steps[0]
        return self

    def __exit__(self, *error: object) -> None:
        self._steps = ()

    def __iter__(self) -> Iterator[Frame]:
        sequence = 0
        for step in self._steps:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, threading.Event):
                assert step.wait(10)
                continue
            yield Frame(IMAGES[0], sequence, now_ns(), 0.0, self.name)
            sequence += 1


def run(source: Any, found: Detector, *outputs: Output, **settings: Any) -> Summary:
    return Pipeline(source, found, list(outputs), **settings).run()


def test_a_file_loses_nothing_and_keeps_the_order() -> None:
    """However much slower the model is than the disk."""
    kept = Kept()
    summary = run(ReplaySource(IMAGES, 300), detector(), kept)
    assert kept.sequences == list(range(300))
    assert summary.processed == 300
    assert summary.record["frames"] == {"captured": 300, "dropped": 0, "processed": 300}
    assert kept.calls == ["open", "close"]


def test_a_slow_output_makes_a_file_wait_and_loses_nothing() -> None:
    """An annotated video misses no frame because its encoder is slow."""
    gate = threading.Event()

    class Slow(Kept):
        def write(self, result: Result, drawn: Any) -> None:
            gate.wait(0.002)
            super().write(result, drawn)

    slow, quick = Slow("slow", needs_drawing=True), Kept()
    run(ReplaySource(IMAGES, 60), detector(), slow, quick)
    assert slow.sequences == quick.sequences == list(range(60))


def test_live_the_newest_frame_wins_and_every_drop_is_counted() -> None:
    """A model slower than the camera must look at now, not at a growing past."""
    begun, go_on = threading.Event(), threading.Event()

    def hold_the_first() -> None:
        begun.set()
        assert go_on.wait(10)

    class Rushing(Script):
        def __iter__(self) -> Iterator[Frame]:
            for number in range(6):
                yield Frame(IMAGES[0], number, now_ns(), 0.0, self.name)
                assert begun.wait(10)  # from here on the model is busy with the first frame
            go_on.set()

    kept = Kept()
    source = Rushing([])
    summary = run(source, detector(hold_the_first), kept)
    assert kept.sequences == [0, 5]
    assert summary.record["frames"] == {"captured": 6, "dropped": 4, "processed": 2}


def test_max_frames_is_exact_and_everything_accepted_is_written() -> None:
    kept = Kept()
    assert run(ReplaySource(IMAGES, 1000), detector(), kept, max_frames=17).processed == 17
    assert kept.sequences == list(range(17))


def test_duration_ends_a_source_that_would_go_on() -> None:
    forever = threading.Event()
    source = Script(["frame", forever])
    kept = Kept()
    threading.Timer(0.5, forever.set).start()
    summary = run(source, detector(), kept, duration_s=0.05)
    assert kept.sequences == [0]
    assert summary.processed == 1


def test_stop_from_another_thread_writes_what_was_accepted() -> None:
    kept = Kept()
    pipeline: Pipeline
    count = 0

    def stop_at_the_fifth() -> None:
        nonlocal count
        count += 1
        if count == 5:
            pipeline.stop()

    pipeline = Pipeline(ReplaySource(IMAGES, 10**6), detector(stop_at_the_fifth), [kept])
    summary = pipeline.run()
    assert kept.sequences == list(range(summary.processed))
    assert summary.processed >= 5
    assert kept.calls == ["open", "close"]


def test_max_frames_waits_for_a_slow_output_however_long_it_takes() -> None:
    """A batch job has no reason to lose its last results."""
    gate = threading.Event()

    class Slow(Kept):
        def write(self, result: Result, drawn: Any) -> None:
            gate.wait(0.02)
            super().write(result, drawn)

    slow = Slow()
    assert run(ReplaySource(IMAGES, 1000), detector(), slow, max_frames=100).failed_outputs == ()
    assert slow.sequences == list(range(100))


def test_results_that_a_hanging_output_never_wrote_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    """A stop is bounded in time; what that costs is said, and the run does not pass for a success."""
    hung = threading.Event()

    class Hanging(Kept):
        def write(self, result: Result, drawn: Any) -> None:
            hung.wait(30)

    kept = Kept()
    summary = run(ReplaySource(IMAGES, 1000), detector(), Hanging("hanging"), kept, duration_s=0.05)
    hung.set()
    assert summary.failed_outputs == ("hanging",)
    assert kept.sequences == list(range(summary.processed))
    assert "output-hanging" in summary.left_threads
    hanging, other = summary.outputs
    assert (hanging.written, hanging.lost) == (0, summary.processed)
    assert (other.written, other.lost) == (summary.processed, 0)
    lost = f"results lost output=hanging written=0 lost={summary.processed}"
    assert lost in [record.getMessage() for record in caplog.records]


def test_outputs_that_hang_one_after_the_other_are_all_counted() -> None:
    """The second gets results only once the first is given up; it must not pass for a success."""
    let_go = threading.Event()

    class Hanging(Kept):
        def write(self, result: Result, drawn: Any) -> None:
            if result.frame.sequence >= 5:
                let_go.wait(30)
            super().write(result, drawn)

    first, second = Hanging("first"), Hanging("second")
    summary = run(ReplaySource(IMAGES, 10**6), detector(), first, second, duration_s=0.1)
    counts = [(one.name, one.written, one.lost) for one in summary.outputs]
    let_go.set()
    assert counts == [("first", 5, summary.processed - 5), ("second", 5, summary.processed - 5)]
    assert summary.failed_outputs == ("first", "second")


def test_results_are_counted_for_an_output_that_fails_half_way() -> None:
    """The log says how much of the run is missing in it."""

    class Failing(Kept):
        def write(self, result: Result, drawn: Any) -> None:
            if result.frame.sequence == 20:
                raise OutputError("disk full")

    summary = run(ReplaySource(IMAGES, 50), detector(), Failing("failing"), Kept())
    assert [(one.written, one.lost, one.has_failed) for one in summary.outputs] == [(20, 30, True), (50, 0, False)]


def test_an_engine_that_hangs_does_not_cost_the_outputs_their_end() -> None:
    """Of a stick that no longer answers at Ctrl-C: the video gets its index, and the program ends, window or not."""
    hung, let_go = threading.Event(), threading.Event()
    count = 0

    def hang_at_the_third() -> None:
        nonlocal count
        count += 1
        if count == 3:
            hung.set()
            let_go.wait(30)

    kept, window = Kept(), Kept("window", needs_drawing=True)
    pipeline = Pipeline(ReplaySource(IMAGES, 50), detector(hang_at_the_third), [window, kept])
    stopper = threading.Thread(target=lambda: hung.wait(10) and pipeline.stop())
    stopper.start()
    summary = pipeline.run()
    calls = [*kept.calls], [*window.calls]
    let_go.set()
    stopper.join()
    assert calls == (["open", "close"], ["open", "close"])
    assert kept.sequences == window.sequences == [0, 1]
    assert (summary.left_threads, summary.failed_outputs) == (("inference",), ())


def test_a_driver_that_sits_in_a_read_does_not_hold_up_the_end() -> None:
    """Its thread is left behind, and the summary says so."""
    never = threading.Event()
    summary = run(Script(["frame", never]), detector(), Kept(), max_frames=1)
    assert summary.left_threads == ("capture",)
    never.set()


def test_a_lost_camera_is_a_state_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    """One event when it goes, one when it is back, no line for each try, and no frame invented meanwhile."""
    looked = threading.Event()
    lost = ["frame", looked, CaptureError("camera: unplugged")]
    source = Script(lost, [CaptureError("camera: not there")], ["frame"])
    kept = Kept()
    run(source, detector(looked.set), kept, max_frames=2, retry_delays_s=(0.0,))
    assert [(change.part, change.before, change.after) for change in kept.states] == [
        ("camera", "starting", "ok"), ("camera", "ok", "lost"), ("camera", "lost", "ok"),
    ]  # fmt: skip
    assert kept.states[1].reason == "camera: unplugged"
    assert [record.levelname for record in caplog.records if "camera lost" in record.message] == ["WARNING"]
    assert kept.sequences == [0, 1]  # the source began again at 0, the run goes on counting


def test_a_camera_absent_at_the_start_is_waited_for() -> None:
    """A service at boot is often quicker than USB."""
    kept = Kept()
    source = Script([CaptureError("no /dev/video0")], ["frame"])
    assert run(source, detector(), kept, max_frames=1, retry_delays_s=(0.0,)).processed == 1
    assert [change.after for change in kept.states] == ["lost", "ok"]


def test_exit_on_source_loss_ends_with_the_reason_after_writing_what_there_was() -> None:
    kept = Kept()
    with pytest.raises(CaptureError, match="unplugged"):
        run(Script(["frame", CaptureError("unplugged")]), detector(), kept, exit_on_source_loss=True)
    assert kept.calls == ["open", "close"]


def test_a_file_that_cannot_be_read_is_an_error_at_once() -> None:
    class Broken(ReplaySource):
        def __iter__(self) -> Iterator[Frame]:
            raise CaptureError("video: not readable")

    with pytest.raises(CaptureError, match="not readable"):
        run(Broken(IMAGES, 1), detector(), Kept())


def test_a_failing_engine_ends_the_run_with_its_error_and_closes_the_outputs() -> None:
    def fail() -> None:
        raise InvokeError("engine: no")

    kept = Kept()
    with pytest.raises(InvokeError, match="engine: no"):
        run(ReplaySource(IMAGES, 50), detector(fail), kept)
    assert kept.calls == ["open", "close"]


@pytest.mark.parametrize("error", [OutputError("disk full"), KeyError("a defect")])
def test_an_output_that_fails_says_so_once_and_the_others_go_on(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Kept):
        def write(self, result: Result, drawn: Any) -> None:
            raise error

    failing, kept = Failing("failing"), Kept()
    summary = run(ReplaySource(IMAGES, 50), detector(), failing, kept)
    assert summary.failed_outputs == ("failing",)
    assert kept.sequences == list(range(50))
    assert [change.part for change in kept.states] == ["output:failing"]
    said = [record.message for record in caplog.records if "output failed" in record.message]
    assert len(said) == 1
    assert said[0].startswith("output failed, the others go on output=failing")


def test_a_failed_output_is_closed_all_the_same() -> None:
    """What it wrote before it failed may still be finished and kept."""

    class Failing(Kept):
        def write(self, result: Result, drawn: Any) -> None:
            raise OutputError("no")

        def close(self) -> None:
            super().close()
            raise OutputError("no, again")

    failing = Failing("failing")
    summary = run(ReplaySource(IMAGES, 5), detector(), failing, Kept())
    assert failing.calls == ["open", "close"]
    assert summary.failed_outputs == ("failing",)


def test_when_every_output_has_failed_the_run_ends(caplog: pytest.LogCaptureFixture) -> None:
    """`| head -1` has gone: a camera must not run on for nobody. The last one that fails has no others."""

    class Failing(Kept):
        def write(self, result: Result, drawn: Any) -> None:
            raise OutputError("stdout: closed by its reader")

    summary = run(ReplaySource(IMAGES, 10**7), detector(), Failing("one"), Failing("other"))
    assert set(summary.failed_outputs) == {"one", "other"}
    assert "output failed, the run ends" in [r.message for r in caplog.records if "output failed" in r.message][-1]


def test_an_output_that_fails_does_not_wait_for_one_that_hangs() -> None:
    """A window that breaks fails in the thread that looks at `stop`: Ctrl-C would do nothing any more."""
    hung, let_go, waited_in_vain = threading.Event(), threading.Event(), threading.Event()

    class Hanging(Kept):
        def write(self, result: Result, drawn: Any) -> None:
            hung.set()
            if not let_go.wait(10):
                waited_in_vain.set()

    class Window(Kept):
        def write(self, result: Result, drawn: Any) -> None:
            if result.frame.sequence == 4:  # the queue of the other is full: it has one in hand and four to come
                assert hung.wait(10)
                raise OutputError("window: gone")

    summary = run(
        ReplaySource(IMAGES, 10**6), detector(), Hanging("hanging"), Window("window", needs_drawing=True),
        duration_s=0.5,
    )  # fmt: skip
    let_go.set()
    assert not waited_in_vain.is_set()
    assert summary.failed_outputs == ("hanging", "window")


def test_an_output_that_cannot_be_opened_ends_before_anything_is_captured() -> None:
    """A mistyped folder must not cost an hour of results, and the outputs opened before are closed."""

    class Refusing(Kept):
        def open(self) -> None:
            raise OutputError("no such folder")

    kept = Kept()
    with pytest.raises(OutputError, match="no such folder"):
        run(ReplaySource(IMAGES, 5), detector(), kept, Refusing("refusing"))
    assert kept.calls == ["open", "close"]
    assert kept.results == []


def test_one_that_cannot_be_closed_does_not_hide_why_another_could_not_be_opened() -> None:
    """And those opened before it are closed all the same."""

    class Refusing(Kept):
        def open(self) -> None:
            raise OutputError("no such folder")

    class Stubborn(Kept):
        def close(self) -> None:
            super().close()
            raise OutputError("cannot be finished")

    kept, stubborn = Kept(), Stubborn("stubborn")
    with pytest.raises(OutputError, match="no such folder"):
        run(ReplaySource(IMAGES, 5), detector(), stubborn, kept, Refusing("refusing"))
    assert kept.calls == stubborn.calls == ["open", "close"]


def test_frames_are_drawn_once_and_only_for_those_who_look() -> None:
    """Drawing costs milliseconds; a headless run with JSON lines alone must not pay them."""
    first, second, blind = Kept("a", needs_drawing=True), Kept("b", needs_drawing=True), Kept("c")
    run(ReplaySource(IMAGES, 5), detector(), first, second, blind)
    assert all(one is other for one, other in zip(first.drawn, second.drawn, strict=True))
    assert first.drawn[0].shape == IMAGES[0].shape
    assert blind.drawn == [None] * 5


def test_outputs_that_do_not_look_keep_no_picture_alive() -> None:
    """A queue of 256 results with pictures would be a gigabyte."""
    kept = Kept()
    run(ReplaySource(IMAGES, 3), detector(), kept)
    assert all(result.frame.image.size == 0 and result.frame.image.base is None for result in kept.results)


def test_the_frame_is_never_drawn_on() -> None:
    before = [image.copy() for image in IMAGES]
    run(ReplaySource(IMAGES, 10), detector(), Kept(needs_drawing=True))
    assert all((image == copy).all() for image, copy in zip(IMAGES, before, strict=True))


def test_latency_counts_from_capture_and_is_the_sum_of_its_stages() -> None:
    kept = Kept()
    run(ReplaySource(IMAGES, 20), detector(), kept)
    for result in kept.results:
        assert set(result.stages_ns) == {"wait", "preprocess", "invoke", "decode"}
        assert sum(result.stages_ns.values()) <= result.latency_ns


def test_reports_come_while_it_runs() -> None:
    gate = threading.Event()
    records: list[dict[str, Any]] = []

    def report(record: dict[str, Any]) -> None:
        records.append(record)
        gate.set()

    run(Script(["frame", gate, "frame"]), detector(), report_interval_s=0.01, on_report=report)
    assert records[0]["type"] == "telemetry"
    assert records[0]["frames"]["processed"] == 1


def test_the_first_result_is_told_once() -> None:
    """The measuring of a start waits for it."""
    told: list[int] = []
    run(ReplaySource(IMAGES, 5), detector(), on_first_result=lambda: told.append(1))
    assert told == [1]


def test_how_it_goes_is_told_all_the_time() -> None:
    """A service feeds systemd's watchdog by it: results that go up, or a part that is known to be down."""
    told: list[tuple[int, str | None]] = []
    first, lost, second = threading.Event(), threading.Event(), threading.Event()

    def tick(processed: int, trouble: str | None) -> None:
        told.append((processed, trouble))
        for event, is_there in ((first, processed == 1), (lost, trouble), (second, processed == 2)):
            if is_there:
                event.set()

    source = Script(["frame", first, CaptureError("unplugged")], [lost, "frame", second, "frame"])
    run(source, detector(), on_tick=tick, retry_delays_s=(0.0,), max_frames=3)
    assert (1, "camera: lost") in told
    assert (2, None) in told


def test_a_window_lives_in_the_calling_thread_and_closing_it_ends_the_run() -> None:
    """Qt and others allow no other thread."""

    class Window(Kept):
        is_closed = False
        threads: set[str]

        def write(self, result: Result, drawn: Any) -> None:
            super().write(result, drawn)
            self.threads = {*getattr(self, "threads", ()), threading.current_thread().name}
            self.is_closed = len(self.results) == 3

    window = Window("window", needs_drawing=True)
    run(ReplaySource(IMAGES, 10**6), detector(), window)
    assert window.threads == {threading.current_thread().name}
    assert window.calls == ["open", "close"]


def test_a_stop_does_not_wait_for_a_window_that_nobody_feeds_any_more() -> None:
    """The results of a file wait for room in its queue; the other outputs would be left behind with theirs."""

    all_wait = threading.Event()
    count = 0

    def invoke() -> None:
        nonlocal count
        count += 1
        if count == 9:  # of the others one is being shown, four are queued, three are on their way to the queue
            all_wait.set()

    class Window(Kept):
        is_closed = False

        def write(self, result: Result, drawn: Any) -> None:
            assert all_wait.wait(10)
            super().write(result, drawn)
            self.is_closed = True

    kept = Kept()
    summary = run(ReplaySource(IMAGES, 10**6), detector(invoke), Window("window", needs_drawing=True), kept)
    assert summary.left_threads == ()
    assert kept.sequences == list(range(summary.processed))
    assert kept.calls == ["open", "close"]


def test_a_stop_does_not_wait_for_the_next_frame_of_a_slow_pace() -> None:
    """`--realtime --fps 0.1`: ten seconds between two frames."""
    looked = threading.Event()
    pipeline = Pipeline(PacedSource(ReplaySource(IMAGES, 9), fps=0.01), detector(looked.set), [Kept()])
    stopper = threading.Thread(target=lambda: looked.wait(10) and pipeline.stop())
    stopper.start()
    summary = pipeline.run()
    stopper.join()
    assert summary.left_threads == ()


def test_threads_that_end_between_two_looks_are_no_error() -> None:
    """The last of them may be gone when it is to be waited for."""
    ended = threading.Thread(target=str)
    ended.start()
    ended.join()
    Pipeline(ReplaySource(IMAGES, 1), detector())._tick([ended])


def test_ctrl_c_in_the_calling_thread_still_closes_the_outputs() -> None:
    """Whoever uses the class without the command line gets whole files, too."""

    def interrupt(record: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    gate = threading.Event()
    threading.Timer(0.3, gate.set).start()
    kept = Kept()
    with pytest.raises(KeyboardInterrupt):
        run(Script(["frame", gate]), detector(), kept, report_interval_s=0.01, on_report=interrupt)
    assert kept.calls == ["open", "close"]


def test_no_thread_survives_a_run() -> None:
    before = set(threading.enumerate())
    run(ReplaySource(IMAGES, 20), detector(), Kept(), Kept("other", needs_drawing=True))
    assert set(threading.enumerate()) == before


def test_a_replaced_frame_keeps_its_other_fields() -> None:
    frame = Frame(IMAGES[3], 7, 11, 1.5, "s")
    bare = frame.without_image()
    assert replace(bare, image=frame.image).sequence == 7
    assert bare.image.base is None


def test_a_real_file_goes_all_the_way(tmp_path: Path) -> None:
    """From pictures on disk to JSON lines on disk."""
    import json

    import cv2

    from edge_runtime.capture.open import open_source
    from edge_runtime.outputs.jsonl import JsonLinesOutput

    for number in range(3):
        cv2.imwrite(str(tmp_path / f"p{number}.png"), IMAGES[number])
    log = tmp_path / "log.jsonl"
    run(open_source(str(tmp_path / "*.png")), detector(), JsonLinesOutput(log))
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [Path(record["source"]).name for record in records] == ["p0.png", "p1.png", "p2.png"]
    assert records[0]["detections"][0]["box"] == [0, 0, 24, 16]


# A backend that is lost and comes back.


class Losing(FakeBackend):
    """Is down for the invokes with these numbers, counted from 0; tells what it is told to."""

    def __init__(self, down: set[int], lost: set[int] = frozenset()) -> None:  # type: ignore[assignment]
        source = TensorSpec("image", (1, 8, 8, 3), np.dtype("uint8"), Quantization(1 / 128, 128))
        super().__init__([source], OUTPUTS, lambda inputs: ANSWER)
        self._down, self._lost = down, lost
        self.asked = 0
        self.tell: Callable[[StateChange], object] = lambda change: None

    def watch(self, tell: Callable[[StateChange], object]) -> None:
        self.tell = tell

    def invoke(self, inputs: Sequence[Any]) -> list[Any]:
        number, self.asked = self.asked, self.asked + 1
        if number in self._down | self._lost:
            self.tell(StateChange("backend", "ok", "down", f"invoke {number}", 0.0))
            raise BackendDownError("down") from (InvokeError("crash") if number in self._lost else None)
        return super().invoke(inputs)


def test_frames_of_a_camera_during_an_outage_are_counted_as_dropped_and_the_run_goes_on() -> None:
    """A hung accelerator is a state: no end, no stale boxes, and the books still add up."""
    backend, kept = Losing({1, 2, 3}), Kept()
    step = [threading.Event() for _ in range(6)]

    class Steady(Script):
        """Gives a frame when the one before has been through the model, so that none is dropped for lack of time."""

        def __iter__(self) -> Iterator[Frame]:
            for sequence in range(6):
                yield Frame(IMAGES[0], sequence, now_ns(), 0.0, self.name)
                while backend.asked <= sequence:
                    step[sequence].wait(0.001)

    summary = run(Steady([None]), Detector.from_backend(backend, SPEC), kept, exit_on_source_loss=True)
    assert kept.sequences == [0, 4, 5]
    assert summary.record["frames"] == {"captured": 6, "dropped": 3, "processed": 3}
    assert [change.reason for change in kept.states if change.part == "backend"] == [f"invoke {n}" for n in (1, 2, 3)]


def test_a_file_waits_for_a_backend_that_is_away_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the time; a gap in the results of a film would read as nothing there."""
    monkeypatch.setattr("edge_runtime.pipeline.TICK_S", 0.001)
    kept = Kept()
    summary = run(ReplaySource(IMAGES, 5), Detector.from_backend(Losing({1, 2, 3, 4}), SPEC), kept)
    assert kept.sequences == list(range(5))
    assert summary.record["frames"] == {"captured": 5, "dropped": 0, "processed": 5}


def test_a_frame_that_kills_the_backend_each_time_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a film would never end because of it."""
    monkeypatch.setattr("edge_runtime.pipeline.TICK_S", 0.001)
    kept = Kept()
    backend = Losing({2, 4}, lost={1, 3, 5})
    summary = run(ReplaySource(IMAGES, 4), Detector.from_backend(backend, SPEC), kept)
    assert kept.sequences == [0, 2, 3]
    assert summary.record["frames"] == {"captured": 4, "dropped": 1, "processed": 3}


def test_a_stop_does_not_wait_for_a_backend_that_is_away() -> None:
    """SIGTERM must end the run also while a file waits."""
    backend = Losing(set(range(10**6)))
    pipeline = Pipeline(ReplaySource(IMAGES, 5), Detector.from_backend(backend, SPEC), [Kept()])
    backend.tell = lambda change: pipeline.stop()
    backend.watch = lambda tell: None  # type: ignore[method-assign]
    summary = pipeline.run()
    assert (summary.processed, summary.left_threads) == (0, ())


def test_frames_limited_by_number_count_results_and_not_what_was_lost() -> None:
    kept = Kept()
    run(ReplaySource(IMAGES, 9), Detector.from_backend(Losing(set(), lost={0, 1, 2}), SPEC), kept, max_frames=3)
    assert kept.sequences == [1, 2, 3]
