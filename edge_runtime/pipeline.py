"""The loop: capture, inference and outputs, each in a thread of its own.

    capture, shrink ─▶ frames ─▶ invoke ─▶ answers ─▶ decode, draw ─▶ a queue and a worker for each output

The thread in the middle does only what needs the interpreter, so the rate is that of the model alone. Live sources:
the newest frame wins and drops are counted. Files: nothing is lost and the order is kept. The thread that calls `run`
watches the clock, makes the reports and shows the window, which must not live in another thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edge_runtime.capture import FrameSource
from edge_runtime.capture.paced import PacedSource
from edge_runtime.capture.state import CameraState
from edge_runtime.clock import NS_PER_S, now_ns
from edge_runtime.detector import Detector, Invoked
from edge_runtime.errors import BackendDownError, CaptureError
from edge_runtime.frame import Frame
from edge_runtime.handover import Handover
from edge_runtime.outputs import Output
from edge_runtime.outputs.delivery import Delivered, Delivery
from edge_runtime.result import Result, StateChange
from edge_runtime.telemetry.report import Telemetry
from edge_runtime.vision.preprocess import Shrunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

QUEUED_FRAMES = 2
QUEUED_ANSWERS = 2
RETRY_DELAYS_S = (0.5, 1.0, 2.0, 5.0, 10.0)
STOP_WITHIN_S = 1.2
"""How long threads get to end after `stop` or the time limit; a driver or an engine that sits in a call is left behind.
The end of a file and `max_frames` know no such limit for the outputs: there everything is written, however long it
takes."""
GRACE_S = 0.3
TICK_S = 0.1
DOWN = ("lost", "down")
"""States of a part that is waited for, while no frame can come through."""
MOST_LOST = 3
"""Invokes of one frame that may cost the backend; a frame that kills it each time is dropped then."""


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """A frame on its way to the model, already at model size."""

    frame: Frame  # without its image where nobody looks
    shrunk: Shrunk
    shrink_ns: int  # how long shrinking took


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A frame that has been through the model, not yet decoded."""

    frame: Frame
    invoked: Invoked
    wait_ns: int  # from capture until the model was free, without shrinking
    shrink_ns: int


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run went."""

    processed: int  # frames with a result
    outputs: tuple[Delivered, ...]  # what each output wrote and lost, in the order they were given
    left_threads: tuple[str, ...]  # names of threads that did not end in time
    record: dict[str, Any]  # the telemetry record of the whole run

    @property
    def failed_outputs(self) -> tuple[str, ...]:
        """The names of the outputs that failed on the way, or did not come to their end."""
        return tuple(output.name for output in self.outputs if output.has_failed)


class Pipeline:
    """A source, a detector and outputs, run once.

    Example:
        >>> with Detector("detect.tflite") as detector:
        ...     summary = Pipeline(open_source("street.mp4"), detector, outputs).run()
    """

    def __init__(
        self,
        source: FrameSource,
        detector: Detector,
        outputs: Sequence[Output] = (),
        *,
        telemetry: Telemetry | None = None,
        max_frames: int | None = None,
        duration_s: float | None = None,
        exit_on_source_loss: bool = False,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
        report_interval_s: float = 10.0,
        on_report: Callable[[dict[str, Any]], None] | None = None,
        on_first_result: Callable[[], object] | None = None,
        on_tick: Callable[[int, str | None], None] | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            source: entered, iterated and left by the capture thread alone.
            detector: open; each of its steps is used by one thread of the run; not closed.
            outputs: opened at the start of `run` and closed at its end.
            telemetry: where measurements go; None makes one.
            max_frames: end after so many results.
            duration_s: end after so long.
            exit_on_source_loss: end when a live source is lost; otherwise it is waited for.
            retry_delays_s: waits between tries to open it again; the last one repeats.
            report_interval_s: seconds between two reports.
            on_report: called in the thread of `run` with each period's telemetry record.
            on_first_result: called once, in the results thread, when the first result is there.
            on_tick: called about ten times a second in the thread of `run` with the number of results so far and the
                part that is down and waited for, as in "camera: lost", or None.
        """
        self.telemetry = telemetry or Telemetry()
        self._source = source
        self._detector = detector
        self._delivery = Delivery(outputs, is_live=source.is_live, on_all_failed=self._take_no_more)
        self._somebody_looks = any(output.needs_drawing for output in outputs)
        self._max_frames = max_frames
        self._duration_s = duration_s
        self._exit_on_source_loss = exit_on_source_loss
        self._report_interval_s = report_interval_s
        self._on_report = on_report
        self._on_first_result = on_first_result
        self._on_tick = on_tick
        self._down: dict[str, str] = {}  # part -> state
        self._frames: Handover[Ready] = Handover(1 if source.is_live else QUEUED_FRAMES, newest_wins=source.is_live)
        self._answers: Handover[Answer | StateChange] = Handover(QUEUED_ANSWERS, newest_wins=False)
        self._is_asked_to_stop = False
        self._no_more = threading.Event()
        self._failures: list[BaseException] = []
        self._camera = CameraState(source, retry_delays_s, self._answers.put_extra)
        self._captured = self._asked = self._processed = 0

    def stop(self) -> None:
        """Ask the run to end soon: no new frame is taken, every result already made is written.

        From any thread, and from a signal handler: it only sets a flag, which `run` looks at ten times a second.
        """
        self._is_asked_to_stop = True

    def _take_no_more(self) -> None:
        self._no_more.set()
        self._frames.close(discard=True)
        if isinstance(self._source, PacedSource):
            self._source.close()  # it may be waiting for the moment of its next frame

    def run(self) -> Summary:
        """Return when the source ends, a limit is reached or `stop` is called.

        Raises:
            OutputError: an output cannot be opened; nothing has been captured then.
            ConfigError: the window cannot be shown.
            CaptureError: the source cannot be opened or broke off, and waiting for it makes no sense.
            BackendError: the engine failed.
        """
        self._delivery.open()
        self._detector.watch(self._answers.put_extra)
        threads = self._start_threads()
        try:
            self._watch(threads)
        except BaseException:  # KeyboardInterrupt too: what is accepted gets written before it goes on
            self._take_no_more()
            raise
        finally:
            left = self._join(threads)
            processed = self._processed
            ends = self._delivery.ends(processed)
        if self._failures:
            raise self._failures[0]
        return Summary(processed, ends, left, self.telemetry.final())

    def _start_threads(self) -> list[threading.Thread]:
        jobs = (("capture", self._capture), ("inference", self._infer), ("results", self._hand_out))
        threads = [threading.Thread(target=job, name=name, daemon=True) for name, job in jobs]
        for thread in threads:
            thread.start()
        return threads + self._delivery.start()

    # The capture thread.

    def _capture(self) -> None:
        try:
            if self._source.is_live and not self._exit_on_source_loss:
                self._capture_forever()
            else:
                self._capture_once()
        except Exception as exc:  # noqa: BLE001 (raised again by run, in the caller's thread)
            self._failures.append(exc)
        finally:
            self._frames.close()

    def _capture_once(self) -> None:
        before = self._captured  # a camera that comes back begins at 0 again
        with self._source as source:
            for frame in source:
                if before:
                    frame = replace(frame, sequence=before + frame.sequence)
                self._captured = frame.sequence + 1
                if source.is_live:
                    frame = self._camera.delivers(frame)
                self.telemetry.captured()
                lost = self._frames.put(self._make_ready(frame))
                del frame  # its memory is free for the next one
                if self._no_more.is_set():
                    return
                if lost:
                    self.telemetry.dropped(lost)

    def _make_ready(self, frame: Frame) -> Ready:
        """Shrink the frame where it was captured: on this core it is still in the cache."""
        start_ns = now_ns()
        shrunk = self._detector.shrink(frame.image)
        return Ready(frame if self._somebody_looks else frame.without_image(), shrunk, now_ns() - start_ns)

    def _capture_forever(self) -> None:
        """Capture until told to stop; a lost camera is a state, and is tried again, ever more slowly."""
        while not self._no_more.is_set():
            try:
                self._capture_once()
                return  # a paced file came to its end
            except CaptureError as exc:
                self._no_more.wait(self._camera.lose(exc))

    # The inference thread.

    def _infer(self) -> None:
        try:
            while (ready := self._frames.get()) is not None:
                if self._ask(ready):
                    self._asked += 1
                else:
                    self.telemetry.dropped()
                del ready  # its memory is free while we wait for the next
                if self._asked == self._max_frames:
                    self._take_no_more()
        except Exception as exc:  # noqa: BLE001 (raised again by run, in the caller's thread)
            self._failures.append(exc)
            self._take_no_more()
        finally:
            self._answers.close()

    def _ask(self, ready: Ready) -> bool:
        """Return whether the frame was answered; while the backend is down a file waits, a camera does not."""
        lost = 0
        while True:
            wait_ns = now_ns() - ready.frame.captured_ns - ready.shrink_ns
            try:
                self._answers.put(Answer(ready.frame, self._detector.invoke(ready.shrunk), wait_ns, ready.shrink_ns))
                return True
            except BackendDownError as exc:
                lost += exc.__cause__ is not None
            if self._source.is_live or lost == MOST_LOST or self._no_more.wait(TICK_S):
                return False

    # The results thread.

    def _hand_out(self) -> None:
        try:
            while (answer := self._answers.get()) is not None:
                item = self._note(answer) if isinstance(answer, StateChange) else self._decode(answer)
                drawn = self._draw(item) if isinstance(item, Result) and self._delivery.needs_drawing else None
                self._delivery.offer(item, drawn)
                del answer, item, drawn
        except Exception as exc:  # noqa: BLE001 (raised again by run, in the caller's thread)
            self._failures.append(exc)
            self._take_no_more()
        finally:
            self._answers.close(discard=True)  # nobody reads any more: a writer must not wait
            self._delivery.finish()

    def _note(self, change: StateChange) -> StateChange:
        self._down = {part: state for part, state in self._down.items() if part != change.part}
        if change.after in DOWN:
            self._down = {**self._down, change.part: change.after}  # a new one: another thread reads it
        return change

    def _decode(self, answer: Answer) -> Result:
        start_ns = now_ns()
        detections = self._detector.decode(answer.invoked)
        names = self._detector.names_of(detections)
        finished_ns = now_ns()
        stages_ns = {
            "wait": answer.wait_ns,
            "preprocess": answer.shrink_ns + answer.invoked.finish_ns,
            "invoke": answer.invoked.invoke_ns,
            "decode": finished_ns - start_ns,
        }
        result = Result(answer.frame, detections, names, stages_ns, finished_ns, self._detector.task)
        self.telemetry.result(stages_ns, result.latency_ns)
        self._processed += 1
        if self._processed == 1 and self._on_first_result:
            self._on_first_result()
        return result

    def _draw(self, result: Result) -> NDArray[np.uint8]:
        from edge_runtime.drawing import draw_result

        return draw_result(result, self.telemetry.overlay())

    # The caller's thread.

    def _watch(self, threads: Sequence[threading.Thread]) -> None:
        """Wait until everything is written or a stop is asked for; meanwhile report, and feed the window."""
        start_ns = now_ns()
        next_report_s = self._report_interval_s
        last = threads[1:]  # the capture thread may sit in a driver; it is not waited for here
        while any(thread.is_alive() for thread in last):
            self._tick(last)
            if (hang := self._camera.watch()) and self._exit_on_source_loss:
                self._failures.append(hang)
                self._take_no_more()
            elapsed_s = (now_ns() - start_ns) / NS_PER_S
            if self._is_asked_to_stop or (self._duration_s is not None and elapsed_s >= self._duration_s):
                self._take_no_more()
                return
            if elapsed_s >= next_report_s:
                next_report_s = elapsed_s + self._report_interval_s
                self._report()

    def _tick(self, threads: Sequence[threading.Thread]) -> None:
        """Spend a moment: on the window if there is one, else waiting for the first thread that still works."""
        if self._on_tick:
            down = {} if self._camera.hangs else self._down  # no waiting mends a driver that hangs
            self._on_tick(self._processed, next((f"{part}: {state}" for part, state in down.items()), None))
        if self._delivery.has_window:
            if not self._delivery.show(TICK_S / 10):
                self.stop()
            return
        working = next((thread for thread in threads if thread.is_alive()), None)
        if working is not None:
            working.join(TICK_S)

    def _report(self) -> None:
        record = self.telemetry.snapshot()
        if self._on_report:
            self._on_report(record)

    def _join(self, threads: Sequence[threading.Thread]) -> tuple[str, ...]:
        """Give the threads their time to end, give up what hangs, say what is left, and close the window."""
        self._wait_for(threads, STOP_WITHIN_S)
        self._answers.close()  # nobody waits any more for an engine that hangs
        self._delivery.give_up(also_idle=False)
        self._wait_for(threads, GRACE_S)  # whoever waited for the hanging one
        self._delivery.give_up(also_idle=True)
        left = tuple(thread.name for thread in threads if thread.is_alive())
        if left:
            log.warning("threads still busy at the end, left behind threads=%s", ",".join(left))
        self._delivery.close_window()
        return left

    def _wait_for(self, threads: Sequence[threading.Thread], within_s: float) -> None:
        """Wait until these threads have ended, so long at most; a full window would hold up the one that feeds it."""
        deadline_ns = now_ns() + int(within_s * NS_PER_S)
        while any(thread.is_alive() for thread in threads) and now_ns() < deadline_ns:
            self._tick(threads)
