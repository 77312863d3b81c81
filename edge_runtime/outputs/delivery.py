"""Every result to every output: opened together, each in a thread of its own, ended in a bounded time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.outputs import Output
from edge_runtime.outputs.worker import OutputWorker
from edge_runtime.result import Result, StateChange

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

WINDOW = "window"
"""The output that must live in the thread that opens it; toolkits demand that."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of the results that were meant for one output."""

    name: str
    written: int
    lost: int  # its own failure or slowness
    has_failed: bool


class Delivery:
    """The outputs of one run. One thread offers; each output writes in its own; the window in the caller's."""

    def __init__(self, outputs: Sequence[Output], *, is_live: bool, on_all_failed: Callable[[], None]) -> None:
        """Take outputs that are not open.

        Args:
            outputs: where results go.
            is_live: True drops the oldest results of a slow output, False waits for it.
            on_all_failed: called when the last of them has failed, in that output's thread.
        """
        self._outputs = tuple(outputs)
        self._is_live = is_live
        self._on_all_failed = on_all_failed
        self._workers: list[OutputWorker] = []
        self._threads: dict[OutputWorker, threading.Thread] = {}
        self._window: OutputWorker | None = None

    @property
    def needs_drawing(self) -> bool:
        """True when somebody who has not failed looks at pictures."""
        return any(worker.output.needs_drawing and not worker.has_failed for worker in self._workers)

    @property
    def has_window(self) -> bool:
        """True while the calling thread has a window to feed with `show`."""
        return self._window is not None and not self._window.is_finished

    def open(self) -> None:
        """Open every output, or none: those already open are closed when a later one cannot be."""
        for output in self._outputs:
            try:
                output.open()
            except BaseException:
                for worker in self._workers:
                    worker.finish()
                    worker.run()
                raise
            worker = OutputWorker(output, is_live=self._is_live, on_failure=self._failed)
            self._workers.append(worker)
            watch = getattr(output, "watch", None)  # only those that write to a disk have states of their own
            if watch is not None:
                watch(self._tell_all, keeps_trying=self._is_live)
            if output.name == WINDOW:
                self._window = worker

    def start(self) -> list[threading.Thread]:
        """Start a thread for each output but the window; return them."""
        for worker in self._workers:
            if worker is not self._window:
                name = f"output-{worker.output.name}"
                self._threads[worker] = threading.Thread(target=worker.run, name=name, daemon=True)
                self._threads[worker].start()
        return list(self._threads.values())

    def offer(self, item: Result | StateChange, drawn: NDArray[np.uint8] | None) -> None:
        """Give one item to every output; `drawn` goes to those who look."""
        for worker in self._workers:
            worker.offer(item, drawn if worker.output.needs_drawing else None)

    def finish(self) -> None:
        """Take nothing more; what is queued is still written."""
        for worker in self._workers:
            worker.finish()

    def show(self, timeout_s: float) -> bool:
        """Feed the window for a moment, in the thread that opened it; return False when the user has closed it."""
        assert self._window is not None
        self._window.step(timeout_s)
        return not getattr(self._window.output, "is_closed", False)

    def close_window(self) -> None:
        """Show what the window still has and take it away, in the thread that opened it."""
        if self._window is not None:
            self._window.finish()
            self._window.run()

    def give_up(self, *, also_idle: bool) -> None:
        """Give up the outputs whose threads still run: those that hang in their own code, or those that wait, too.

        Nobody waits for the window after that, which is no longer fed.
        """
        if self._window is not None:
            self._window.finish()
        for worker, thread in self._threads.items():
            if thread.is_alive() and (worker.is_busy or also_idle) and not worker.has_failed:
                worker.abandon()
                log.error("output too slow to end, given up output=%s", worker.output.name)

    def ends(self, results: int) -> tuple[Delivered, ...]:
        """Return what became of so many results, one for each output; said in the log where some were lost."""
        ends = tuple(_end(worker, results) for worker in self._workers)
        for end, worker in zip(ends, self._workers, strict=True):
            if end.lost:
                # A picture that a live window or video had no time for is passed over as it should be.
                is_meant = self._is_live and worker.output.needs_drawing and not end.has_failed
                level = logging.INFO if is_meant else logging.WARNING
                log.log(level, "results lost output=%s written=%d lost=%d", end.name, end.written, end.lost)
        return ends

    def _tell_all(self, change: StateChange) -> None:
        """Tell every output of a change of one that goes on; called in that output's thread."""
        for worker in self._workers:
            worker.tell(change)

    def _failed(self, failed: OutputWorker, reason: str) -> None:
        """Say once that an output is gone, in the log and to the other outputs; called in that output's thread."""
        others = [worker for worker in self._workers if not worker.has_failed]
        what_now = "the others go on" if others else "the run ends"
        log.error("output failed, %s output=%s reason=%s", what_now, failed.output.name, reason)
        if not others:
            self._on_all_failed()  # nobody would see what is found
        change = StateChange(f"output:{failed.output.name}", "ok", "failed", reason, time.time())
        for worker in others:
            worker.tell(change)


def _end(worker: OutputWorker, results: int) -> Delivered:
    dropped = getattr(worker.output, "lost", 0)  # taken, but not written: the disk was full, or a budget
    written = min(max(0, worker.written - dropped), results)  # a thread left behind still counts
    has_failed = worker.has_failed or getattr(worker.output, "is_failing", False)
    return Delivered(worker.output.name, written, results - written, has_failed)
