"""Telemetry records in a file: JSON lines, or CSV for a spreadsheet, by the ending of its name."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_runtime.errors import OutputError
from edge_runtime.filelock import lock
from edge_runtime.linefile import json_line
from edge_runtime.storage.lines import StoredLines
from edge_runtime.storage.names import next_name
from edge_runtime.storage.recovery import Tell
from edge_runtime.storage.store import Storage

log = logging.getLogger(__name__)

STAGES = ("wait", "preprocess", "invoke", "decode")
SHARES = ("p50", "p90", "p95", "p99", "max")
FLAGS = ("under_voltage", "frequency_capped", "throttled", "soft_temperature_limit")
COLUMNS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in ("time", "scope", "window_s")},
    **{f"{name}_fps": ("fps", name) for name in ("capture", "inference")},
    **{name: ("frames", name) for name in ("captured", "dropped", "processed")},
    **{f"latency_{share}_ms": ("latency_ms", share) for share in SHARES},
    **{f"{stage}_{share}_ms": ("stages_ms", stage, share) for stage in STAGES for share in SHARES},
    **{
        name: (name,)
        for name in ("rss_bytes", "peak_rss_bytes", "cpu_percent", "threads", "open_fds", "board",
                     "temperature_celsius", "frequency_hz")
    },
    **{f"{flag}_now": ("throttled", "now", flag) for flag in FLAGS},
    **{f"{flag}_since_boot": ("throttled", "since_boot", flag) for flag in FLAGS},
    "written_bytes_today": ("written_bytes_today",),
}  # fmt: skip
"""Column of the CSV file and where its value stands in the record. Fixed, so that every run's file has the same.

New ones come last: a file that has only the first of them was written by an earlier version.
"""


class TelemetryFile:
    """Takes telemetry records. Without a batch of `storage` each is in the system's hands when `write` returns.

    Args:
        path: CSV if it ends in .csv, else JSON lines.
        append: continue a file that holds something.
        overwrite: replace a file that holds something.
        storage: the disk budget that all outputs share; None has no limits.
    """

    def __init__(
        self, path: Path, *, append: bool = False, overwrite: bool = False, storage: Storage | None = None
    ) -> None:
        self._path = path
        self._append = append
        self._is_csv = path.suffix.lower() == ".csv"
        self._lines = StoredLines(
            path,
            "output:telemetry",
            storage=storage,
            append=append,
            overwrite=overwrite,
            header=csv_line(COLUMNS) if self._is_csv else None,
            pauses=False,
        )

    def watch(self, tell: Tell) -> None:
        """Go on after failures from now on, and tell of changes of state."""
        self._lines.watch(tell)

    def open(self) -> None:
        """Open the file.

        Raises:
            OutputError: it holds something and neither append nor overwrite is on, it holds other columns, or it
                cannot be opened.
        """
        if self._is_csv and self._append:
            check_header(self._path)
        self._lines.open()

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one record.

        Raises:
            OutputError: it could not be written.
        """
        line = csv_line(csv_row(record)) if self._is_csv else json_line(record)
        self._lines.write(line)

    def close(self) -> None:
        """Close the file. Allowed more than once."""
        self._lines.close()


def csv_row(record: Mapping[str, Any]) -> list[Any]:
    """Return the record's values in the order of `COLUMNS`; empty for what was not measured, 1 or 0 for a flag."""
    row = []
    for path in COLUMNS.values():
        value: Any = record
        for key in path:
            value = None if value is None else value.get(key)
        row.append(int(value) if isinstance(value, bool) else value)
    return row


def csv_line(values: Any) -> str:
    """Return the values as one line of CSV without the line break. Source: RFC 4180."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


def check_header(path: Path) -> None:
    """Raise if a file to be continued has other columns; one of an earlier version gets another name.

    A header that a power cut tore is as good as none.

    Raises:
        OutputError: it has, or it cannot be read.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            line = file.readline(64 * 1024)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise OutputError(f"{path}: cannot be read ({exc.strerror}); give another file") from exc
    columns, header = csv_line(COLUMNS), line.rstrip("\r\n")
    if header == columns or columns.startswith(line):
        return
    if columns.startswith(f"{header},"):
        _set_aside(path)
    else:
        raise OutputError(
            f"{path}: has other columns (it begins with {header[:40]!r}); add --overwrite to replace it, "
            "or give another file"
        )


def _set_aside(path: Path) -> None:
    """Give a file of an earlier version the name that it would have got by rotating."""
    try:
        with path.open("ab") as file:
            lock(file)
            aside = next_name(path, path.stat().st_mtime)
            path.rename(aside)
    except BlockingIOError as exc:
        raise OutputError(f"{path}: another run is writing it; give another name") from exc
    except OSError as exc:
        raise OutputError(
            f"{path}: has fewer columns and cannot be renamed ({exc.strerror}); give another file"
        ) from exc
    log.warning("a file of an earlier version has fewer columns, a new one is begun path=%s kept_as=%s", path, aside)
