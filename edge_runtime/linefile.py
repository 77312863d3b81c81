"""A file of whole lines that never loses what it held, for JSON lines and CSV."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from edge_runtime.errors import ConfigError, OutputError
from edge_runtime.filelock import lock


def json_line(record: Mapping[str, Any]) -> str:
    """Return the record as one line of JSON without the line break.

    Raises:
        ValueError: it holds NaN or an infinity, which JSON cannot say.
    """
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


class LineFile:
    """Takes lines, each handed to the system whole and at once; nothing waits in memory.

    While it is open, no other run can replace the file. Several runs may continue one file together.

    Args:
        path: the file; None is stdout.
        append: continue a file that holds something.
        overwrite: replace a file that holds something.
        stream: where to write instead of to stdout, when `path` is None; it is not closed.
    """

    def __init__(
        self, path: Path | None, *, append: bool = False, overwrite: bool = False, stream: BinaryIO | None = None
    ) -> None:
        if append and overwrite:
            raise ConfigError(f"{path}: append and overwrite are both on; they exclude one another, leave one out")
        self.name = "stdout" if path is None else str(path)
        self._path = path
        self._append = append
        self._overwrite = overwrite
        self._stream = stream
        self._file: BinaryIO | None = None
        self._is_regular = False

    def open(self) -> bool:
        """Open the file; return True if it is empty, False if it holds lines that are continued.

        Raises:
            OutputError: it holds something and neither append nor overwrite is on, another run writes it, or it
                cannot be opened.
        """
        if self._path is None:
            if self._stream is None and sys.stdout is None:
                raise OutputError("stdout: is closed; give the name of a file")
            self._file = self._stream or sys.stdout.buffer
            return True
        self._file = self._opened(self._path)
        self._is_regular = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        if self._is_regular:
            self._keep_others_out(self._file)
        size_bytes = os.fstat(self._file.fileno()).st_size if self._is_regular else 0
        if size_bytes and not self._append and not self._overwrite:
            self.close()
            raise OutputError(
                f"{self.name}: exists ({size_bytes:,} bytes); add --append to continue it or --overwrite to replace it"
            )
        try:
            self._prepare(self._path, size_bytes)
        except OSError as exc:
            raise self._failed(exc) from exc
        return size_bytes == 0 or self._overwrite

    def write(self, line: str) -> None:
        """Write one line; the line break is added.

        Raises:
            OutputError: it could not be written whole; a regular file then ends with the line before.
        """
        if self._file is None:
            raise OutputError(f"{self.name}: is not open")
        # A file name that is no UTF-8 has lone surrogates in it; JSON has an escape of the same look for them.
        data = memoryview(f"{line}\n".encode("utf-8", "backslashreplace"))
        written = 0
        try:
            while written < len(data):
                written += self._file.write(data[written:])
            self._file.flush()
        except OSError as exc:
            raise self._failed(exc, torn_bytes=written) from exc

    def close(self) -> None:
        """Close the file; stdout stays open. Allowed more than once."""
        if self._file is not None and self._path is not None:
            self._file.close()
        self._file = None

    def _keep_others_out(self, file: BinaryIO) -> None:
        try:
            lock(file, is_shared=self._append)
        except BlockingIOError as exc:
            self.close()
            raise OutputError(f"{self.name}: another run is writing it; give another name") from exc

    @staticmethod
    def _opened(path: Path) -> BinaryIO:
        """Return the file, opened without a buffer: a line is in the system's hands when `write` returns."""
        try:
            return path.open("ab", buffering=0)
        except IsADirectoryError as exc:
            raise OutputError(f"{path}: is a folder; give the name of a file") from exc
        except FileNotFoundError as exc:
            raise OutputError(f"{path}: the folder {path.parent} does not exist; create it first") from exc
        except OSError as exc:
            reason = exc.strerror or exc
            raise OutputError(f"{path}: cannot be opened ({reason}); choose a place this user may write to") from exc

    def _prepare(self, path: Path, size_bytes: int) -> None:
        """Empty the file, or give it the line break that a power cut took from its last line."""
        assert self._file is not None
        if not size_bytes:
            return
        if self._overwrite:
            self._file.truncate(0)
            return
        with path.open("rb") as existing:
            existing.seek(-1, os.SEEK_END)
            if existing.read(1) != b"\n":
                self._file.write(b"\n")

    def _failed(self, error: OSError, torn_bytes: int = 0) -> OutputError:
        """Return the error to raise, after taking back the part of a line that did get written."""
        file, self._file = self._file, None
        if file is not None and self._path is not None:
            if torn_bytes and self._is_regular:
                os.ftruncate(file.fileno(), os.fstat(file.fileno()).st_size - torn_bytes)
            file.close()
        elif self._stream is None:
            _silence_stdout()
        if error.errno == errno.EPIPE:
            return OutputError(f"{self.name}: whoever read it has gone (broken pipe)")
        return OutputError(f"{self.name}: cannot be written ({error.strerror or error})")


def _silence_stdout() -> None:
    """Send the rest of stdout nowhere; else whatever is printed later fails again, at the latest at Python's end.

    Source: the note on SIGPIPE in the documentation of Python's module ``signal``.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
