"""The disk budget that all outputs of a run share, and the thread that keeps it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType

from edge_runtime.clock import NS_PER_S, now_ns
from edge_runtime.result import StateChange
from edge_runtime.storage.calendar import Calendar
from edge_runtime.storage.compress import compress
from edge_runtime.storage.limits import Limits
from edge_runtime.storage.names import OrderOf
from edge_runtime.storage.shelves import Owned, Shelves, written_on
from edge_runtime.storage.surplus import SPARE

log = logging.getLogger(__name__)

PART = "storage"
TICK_S = 10.0
LOOK_AGAIN_NS = 600 * NS_PER_S
STOP_WITHIN_S = 2.0
LEAST_FREED_BYTES = 2**20
"""What a full disk is given back at once by deleting the oldest files, so that a try to write makes sense."""
LOWEST_PRIORITY = 19
LONGEST_REST_S = 1.0


class Storage(AbstractContextManager["Storage"]):
    """Counts what is written, says when to pause, and deletes the oldest files of ours where a budget is full.

    Safe from any thread. While it is entered, a thread of low priority compresses and deletes; without limits there
    is none. At the end it deletes once more, so leave it after the outputs are closed.

    Args:
        limits: the budget.
        flush_s: how long lines may wait for others, see `LineFile`.
        sync_s: how long until the disk is waited for, see `LineFile`.
        clock: monotonic nanoseconds.
        wall_clock: seconds since 1970.
        statvfs: tells the room on the disk of a folder.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        flush_s: float = 0.0,
        sync_s: float | None = None,
        clock: Callable[[], int] = now_ns,
        wall_clock: Callable[[], float] = time.time,
        statvfs: Callable[[Path], os.statvfs_result] = os.statvfs,
    ) -> None:
        self.limits = limits or Limits()
        self.flush_s = flush_s
        self.sync_s = sync_s
        self.clock = clock
        self.wall_clock = wall_clock
        self.calendar = Calendar(wall_clock=wall_clock, clock=clock)
        self.shelves = Shelves(wall_clock=wall_clock, statvfs=statvfs)
        self._lock = threading.Lock()
        self._sweeping = threading.Lock()
        self._tell: Callable[[StateChange], None] | None = None
        self._day = self.calendar.day()
        self._written = 0  # bytes of this day
        self._is_used_up = False
        self._is_short = False  # of room, and nothing is left to delete
        self._paused: str | None = None
        self._since_look = 0  # bytes written since the folders were read
        self._kept_bytes: int | None = None  # in them then; None: they must be read
        self._looked_ns = 0
        self._looked_day = -1
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._paced_ns = 0
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Storage:
        if self.limits.is_any:
            self._thread = threading.Thread(target=self._keep, name="storage", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(STOP_WITHIN_S)
            if self._thread.is_alive():
                log.warning("the thread that keeps the disk budget is still busy at the end, left behind")
                return
        self._look_last()

    def watch(self, tell: Callable[[StateChange], None]) -> None:
        """Name who takes the changes of state; the first one counts, so that each is told once."""
        self._tell = self._tell or tell

    def own(self, folder: Path, order_of: OrderOf, *, live: Path | None = None, is_packed: bool = False) -> None:
        """Take a folder into the budget.

        Args:
            folder: of an output.
            order_of: tells which files in it are ours.
            live: the file that is being written.
            is_packed: compress its rotated files.
        """
        owned = Owned(folder, order_of, live, is_packed)
        with self._lock:
            self.shelves.owned.append(owned)
            self._kept_bytes = None
        if self.limits.max_bytes_per_day is not None:  # a restart brings no new budget
            self.wrote(sum(written_on(owned, self.calendar.date())))
        self._wake.set()

    def day(self) -> int:
        """Return the number of the day, see `Calendar`."""
        with self._lock:
            return self._turned()

    @property
    def today(self) -> int:
        """The number of the day as it was when `takes` or `day` was called last."""
        return self._day

    @property
    def written_today(self) -> int:
        """Bytes written this UTC day."""
        with self._lock:
            self._turned()
            return self._written

    def wrote(self, size_bytes: int) -> None:
        """Count bytes that were written on the day that was asked for last."""
        with self._lock:
            self._written += size_bytes
            self._since_look += size_bytes
            maximum = self.limits.max_bytes
            is_over = maximum is not None and (self._kept_bytes or 0) + self._since_look > maximum
        if is_over:
            self._wake.set()

    def takes(self, size_bytes: int) -> bool:
        """Return whether a result of this size may be written now; the moment it pauses or goes on is told once."""
        if not self.limits.is_any:
            return True
        with self._lock:
            self._turned()
            daily = self.limits.max_bytes_per_day
            self._is_used_up = self._is_used_up or (daily is not None and self._written + size_bytes > daily)
            reason = self._reason()
            change = None
            if (reason is None) != (self._paused is None):
                before, after = ("ok", "paused") if reason is not None else ("paused", "ok")
                change = StateChange(PART, before, after, reason or "there is room again", self.wall_clock())
            self._paused = reason
        if change is not None:
            log.warning("storage state from=%s to=%s reason=%s", change.before, change.after, change.reason)
            if self._tell is not None:
                self._tell(change)
        return reason is None

    def rotated(self) -> None:
        """Take note that a file was rotated: it is to be compressed, and the budget looked at."""
        with self._lock:
            self._kept_bytes = None
        self._wake.set()

    def free_some(self) -> bool:
        """Delete the oldest files because the disk is full; return whether there were any. Nothing without a limit."""
        if not self.limits.deletes:
            return False
        with self._sweeping:
            return self.shelves.free(LEAST_FREED_BYTES) > 0

    def work(self) -> None:
        """Compress what was rotated and delete what is too much. The thread does this; a test may."""
        if not self.limits.is_any:
            return
        day = self.day()
        is_due = (
            self._kept_bytes is None
            or day != self._looked_day
            or self.clock() - self._looked_ns >= LOOK_AGAIN_NS
            or (self.limits.max_bytes is not None and self._kept_bytes + self._since_look > self.limits.max_bytes)
        )
        if is_due:
            self._looked_day, self._looked_ns = day, self.clock()
            self._pack()  # takes minutes on a small board; whoever needs room at once does not wait for it
        with self._sweeping:
            if is_due:
                self._sweep()
            if self.limits.min_free_bytes is not None:
                is_short = self.shelves.make_room(self.limits.min_free_bytes, was_short=self._is_short)
                with self._lock:
                    self._is_short = is_short

    def _turned(self) -> int:
        """Return the day; with a new one the day's budget begins anew."""
        day = self.calendar.day()
        if day != self._day:
            self._day, self._written, self._is_used_up = day, 0, False
        return day

    def _reason(self) -> str | None:
        if self._is_used_up:
            return (
                f"storage_max_bytes_per_day of {self.limits.max_bytes_per_day:,} bytes is used up; detections and "
                "snapshots go on with the next day, UTC"
            )
        if self._is_short:
            return (
                f"less than storage_min_free_bytes of {self.limits.min_free_bytes:,} bytes is free and nothing is left "
                "to delete; detections and snapshots go on when there is room"
            )
        return None

    def _keep(self) -> None:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)  # of this thread alone
        while not self._stopped.is_set():
            try:
                self.work()
            except OSError as exc:
                log.warning("the disk budget could not be kept, it is tried again reason=%s", exc)
            self._wake.wait(TICK_S)
            self._wake.clear()

    def _look_last(self) -> None:
        """Keep the budget over what was written since the thread looked; what is left to compress waits."""
        if not self.limits.deletes:
            return
        deadline_ns = self.clock() + int(STOP_WITHIN_S * NS_PER_S)
        try:
            with self._sweeping:
                self.shelves.sweep(self.limits, lambda: self.clock() > deadline_ns)
        except OSError as exc:
            log.warning("the disk budget could not be kept at the end reason=%s", exc)

    def _pack(self) -> None:
        for path in self.shelves.loose():
            if self._stopped.is_set():
                return
            self._paced_ns = self.clock()
            self.wrote(compress(path, self._is_stopped) or 0)

    def _is_stopped(self) -> bool:
        """Return whether the run ends, after resting as long as the work took: a core is for the frames.

        The priority alone does not do: a service that is locked in may not lower it.
        """
        worked_s = (self.clock() - self._paced_ns) / NS_PER_S
        is_stopped = self._stopped.wait(min(worked_s, LONGEST_REST_S))
        self._paced_ns = self.clock()
        return is_stopped

    def _sweep(self) -> None:
        with self._lock:
            self._since_look = 0
        kept_bytes = self.shelves.sweep(self.limits, self._stopped.is_set)
        if self.limits.max_bytes is not None:  # where nothing is left to delete not every write is to look again
            kept_bytes = min(kept_bytes, int(self.limits.max_bytes * (1 - SPARE)))
        with self._lock:
            self._kept_bytes = kept_bytes
