"""A file of whole lines that never loses what it held, for JSON lines and CSV."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from edge_runtime.clock import NS_PER_S, now_ns
from edge_runtime.errors import ConfigError, OutputError
from edge_runtime.filelock import lock
from edge_runtime.tornline import mend

log = logging.getLogger(__name__)

MOST_WAITING_BYTES = 256 * 1024
"""Lines that wait for their batch, or for a disk that takes them again."""
OPENINGS = 5
"""Tries to open a file that is renamed by another run in between."""
FOLLOW_NS = NS_PER_S // 50
"""How often a rename from outside is looked for: with every line of a camera, but not with every line of a job that
writes thousands a second."""
LOCKINGS, LOCKING_S = 25, 0.02
"""Tries to share a file, and the seconds between: another run may hold it alone for the moment of its renaming."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def json_line(record: Mapping[str, Any]) -> str:
    """Return the record as one line of JSON without the line break, its texts as `well_formed` gives them.

    Raises:
        ValueError: it holds NaN or an infinity, which JSON cannot say.
    """
    return well_formed(json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False))


def well_formed(text: str) -> str:
    """Return the text with U+FFFD for each lone surrogate.

    A file name that is no UTF-8 has such in it. JSON could escape one, but strict parsers refuse that.
    Source: RFC 8259, section 8.2.
    """
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


class LineFile:
    """Takes lines, each handed to the system whole; at once, or after `flush_s` in one write with others.

    While it is open, no other run can replace the file. Several runs may continue one file together. A file that is
    renamed or deleted from outside is noticed within a fiftieth of a second; lines then go to a new file of the name.

    Args:
        path: the file; None is stdout.
        append: continue a file that holds something.
        overwrite: replace a file that holds something.
        stream: where to write instead of to stdout, when `path` is None; it is not closed.
        header: first line of every file that begins empty.
        flush_s: longest time that lines wait for others; 0 writes each at once.
        sync_s: longest time until the disk itself is waited for; 0 each time, None leaves that to the system.
        clock: monotonic nanoseconds.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        append: bool = False,
        overwrite: bool = False,
        stream: BinaryIO | None = None,
        header: str | None = None,
        flush_s: float = 0.0,
        sync_s: float | None = None,
        clock: Callable[[], int] = now_ns,
    ) -> None:
        if append and overwrite:
            raise ConfigError(f"{path}: append and overwrite are both on; they exclude one another, leave one out")
        self.name = "stdout" if path is None else str(path)
        self.path = path
        self.size_bytes = 0  # of the file when it was last looked at
        self.modified_s: float | None = None  # wall clock of the last write before this one opened it
        self._append = append
        self._overwrite = overwrite
        self._stream = stream
        self._header = header
        self._flush_ns = int(flush_s * NS_PER_S)
        self._sync_ns = None if sync_s is None else int(sync_s * NS_PER_S)
        self._clock = clock
        self._file: BinaryIO | None = None
        self._identity: tuple[int, int] | None = None  # device and inode of a regular file
        self._waiting: list[bytes] = []
        self.waiting_bytes = 0  # of lines that are not in the system's hands yet
        self._flushed_ns = self._synced_ns = self._followed_ns = 0

    @property
    def is_regular(self) -> bool:
        """True for a file on a disk; False for stdout, a pipe, a device, and while nothing is open."""
        return self._identity is not None

    def open(self) -> bool:
        """Open the file; return True if it begins empty, False if it holds lines that are continued.

        Raises:
            OutputError: it holds something and neither append nor overwrite is on, another run writes it, or it
                cannot be opened.
        """
        self._flushed_ns = self._synced_ns = self._followed_ns = self._clock()
        if self.path is None:
            if self._stream is None and sys.stdout is None:
                raise OutputError("stdout: is closed; give the name of a file")
            self._file = self._stream or sys.stdout.buffer
            return True
        self._take(self.path)
        if self.size_bytes and not self._append and not self._overwrite:
            self.close()
            raise OutputError(
                f"{self.name}: exists ({self.size_bytes:,} bytes); add --append to continue it "
                "or --overwrite to replace it"
            )
        try:
            if self.size_bytes and self._overwrite:
                assert self._file is not None
                os.ftruncate(self._file.fileno(), 0)
                self.size_bytes = 0
            return self._begin()
        except OSError as exc:
            raise self._failed(exc) from exc

    def reopen(self) -> None:
        """Continue the file of this name after a failure; it is made where it is absent, with its folder.

        Raises:
            OutputError: it still cannot be opened.
        """
        assert self.path is not None, "stdout is not opened twice"
        self._let_go()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise OutputError(f"{self.name}: its folder cannot be made ({exc.strerror or exc})") from exc
        self._take(self.path)
        try:
            self._begin()
        except OSError as exc:
            raise self._failed(exc) from exc

    def write(self, line: str) -> int:
        """Write one line, or let it wait for its batch; return its bytes. The line break is added.

        Raises:
            OutputError: it could not be written whole; a regular file then ends with the line before. What was to be
                written waits for `reopen`.
        """
        if self._file is None:
            raise OutputError(f"{self.name}: is not open")
        data = f"{well_formed(line)}\n".encode()
        self._waiting.append(data)
        self.waiting_bytes += len(data)
        if (
            not self._flush_ns
            or self.waiting_bytes >= MOST_WAITING_BYTES
            or self._clock() - self._flushed_ns >= self._flush_ns
        ):
            self.flush()
        return len(data)

    def keep(self, line: str, *, is_urgent: bool = False) -> bool:
        """Let a line wait until `reopen` and `flush`; return False where too much waits already."""
        data = f"{well_formed(line)}\n".encode()
        if self.waiting_bytes + len(data) > MOST_WAITING_BYTES * (2 if is_urgent else 1):
            return False
        self._waiting.append(data)
        self.waiting_bytes += len(data)
        return True

    def drop(self) -> int:
        """Give up the lines that wait; return how many."""
        count = len(self._waiting)
        self._waiting.clear()
        self.waiting_bytes = 0
        return count

    def flush(self) -> None:
        """Hand every line that waits to the system, and to the disk where that is due.

        Raises:
            OutputError: see `write`.
        """
        self._flushed_ns = self._clock()
        if self._waiting:
            if self._file is None:
                raise OutputError(f"{self.name}: is not open")
            self._follow()
            self._put(b"".join(self._waiting))
            self._waiting.clear()
            self.waiting_bytes = 0
        if self._sync_ns is not None and self._file is not None and self.is_regular:
            self._sync(self._file)

    def rotate(self, target: Path) -> bool:
        """Give the file another name and begin a new one; return False while another run writes it, too.

        Args:
            target: a name nothing has, in the same folder.

        Raises:
            OutputError: the lines that wait could not be written, or no new file could be begun; `reopen` tries again.
            OSError: it could not be renamed; it is still written as it is.
        """
        assert self.path is not None, "only a file has a name"
        self.flush()
        if self._file is None or not self.is_regular or not self._is_alone(self._file):
            return False
        if _identity_of(self.path) != self._identity:  # another run has rotated it since the last line
            self.reopen()
            return False
        try:
            if self._sync_ns is not None:
                os.fdatasync(self._file.fileno())
            self.path.rename(target)  # nobody else does: the lock is on the file
        except OSError:
            self._share(self._file)
            raise
        self.reopen()
        return True

    def close(self) -> None:
        """Write what waits and close the file; stdout stays open. Allowed more than once.

        Raises:
            OutputError: what waits could not be written.
        """
        try:
            if self._file is not None:
                self.flush()
                if self._sync_ns is not None and self.is_regular:
                    os.fdatasync(self._file.fileno())
        finally:
            self._let_go()

    def _take(self, path: Path) -> None:
        """Open the file and lock it; another run may rename it between the two."""
        for _ in range(OPENINGS):
            self._file = self._opened(path)
            status = os.fstat(self._file.fileno())
            if not stat.S_ISREG(status.st_mode):
                self.size_bytes = 0
                return
            self._keep_others_out(self._file)
            self._identity = (status.st_dev, status.st_ino)
            if _identity_of(path) == self._identity:
                self.size_bytes, self.modified_s = os.fstat(self._file.fileno()).st_size, status.st_mtime
                return
            self._let_go()
        raise OutputError(f"{self.name}: is renamed by another run time and again; give another name")

    def _begin(self) -> bool:
        """Mend the end of the file that was opened and give an empty one its header; return whether it was empty."""
        if self._file is None or self.path is None:
            return False
        if self.size_bytes and self.is_regular:
            self.size_bytes = mend(self.path, self._file, is_alone=self._is_alone)
            self._share(self._file)
        if self.size_bytes:
            return False
        if self._header is not None:
            self._put(f"{self._header}\n".encode())
        return True

    def _is_alone(self, file: BinaryIO) -> bool:
        """Return whether no other run has the file open; nobody can open it then until it is shared again."""
        if not self._append:
            return True
        try:
            lock(file)
        except BlockingIOError:
            # Asking has cost the lock that was there, so another run may rename the file now. Source: flock(2)
            self._share(file)
            self._followed_ns = -FOLLOW_NS
            return False
        return True

    def _share(self, file: BinaryIO) -> None:
        """Let other runs in again that continue the file."""
        if self._append:
            self._keep_others_out(file)

    def _keep_others_out(self, file: BinaryIO) -> None:
        """Lock the file; where runs share it, one that is just giving it another name is waited for."""
        for attempt in range(LOCKINGS if self._append else 1):
            if attempt:
                time.sleep(LOCKING_S)
            try:
                lock(file, is_shared=self._append)
            except BlockingIOError as exc:
                error = exc
            else:
                return
        self._let_go()
        raise OutputError(f"{self.name}: another run is writing it; give another name") from error

    def _follow(self) -> None:
        """Open the file of this name where it is no longer the one that is open: what logrotate and rm do."""
        if self.path is None or self._identity is None or self._flushed_ns - self._followed_ns < FOLLOW_NS:
            return
        self._followed_ns = self._flushed_ns
        try:
            status = os.stat(self.path)  # noqa: PTH116 (half the time of Path.stat, before every line)
        except FileNotFoundError:
            found = None
        except OSError as exc:
            raise self._failed(exc) from exc
        else:
            found = (status.st_dev, status.st_ino)
            self.size_bytes = status.st_size
        if found != self._identity:
            log.warning("the file was renamed or deleted by somebody else, a new one is begun path=%s", self.path)
            self.reopen()

    def _put(self, data: bytes) -> None:
        assert self._file is not None
        view = memoryview(data)
        written = 0
        try:
            while written < len(view):
                written += self._file.write(view[written:])
            self._file.flush()
        except OSError as exc:
            raise self._failed(exc, torn_bytes=written) from exc
        self.size_bytes += written

    def _sync(self, file: BinaryIO) -> None:
        assert self._sync_ns is not None
        now = self._clock()
        if now - self._synced_ns < self._sync_ns:
            return
        self._synced_ns = now
        try:
            os.fdatasync(file.fileno())
        except OSError as exc:
            raise self._failed(exc) from exc

    @staticmethod
    def _opened(path: Path) -> BinaryIO:
        """Return the file, opened without a buffer: a line is in the system's hands when `flush` returns."""
        try:
            return path.open("ab", buffering=0)
        except IsADirectoryError as exc:
            raise OutputError(f"{path}: is a folder; give the name of a file") from exc
        except FileNotFoundError as exc:
            raise OutputError(f"{path}: the folder {path.parent} does not exist; create it first") from exc
        except OSError as exc:
            reason = exc.strerror or exc
            raise OutputError(f"{path}: cannot be opened ({reason}); choose a place this user may write to") from exc

    def _let_go(self) -> None:
        if self._file is not None and self.path is not None:
            self._file.close()
        self._file = self._identity = None

    def _failed(self, error: OSError, torn_bytes: int = 0) -> OutputError:
        """Return the error to raise, after taking back the part of a line that did get written."""
        if isinstance(error, OutputError):
            return error
        if self._file is not None and torn_bytes and self.is_regular:
            os.ftruncate(self._file.fileno(), os.fstat(self._file.fileno()).st_size - torn_bytes)
        self._let_go()
        if self.path is None and self._stream is None:
            _silence_stdout()
        if error.errno == errno.EPIPE:
            return OutputError(f"{self.name}: whoever read it has gone (broken pipe)")
        return OutputError(f"{self.name}: cannot be written ({error.strerror or error})")


def _identity_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _silence_stdout() -> None:
    """Send the rest of stdout nowhere; else whatever is printed later fails again, at the latest at Python's end.

    Source: the note on SIGPIPE in the documentation of Python's module ``signal``.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
