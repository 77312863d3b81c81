"""The lines of a log, one after the other: damaged ones are told apart, not skipped in silence."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from edge_runtime.errors import ConfigError

SCHEMA = 1
TYPES = ("detections", "state", "telemetry", "event")
NEEDED: dict[str, dict[str, Any]] = {
    "detections": {"source": str, "sequence": int, "latency_ms": dict, "detections": list},
    "state": {"part": str, "from": str, "to": str, "reason": str},
    "telemetry": {"scope": str, "window_s": int | float, "fps": dict, "frames": dict},
    "event": {"event": str},
}
"""What a record of each type must have for the commands here; schema-1.json says all."""
LONGEST_LINE = 16 * 2**20
"""Far more than a frame can fill; a file without line breaks is no log, and must not be read whole."""
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log."""

    number: int  # from 1
    text: bytes  # without the line break
    record: dict[str, Any] | None  # None where there is a problem
    problem: str | None
    is_torn: bool = False  # the last one, without its line break


def read_lines(path: Path) -> Iterator[Line]:
    """Give the lines of a log, plain or compressed by gzip; empty lines are left out.

    A compressed file that is cut short gives what can be read, and a torn last line that says so.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        with _opened(path) as file:
            yield from _lines(file)
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder; give the files in it, as in {path}/*.jsonl") from None
    except FileNotFoundError:
        raise ConfigError(f"{path}: does not exist; give a log that edge-runtime wrote") from None
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror or exc}); let this user read it") from exc


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        is_compressed = file.read(2) == _GZIP
    return cast("BinaryIO", gzip.open(path, "rb")) if is_compressed else path.open("rb")


def _lines(file: BinaryIO) -> Iterator[Line]:
    number = 0
    while True:
        try:
            data = file.readline(LONGEST_LINE)
        except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
            yield Line(number + 1, b"", None, f"the compressed file is damaged or cut here ({exc})", is_torn=True)
            return
        if not data:
            return
        number += 1
        if len(data) == LONGEST_LINE:
            yield Line(number, data[:100], None, f"longer than {LONGEST_LINE:,} bytes; this is no log")
            return
        if data.strip():
            yield _parsed(number, data)


def _parsed(number: int, data: bytes) -> Line:
    text = data.rstrip(b"\r\n")
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        is_torn = not data.endswith(b"\n")
        return Line(number, text, None, "cut in the middle" if is_torn else "no JSON", is_torn=is_torn)
    problem = problem_of(record)
    return Line(number, text, None if problem else record, problem)


def problem_of(record: Any) -> str | None:
    """Return what is wrong with a record, None where the commands here can work with it."""
    if not isinstance(record, dict):
        return "no JSON object"
    if record.get("schema") != SCHEMA:
        return f"schema {record.get('schema')!r}, known is {SCHEMA}"
    kind = record.get("type")
    if kind not in TYPES:
        return f"type {kind!r}, known are {', '.join(TYPES)}"
    if seconds_of(record) is None:
        return f"time {record.get('time')!r} is none"
    wrong = [key for key, wanted in NEEDED[kind].items() if not isinstance(record.get(key), wanted)]
    return f"{kind} without {', '.join(wrong)}" if wrong else None


def seconds_of(record: dict[str, Any]) -> float | None:
    """Return the time of a record in seconds since 1970, None where it has none."""
    try:
        return datetime.fromisoformat(record["time"]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
