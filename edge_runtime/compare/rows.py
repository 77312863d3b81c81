"""The table of a comparison as data: one row for each variant, and what it was measured on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LEAST_PERCENT = 5
"""Times closer to one another than this are the same: measured twice, they differ by as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is known of one variant; None for what could not be measured or was not asked for."""

    name: str  # "parent", "int8"
    file: str
    sha256: str
    size_bytes: int
    zstd_bytes: int | None = None
    input: str | None = None  # type of the first input: "float32", "uint8"
    map: float | None = None  # COCO mAP, IoU .50 to .95
    map50: float | None = None
    drop: float | None = None  # mAP of the parent less its own
    output_error: float | None = None  # see `relative_error`
    p50_ms: Mapping[int, float] = field(default_factory=dict)  # number of threads -> ms of one invoke
    p90_ms: Mapping[int, float] = field(default_factory=dict)
    low_ms: Mapping[int, float] = field(default_factory=dict)  # between these the medians of the rounds lie
    high_ms: Mapping[int, float] = field(default_factory=dict)
    spread: float | None = None  # median of the slowest round over that of the fastest, one thread
    rss_bytes: int | None = None
    backend: str | None = None
    reason: str = ""  # why something is missing

    @property
    def is_measured(self) -> bool:
        """True when it opened and ran."""
        return bool(self.p50_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """A variant against its parent; above 1 is smaller or faster."""

    size: float
    zstd: float | None
    speed: Mapping[int, float]  # number of threads -> times as fast
    is_noise: Mapping[int, bool]  # number of threads -> True where that is no difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All rows, the parent first, and the circumstances."""

    rows: Sequence[Row]
    board: str
    cpu: str = ""  # "Cortex-A76, 4 cores, aarch64"
    engine: str
    software: str = ""  # "edge-runtime 0.3.0, Python 3.13.5, Linux 6.12"
    dataset: str | None  # None: accuracy was not measured
    threads: Sequence[int]
    num_runs: int
    made: str  # RFC 3339, UTC
    notes: Sequence[str] = ()

    @property
    def parent(self) -> Row:
        """The first row."""
        return self.rows[0]


def with_drops(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with what each lost against the first one, where both mAP are known."""
    base = rows[0].map
    return [dataclasses.replace(row, drop=None if base is None or row.map is None else base - row.map) for row in rows]


def ratios(row: Row, parent: Row) -> Ratios:
    """Return the row against the parent."""
    zstd = parent.zstd_bytes / row.zstd_bytes if parent.zstd_bytes and row.zstd_bytes else None
    speed = {count: parent.p50_ms[count] / ms for count, ms in row.p50_ms.items() if count in parent.p50_ms and ms}
    is_noise = {
        count: abs(math.log(ratio)) < math.log1p(LEAST_PERCENT / 100) or _overlap(row, parent, count)
        for count, ratio in speed.items()
    }
    return Ratios(size=parent.size_bytes / row.size_bytes, zstd=zstd, speed=speed, is_noise=is_noise)


def _overlap(row: Row, parent: Row, count: int) -> bool:
    """Return whether a round of one was as fast as a round of the other; False where the rounds are not known."""
    if not all(count in times for one in (row, parent) for times in (one.low_ms, one.high_ms)):
        return False
    return row.low_ms[count] <= parent.high_ms[count] and parent.low_ms[count] <= row.high_ms[count]


def counted(count: int, thing: str) -> str:
    """Return "1 picture", "2 pictures"."""
    return f"{count} {thing}" + ("" if count == 1 else "s")


def as_record(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as what JSON can say, ratios included."""
    rows = []
    for row in comparison.rows:
        against = dataclasses.asdict(ratios(row, comparison.parent))
        rows.append({**dataclasses.asdict(row), "ratio_to_parent": against})
    return {"schema": 1, "type": "comparison", **dataclasses.asdict(comparison), "rows": rows}


def row_from_record(record: Mapping[str, Any]) -> Row:
    """Return the row that `as_record` made this of.

    Raises:
        KeyError, TypeError, ValueError: it is not from there.
    """
    names = {one.name for one in dataclasses.fields(Row)}
    known = {name: value for name, value in record.items() if name in names}
    for name in ("p50_ms", "p90_ms", "low_ms", "high_ms"):
        known[name] = {int(count): float(ms) for count, ms in dict(record[name]).items()}
    return Row(**known)
