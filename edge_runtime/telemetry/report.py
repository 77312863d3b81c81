"""The measurements of a period or of the whole run, put together as a record of schema 1."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edge_runtime.clock import NS_PER_MS, NS_PER_S, now_ns, rfc3339
from edge_runtime.telemetry.board import BoardFacts, BoardProbe
from edge_runtime.telemetry.process import ProcessFacts, ProcessProbe
from edge_runtime.telemetry.stages import Percentiles, Ring, StageTimes, percentiles_of
from edge_runtime.telemetry.summary import final_table, summary_line

__all__ = ["Telemetry", "TelemetrySnapshot", "final_table", "summary_line", "telemetry_record"]

LATENCY = "capture_to_result"
OVERLAY_WINDOW_NS = 2 * NS_PER_S
OVERLAY_PACE_NS = NS_PER_S // 2
"""A number that changes with every frame cannot be read."""
OVERLAY_RESULTS = 5
"""Slow boards: at least so many results, however long they took."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Frames so far."""

    captured: int = 0
    dropped: int = 0
    processed: int = 0

    def since(self, before: Counts) -> Counts:
        """Return how many came after another count."""
        return Counts(self.captured - before.captured, self.dropped - before.dropped, self.processed - before.processed)


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time and the frames in it."""

    scope: str  # "period" or "run"
    length_ns: int
    frames: Counts
    capture_fps: float | None  # None where two moments to take it from are missing
    inference_fps: float | None


@dataclass(frozen=True, slots=True)
class TelemetrySnapshot:
    """Everything measured over one window."""

    wall_time: float  # seconds since 1970, UTC, the end of the window
    window: Window
    stages: Mapping[str, Percentiles | None]
    latency: Percentiles | None  # from capture to result
    process: ProcessFacts
    board: BoardFacts
    board_model: str


def telemetry_record(snapshot: TelemetrySnapshot) -> dict[str, Any]:
    """Return the snapshot as a record of schema 1: plain numbers and texts, base units."""
    window, board = snapshot.window, snapshot.board
    return {
        "schema": 1,
        "type": "telemetry",
        "time": rfc3339(snapshot.wall_time),
        "scope": window.scope,
        "window_s": round(window.length_ns / NS_PER_S, 3),
        "fps": {"capture": _rounded(window.capture_fps), "inference": _rounded(window.inference_fps)},
        "frames": asdict(window.frames),
        "stages_ms": {stage: _in_ms(durations) for stage, durations in snapshot.stages.items()},
        "latency_ms": _in_ms(snapshot.latency),
        **asdict(snapshot.process),
        "board": snapshot.board_model,
        "temperature_celsius": board.temperature_celsius,
        "frequency_hz": board.frequency_hz,
        "throttled": None if board.throttling is None else asdict(board.throttling),
    }


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 2)


def _in_ms(durations: Percentiles | None) -> dict[str, float] | None:
    if durations is None:
        return None
    return {name: round(getattr(durations, name) / NS_PER_MS, 3) for name in ("p50", "p90", "p95", "p99", "max")}


class Telemetry:
    """Takes what the threads of a run report and gives it back as records; safe from any thread.

    Args:
        clock: monotonic nanoseconds.
        wall_clock: seconds since 1970.
        process: looks at this process.
        board: looks at the board.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], int] = now_ns,
        wall_clock: Callable[[], float] = time.time,
        process: ProcessProbe | None = None,
        board: BoardProbe | None = None,
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._process = process or ProcessProbe()
        self._board = board or BoardProbe()
        self._board_model = self._board.model()
        self._lock = threading.Lock()
        self._times = StageTimes()
        self._captured = self._dropped = self._processed = 0
        self._first_capture_ns: int | None = None
        self._last_capture_ns = self._last_event_ns = self._period_start_ns = clock()
        self._created_ns = self._period_start_ns
        self._period_start = Counts()
        self._result_times, self._latencies = Ring(), Ring()
        self._overlay: str | None = None
        self._next_overlay_ns = 0

    def captured(self) -> None:
        """Count a frame that the source delivered. The first one starts the run's clock."""
        now = self._clock()
        with self._lock:
            self._captured += 1
            if self._first_capture_ns is None:
                self._first_capture_ns = now
            self._last_capture_ns = self._last_event_ns = now

    def dropped(self, frames: int = 1) -> None:
        """Count frames that nobody had time for."""
        with self._lock:
            self._dropped += frames

    def result(self, stages_ns: Mapping[str, int], latency_ns: int) -> None:
        """Count a result, with the nanoseconds of its stages and from capture to result."""
        now = self._clock()
        self._times.record_all(stages_ns)
        self._times.record(LATENCY, latency_ns)
        with self._lock:
            self._processed += 1
            self._last_event_ns = now
            self._result_times.add(now)
            self._latencies.add(latency_ns)

    def overlay(self) -> str | None:
        """Return "24.8 FPS | p95 41 ms" over the last two seconds, renewed twice a second; None at first."""
        now = self._clock()
        with self._lock:
            if now < self._next_overlay_ns:
                return self._overlay
            times_ns = self._result_times.last(self._processed)
            recent = max(int((times_ns > now - OVERLAY_WINDOW_NS).sum()), OVERLAY_RESULTS)
            times_ns, latency = times_ns[-recent:], percentiles_of(self._latencies.last(recent))
            if latency is not None and len(times_ns) > 1 and times_ns[-1] > times_ns[0]:
                fps = (len(times_ns) - 1) * NS_PER_S / int(times_ns[-1] - times_ns[0])
                self._overlay = f"{fps:.1f} FPS | p95 {latency.p95 / NS_PER_MS:.0f} ms"
                self._next_overlay_ns = now + OVERLAY_PACE_NS
            return self._overlay

    def snapshot(self) -> dict[str, Any]:
        """Return the record of the period that ends now, and start the next. The first begins with the first frame."""
        now = self._clock()
        with self._lock:
            window = self._period(now)
            self._period_start, self._period_start_ns = self._counts(), now
        return self._record(window, self._times.end_period(), self._process.read())

    def final(self) -> dict[str, Any]:
        """Return the record of the whole run: from the first frame to the last frame or result."""
        with self._lock:
            window = self._run()
        return self._record(window, self._times.all_run_percentiles(), self._process.read_run())

    def _counts(self) -> Counts:
        return Counts(self._captured, self._dropped, self._processed)

    def _period(self, now: int) -> Window:
        frames, start_ns = self._counts().since(self._period_start), self._period_start_ns
        intervals = frames.captured
        if self._first_capture_ns is not None and not self._period_start.captured:
            # Opening a camera takes its time; and the frame that opens the window ends no interval.
            start_ns, intervals = self._first_capture_ns, intervals - 1
        length_ns = now - start_ns
        return Window("period", length_ns, frames, _rate(intervals, length_ns), _rate(frames.processed, length_ns))

    def _run(self) -> Window:
        frames = self._counts()
        if self._first_capture_ns is None:
            return Window("run", self._clock() - self._created_ns, frames, None, None)
        length_ns = self._last_event_ns - self._first_capture_ns
        capture_fps = _rate(frames.captured - 1, self._last_capture_ns - self._first_capture_ns)
        return Window("run", length_ns, frames, capture_fps, _rate(frames.processed, length_ns))

    def _record(
        self, window: Window, durations: dict[str, Percentiles | None], process: ProcessFacts
    ) -> dict[str, Any]:
        latency = durations.pop(LATENCY, None)
        snapshot = TelemetrySnapshot(
            self._wall_clock(), window, durations, latency, process, self._board.read(), self._board_model
        )
        return telemetry_record(snapshot)


def _rate(events: int, length_ns: int) -> float | None:
    return events * NS_PER_S / length_ns if length_ns > 0 else None
