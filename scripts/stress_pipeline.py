#!/usr/bin/env python3
"""Runs the pipeline hundreds of times with parts that fail, stall and hang at random, and checks how each run ends.

    python scripts/stress_pipeline.py                       300 runs from seed 0
    python scripts/stress_pipeline.py --runs 2000 --seed 7  more of them, others
    python scripts/stress_pipeline.py --only 123 -v         one run of that seed again, with its log

A run is a scripted source (it ends, fails, stalls, cannot be opened), a prepared backend (slow, failing, hanging), up
to four outputs that fail or hang in open, write or close, sometimes a window, and an end: of the source, by a number of
frames, by a duration, or by `stop` from another thread. Checked is for each run that it ends within its time, that no
thread is left when everything that hung is let go, that the counts of frames add up, and that each output wrote or lost
every result, in order, and was closed once. A run that does not end prints the stacks of all threads and ends the
program. Exit code 0: all well; 1: a check failed; the number of the run stands in the message. On a machine that is too
busy to give each thread a turn within a second, "left behind although nothing hangs" may mean just that.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge_runtime.clock import now_ns
from edge_runtime.detector import Detector
from edge_runtime.errors import CaptureError, EdgeRuntimeError, InvokeError, OutputError
from edge_runtime.frame import Frame
from edge_runtime.inference import Quantization, TensorSpec
from edge_runtime.inference.fake import FakeBackend
from edge_runtime.model.spec import ModelSpec
from edge_runtime.pipeline import Pipeline, Summary

BOUND_S = 20.0
"""No run may take longer; all that hangs in it lets go after HANG_S."""
HANG_S = 2.5
IN_FLIGHT = 8
"""Frames that may be under way when a run ends: in capture, two queues of two, the engine, the results thread."""
IMAGE = np.zeros((12, 16, 3), np.uint8)
SPEC = ModelSpec(
    decoder="ssd_postprocess", size_wh=(8, 8), is_nchw=False, color="rgb", mean=None, std=None, fit="stretch",
    fill=(0.0, 0.0, 0.0), roles={"boxes": 0, "classes": 1, "scores": 2, "count": 3},
)  # fmt: skip
FLOAT = np.dtype("float32")
INPUT = TensorSpec("image", (1, 8, 8, 3), np.dtype("uint8"), Quantization(1 / 128, 128))
OUTPUTS = [
    TensorSpec("boxes", (1, 1, 4), FLOAT), TensorSpec("classes", (1, 1), FLOAT),
    TensorSpec("scores", (1, 1), FLOAT), TensorSpec("count", (1,), FLOAT),
]  # fmt: skip
ANSWER = [
    np.array([[[0, 0, 1, 1]]], np.float32), np.zeros((1, 1), np.float32),
    np.full((1, 1), 0.9, np.float32), np.ones(1, np.float32),
]  # fmt: skip


@dataclass
class Part:
    """A part of a run that does its work until its faults come: at which call what happens."""

    release: threading.Event  # set when the run is over: whatever hangs lets go
    slow_s: float = 0.0
    faults: dict[int, str] = field(default_factory=dict)  # number of the call -> "fail", "stall" or "hang"
    calls: int = 0

    def work(self, error: Exception) -> None:
        fault = self.faults.get(self.calls)
        self.calls += 1
        self.release.wait(self.slow_s)
        if fault == "stall":
            self.release.wait(0.05)
        if fault == "hang":
            self.release.wait(HANG_S)
        if fault == "fail":
            raise error


class ScriptedSource:
    """Gives frames; each entering and each frame is a call at which something may happen."""

    name = "scripted"
    resolution = (16, 12)
    fps = 30.0

    def __init__(self, part: Part, frames: int, *, is_live: bool) -> None:
        self._part, self._frames, self.is_live = part, frames, is_live
        self._given = 0

    def __enter__(self) -> ScriptedSource:
        self._part.work(CaptureError("source: cannot be opened"))
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __iter__(self) -> Iterator[Frame]:
        sequence = 0
        while self._given < self._frames:
            self._part.work(CaptureError("source: lost"))
            yield Frame(IMAGE, sequence, now_ns(), time.time(), self.name)
            sequence += 1
            self._given += 1


class ScriptedOutput:
    """Keeps the numbers of the results it was given."""

    def __init__(self, name: str, part: Part, open_fault: str, close_fault: str, *, needs_drawing: bool) -> None:
        self.name, self.needs_drawing = name, needs_drawing
        self._part = part
        self._at_open, self._at_close = (Part(part.release, faults={0: one}) for one in (open_fault, close_fault))
        self.sequences: list[int] = []
        self.opened = self.closed = 0

    def open(self) -> None:
        self._at_open.work(OutputError(f"{self.name}: cannot be opened"))
        self.opened += 1

    def write(self, result: Any, drawn: Any) -> None:
        assert (drawn is not None) == self.needs_drawing
        self._part.work(OutputError(f"{self.name}: disk full") if self._part.calls % 2 else KeyError("a defect"))
        self.sequences.append(result.frame.sequence)

    def write_state(self, change: Any) -> None:
        pass

    def close(self) -> None:
        self.closed += 1
        self._at_close.work(OutputError(f"{self.name}: cannot be finished"))


class ScriptedWindow(ScriptedOutput):
    """An output that belongs to the thread of `run`, and that a user may close."""

    closes_after = 10**9

    @property
    def is_closed(self) -> bool:
        return len(self.sequences) >= self.closes_after


@dataclass
class Scenario:
    """One run: its parts and what ends it."""

    release: threading.Event
    source: ScriptedSource
    detector: Detector
    outputs: list[ScriptedOutput]
    settings: dict[str, Any]
    stop_after_s: float | None
    has_hangs: bool


def make_scenario(dice: random.Random) -> Scenario:
    """Return a run drawn from these dice."""
    release = threading.Event()
    frames = dice.choice([0, 1, 5, 40, 200])
    is_live = dice.random() < 0.5
    has_hangs = dice.random() < 0.15
    kinds = ["fail", "stall", "hang"] if has_hangs else ["fail", "stall"]

    def part(chance: float, slowest_s: float, calls: int) -> Part:
        faults = {dice.randrange(calls + 1): dice.choice(kinds) for _ in range(3) if dice.random() < chance}
        return Part(release, dice.choice([0.0, 0.0, dice.random() * slowest_s]), faults)

    source = ScriptedSource(part(0.2, 0.002, frames + 1), frames, is_live=is_live)
    engine = part(0.1, 0.004, frames)
    backend = FakeBackend([INPUT], OUTPUTS, lambda _: _answer(engine))
    outputs: list[ScriptedOutput] = []
    for number in range(dice.randrange(5)):
        is_window = number == 0 and dice.random() < 0.3
        faults = [dice.choice(kinds) if dice.random() < chance else "" for chance in (0.03, 0.1)]
        writes = part(0.25, 0.004, frames)
        kind, name = (ScriptedWindow, "window") if is_window else (ScriptedOutput, f"out{number}")
        outputs.append(kind(name, writes, *faults, needs_drawing=is_window or dice.random() < 0.4))
        if is_window and dice.random() < 0.3:
            outputs[-1].closes_after = dice.randrange(20)  # type: ignore[attr-defined]
    limits: dict[str, Any] = {
        "max_frames": dice.choice([None, None, 1, 3, frames or 1, 2 * frames or 1]),
        "duration_s": dice.choice([None, None, dice.random() * 0.3]),
        "exit_on_source_loss": dice.random() < 0.5,
        "retry_delays_s": (0.0, 0.01),
        "report_interval_s": dice.choice([0.02, 10.0]),
    }
    stop_after_s = dice.random() * 0.4 if dice.random() < 0.4 else None
    return Scenario(release, source, Detector.from_backend(backend, SPEC), outputs, limits, stop_after_s, has_hangs)


def _answer(engine: Part) -> Sequence[np.ndarray[Any, Any]]:
    engine.work(InvokeError("engine: failed"))
    return ANSWER


def play(run: Scenario) -> tuple[Pipeline, Summary | EdgeRuntimeError]:
    """Return the pipeline and how its run ended."""
    pipeline = Pipeline(run.source, run.detector, run.outputs, **run.settings)
    stopper = threading.Timer(run.stop_after_s, pipeline.stop) if run.stop_after_s is not None else None
    if stopper:
        stopper.start()
    try:
        return pipeline, pipeline.run()
    except EdgeRuntimeError as exc:
        return pipeline, exc
    finally:
        if stopper:
            stopper.cancel()
            stopper.join()


def problems(run: Scenario, pipeline: Pipeline, end: Summary | EdgeRuntimeError) -> Iterator[str]:
    """Yield what is wrong with a run that has ended, one line each."""
    frames = pipeline.telemetry.final()["frames"]
    rest = frames["captured"] - frames["processed"] - frames["dropped"]
    if not 0 <= rest <= IN_FLIGHT:
        yield f"frames do not add up: {frames}"
    limit = run.settings["max_frames"]
    if limit is not None and frames["processed"] > limit:
        yield f"more results than max_frames {limit}: {frames}"
    is_cut = isinstance(end, Exception) or run.stop_after_s is not None or run.settings["duration_s"] or limit
    may_end_early = any(output.name == "window" for output in run.outputs) or run.has_hangs
    ends = {} if isinstance(end, Exception) else {one.name: one for one in end.outputs}
    all_failed = bool(run.outputs) and all(one.has_failed for one in ends.values())
    if not is_cut and not may_end_early and not all_failed and rest:
        yield f"{rest} frames of a run that came to its end are missing: {frames}"
    for output in run.outputs:
        if output.closed != output.opened:
            yield f"{output.name}: opened {output.opened} times, closed {output.closed} times"
        if sorted(set(output.sequences)) != output.sequences:
            yield f"{output.name}: out of order: {output.sequences}"
    if isinstance(end, Summary) and end.left_threads and not run.has_hangs:
        yield f"left behind although nothing hangs: {end.left_threads}"
    for name, counted in ends.items():
        output = next(one for one in run.outputs if one.name == name)
        if counted.written + counted.lost != end.processed:  # type: ignore[union-attr]
            yield f"{name}: {counted} of {frames}"
        if not run.has_hangs and counted.written != len(output.sequences):
            yield f"{name}: says {counted}, wrote {len(output.sequences)}"
        is_spared = output.name == "window" or run.source.is_live
        if counted.lost and not counted.has_failed and not is_spared:
            yield f"{name}: lost results of a file without having failed: {counted}"


def left_threads(before: set[threading.Thread]) -> list[str]:
    """Return the names of the threads that do not end although nothing hangs any more."""
    others = set(threading.enumerate()) - before
    for thread in others:
        thread.join(5)
    return [thread.name for thread in others if thread.is_alive()]


def main() -> int:
    """Run them; print how they ended."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="play this run alone")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the log of the runs")
    args = parser.parse_args()
    logging.basicConfig(level=logging.DEBUG if args.verbose else logging.CRITICAL + 1)
    sys.setswitchinterval(1e-5)  # threads change places often, in places where they seldom do
    crashed: list[str] = []
    threading.excepthook = lambda crash: crashed.append(f"thread {crash.thread} died: {crash.exc_value!r}")
    ways: Counter[str] = Counter()
    slowest_s, bad = 0.0, 0
    before = set(threading.enumerate())
    for number in range(args.runs) if args.only is None else [args.only]:
        run = make_scenario(random.Random(f"{args.seed} {number}"))
        print(f"\rrun {number} ", end="", file=sys.stderr, flush=True)
        faulthandler.dump_traceback_later(BOUND_S, exit=True)
        started = time.monotonic()
        pipeline, end = play(run)
        slowest_s = max(slowest_s, time.monotonic() - started)
        run.release.set()
        left = left_threads(before)
        faulthandler.cancel_dump_traceback_later()
        found = [*problems(run, pipeline, end), *crashed, *(f"thread left: {name}" for name in left)]
        crashed.clear()
        for line in found:
            print(f"\nrun {number} of seed {args.seed}: {line}; ended with {end!r}")
        bad += bool(found)
        ways[type(end).__name__ if isinstance(end, Exception) else "ended"] += 1
    print(f"\n{sum(ways.values())} runs, {bad} with problems, the longest {slowest_s:.1f} s; {dict(ways)}")
    return 1 if bad else 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
