"""One output with a queue and a state of its own: slow or broken, it stays its own trouble."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from edge_runtime.errors import OutputError
from edge_runtime.handover import Handover
from edge_runtime.outputs import Output
from edge_runtime.result import Result, StateChange

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

LIVE_RECORDS = 256
"""Results without pictures are small: a card that stalls for seconds loses none of a camera's."""
FEW = 4
"""Results with pictures are megabytes; and what a file fills must be written when the run is told to end."""


class OutputWorker:
    """Feeds one output from its own queue, in whatever thread calls `run` or `step`."""

    def __init__(self, output: Output, *, is_live: bool, on_failure: Callable[[OutputWorker, str], None]) -> None:
        """Take an output that is open.

        Args:
            output: where to write.
            is_live: True drops the oldest results when the output is slow, False makes the writer wait.
            on_failure: called once with this worker and the reason when its output fails.
        """
        capacity = LIVE_RECORDS if is_live and not output.needs_drawing else FEW
        self.output = output
        self.written = 0  # results
        self.has_failed = False
        self.is_busy = False  # in the output's own code just now
        self._on_failure = on_failure
        self._queue: Handover[tuple[Result | StateChange, NDArray[np.uint8] | None]] = Handover(
            capacity, newest_wins=is_live
        )

    def offer(self, item: Result | StateChange, drawn: NDArray[np.uint8] | None) -> None:
        """Queue one item; never raises. A failed output takes nothing: two that fail at once must not wait in turn."""
        if self.has_failed:
            return
        if isinstance(item, Result) and not self.output.needs_drawing:
            item = item.without_image()
        self._queue.put((item, drawn))

    def tell(self, change: StateChange) -> None:
        """Queue a change of state without waiting for room: an output that has failed cannot wait for another."""
        if not self.has_failed:
            self._queue.put_extra((change, None))

    def run(self) -> None:
        """Write until the queue is finished, then close the output, also one that has failed."""
        while self.step(None):
            pass
        self._guarded(self.output.close)

    def step(self, timeout_s: float | None) -> bool:
        """Write the next item if one comes in time; return False when nothing will come any more."""
        entry = self._queue.get(timeout_s)
        if entry is not None and not self.has_failed:
            self._guarded(lambda: self._write(*entry))
        return not self.is_finished

    @property
    def is_finished(self) -> bool:
        """True when everything has been written and nothing will come any more."""
        return self._queue.is_finished

    def finish(self) -> None:
        """Take nothing more; what is queued is still written."""
        self._queue.close()

    def abandon(self) -> None:
        """Give up on an output that does not come to its end: what is queued is lost."""
        self.has_failed = True
        self._queue.close(discard=True)

    def _write(self, item: Result | StateChange, drawn: NDArray[np.uint8] | None) -> None:
        if isinstance(item, StateChange):
            self.output.write_state(item)
        else:
            self.output.write(item, drawn)
            self.written += 1

    def _guarded(self, action: Callable[[], None]) -> None:
        """Run the action; the first failure is told, and the output gets no more results."""
        self.is_busy = True
        try:
            action()
        except OutputError as exc:
            self._fail(str(exc))
        except Exception as exc:
            log.debug("output defect output=%s", self.output.name, exc_info=True)
            self._fail(f"{type(exc).__name__}: {exc}")
        finally:
            self.is_busy = False

    def _fail(self, reason: str) -> None:
        if not self.has_failed:
            self.has_failed = True
            self._on_failure(self, reason)
