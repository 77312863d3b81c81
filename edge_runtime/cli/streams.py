"""What goes to stdout and stderr, and what happens when nobody takes it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO

from edge_runtime.errors import EdgeRuntimeError, OutputError


def show(text: str) -> None:
    """Print a text to stdout, at once.

    Raises:
        BrokenPipeError: whoever read it has gone.
        OutputError: it cannot be written.
    """
    with _written_or_told():
        print(text, flush=True)


def show_lines(lines: Iterable[bytes]) -> None:
    """Print lines as they are, whatever their bytes.

    Raises:
        BrokenPipeError: whoever read it has gone.
        OutputError: it cannot be written.
    """
    if sys.stdout is None:
        raise OutputError("stdout: is closed; send it somewhere")
    with _written_or_told():
        for line in lines:
            sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()


@contextmanager
def _written_or_told() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if isinstance(exc, EdgeRuntimeError):  # of what was to be written, not of the writing
            raise
        silence_stdout()
        if isinstance(exc, BrokenPipeError):
            raise
        raise OutputError(f"stdout: cannot be written ({exc.strerror}); send it elsewhere") from exc


def silence_stdout() -> None:
    """Send the rest of stdout nowhere; else what is still in its buffer fails again at Python's end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def tell(text: str, environment: Mapping[str, str] = os.environ, *, level: int = 3) -> None:
    """Print a text to stderr, an error for systemd's journal unless a level says otherwise; closed, nobody is told."""
    if sys.stderr is None:
        return
    mark = f"<{level}>" if reads_journal(sys.stderr, environment) else ""
    try:
        print(f"{mark}{text}", file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def reads_journal(stream: IO[str], environment: Mapping[str, str]) -> bool:
    """Return whether a stream leads straight to systemd's journal.

    The variable alone does not say so: every program that a service starts inherits it, a terminal on a desktop too.
    Source: systemd.exec(5), JOURNAL_STREAM.
    """
    device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))


def set_up_logging(level: int, environment: Mapping[str, str] = os.environ) -> None:
    """Send the log to stderr: with the time on a terminal, with systemd's level marks where journald reads."""
    handler = logging.StreamHandler()
    if sys.stderr is not None and reads_journal(sys.stderr, environment):
        handler.setFormatter(JournalFormatter("%(name)s %(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("edge_runtime").setLevel(level)


class JournalFormatter(logging.Formatter):
    """Leads each line with ``<4>`` or the like. Source: sd-daemon(3)."""

    MARKS = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))

    def format(self, record: logging.LogRecord) -> str:
        mark = next((mark for level, mark in self.MARKS if record.levelno >= level), 7)
        return "\n".join(f"<{mark}>{line}" for line in super().format(record).splitlines())
