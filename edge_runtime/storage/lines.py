"""A file of lines within a disk budget: it rotates, and comes back after a full disk."""

from __future__ import annotations

import errno
import logging
from pathlib import Path
from typing import BinaryIO

from edge_runtime.clock import NS_PER_S
from edge_runtime.errors import OutputError
from edge_runtime.linefile import LineFile
from edge_runtime.storage.names import next_name, rotated_order
from edge_runtime.storage.recovery import Recovery, Tell
from edge_runtime.storage.store import Storage

log = logging.getLogger(__name__)

ROTATE_AGAIN_NS = 60 * NS_PER_S
"""After a rotation that was not possible, as of a file that several runs share."""


class StoredLines:
    """Lines to a file or to stdout, as `LineFile` takes them, within a budget.

    Args:
        path: the file; None is stdout, which has no budget.
        part: "output:jsonl", as in the records of states.
        storage: the budget that all outputs share; None has no limits.
        append: continue a file that holds something.
        overwrite: replace a file that holds something.
        stream: where to write instead of to stdout, when `path` is None.
        header: first line of every file.
        pauses: False writes on when the day's budget is used up.
    """

    def __init__(
        self,
        path: Path | None,
        part: str,
        *,
        storage: Storage | None = None,
        append: bool = False,
        overwrite: bool = False,
        stream: BinaryIO | None = None,
        header: str | None = None,
        pauses: bool = True,
    ) -> None:
        self._storage = storage or Storage()
        self._file = LineFile(
            path,
            append=append,
            overwrite=overwrite,
            stream=stream,
            header=header,
            flush_s=0.0 if path is None else self._storage.flush_s,
            sync_s=self._storage.sync_s,
            clock=self._storage.clock,
        )
        self.recovery = Recovery(part, clock=self._storage.clock, wall_clock=self._storage.wall_clock)
        self._is_limited = path is not None and self._storage.limits.is_any
        self._pauses = pauses
        self._day = 0
        self._written_s = 0.0  # wall clock of the last line
        self._retry_rotation_ns = 0

    def watch(self, tell: Tell) -> None:
        """Go on after failures from now on, and tell of changes of state. Only for a file: a reader never returns."""
        if self._file.path is not None:
            self.recovery.watch(tell)

    def open(self) -> None:
        """Open the file; one whose last line is of another day is rotated.

        Raises:
            OutputError: see `LineFile.open`.
        """
        is_new = self._file.open()
        if not self._is_limited or self._file.path is None or not self._file.is_regular:
            self._is_limited = False
            return
        path = self._file.path
        self._storage.own(path.parent, rotated_order(path), live=path, is_packed=True)
        self._day = self._storage.day()
        self._written_s = self._storage.wall_clock()
        if not is_new and self._file.modified_s is not None:
            calendar = self._storage.calendar
            if calendar.date(self._file.modified_s) != calendar.date():
                self._written_s = self._file.modified_s
                self._day = -1

    def write(self, line: str, *, is_urgent: bool = False) -> None:
        """Write one line.

        Args:
            line: without the line break.
            is_urgent: a change of state, which no budget keeps back and no batch.

        Raises:
            OutputError: it could not be written, and nobody watches.
        """
        if self._is_limited:
            if is_urgent or not self._pauses:
                self._storage.day()
            elif not self._storage.takes(len(line) + 1):
                self.recovery.lose()
                return
        if not self.recovery.is_due:
            self._hold(line, is_urgent=is_urgent)
            return
        try:
            if self.recovery.is_failing:
                self._come_back()
            if self._is_limited:
                self._rotate_if_due()
        except OutputError as exc:
            self._hold(line, is_urgent=is_urgent)
            self._fail(exc)
            return
        try:
            self._storage.wrote(self._file.write(line))
            if is_urgent:
                self._file.flush()
        except OutputError as exc:
            self._fail(exc)

    def close(self) -> None:
        """Write what waits, also once more after a failure, and close the file. Allowed more than once.

        Raises:
            OutputError: what waits could not be written, and nobody watches.
        """
        try:
            if self.recovery.is_failing and self._file.waiting_bytes:
                self._come_back()
            self._file.close()
        except OutputError as exc:
            self.recovery.lose(self._file.drop())
            self.recovery.fail(exc)

    def _hold(self, line: str, *, is_urgent: bool) -> None:
        if not self._file.keep(line, is_urgent=is_urgent):
            self.recovery.lose()

    def _come_back(self) -> None:
        before = self._file.waiting_bytes
        self._file.reopen()
        self._file.flush()
        self._storage.wrote(before)
        self.recovery.succeed()

    def _fail(self, error: OutputError) -> None:
        """Note a failure; where a budget allows it the oldest files make room at once."""
        is_full = isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT)
        if is_full and self._is_limited and not self.recovery.is_failing and self._storage.free_some():
            try:
                self._come_back()
            except OutputError as exc:
                error = exc
            else:
                return
        self.recovery.fail(error)

    def _rotate_if_due(self) -> None:
        """Give the file another name when it is large or of another day.

        Raises:
            OutputError: no new file could be begun.
        """
        storage, path = self._storage, self._file.path
        day = storage.today
        is_due = day != self._day or self._file.size_bytes >= storage.limits.file_bytes
        before_s, self._written_s = self._written_s, storage.wall_clock()
        if not is_due or path is None or storage.clock() < self._retry_rotation_ns:
            return
        try:
            target = next_name(path, before_s)
            if self._file.size_bytes and not self._file.rotate(target):
                self._retry_rotation_ns = storage.clock() + ROTATE_AGAIN_NS
                return
        except OutputError:
            raise
        except OSError as exc:
            log.warning("a file could not be rotated, it grows on path=%s reason=%s", path, exc.strerror)
            self._retry_rotation_ns = storage.clock() + ROTATE_AGAIN_NS
            return
        self._day = day
        storage.rotated()
