"""The table of a comparison as data: one row for each variant, and what it was measured on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

LEAST_PERCENT = 5
"""Times closer to one another than this are the same: measured twice, they differ by as much."""
UNSTEADY = 1.25
"""Rounds of one model farther apart than this were disturbed, and what is made of them is no difference to rely on."""


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
    rounds_ms: Mapping[int, Sequence[float]] = field(default_factory=dict)  # the median of each round, in order
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
    speed: Mapping[int, float]  # number of threads -> times as fast: of the rounds' ratios the median
    is_noise: Mapping[int, bool]  # number of threads -> True where that is no difference to rely on


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
    of_rounds = {
        count: _of_rounds(row, parent, count) for count, ms in row.p50_ms.items() if count in parent.p50_ms and ms
    }
    speed = {count: median(found) for count, found in of_rounds.items()}
    is_noise = {
        count: is_unsteady(row, count)
        or is_unsteady(parent, count)
        or min(found) <= 1 <= max(found)
        or abs(math.log(speed[count])) < math.log1p(LEAST_PERCENT / 100)
        for count, found in of_rounds.items()
    }
    return Ratios(size=parent.size_bytes / row.size_bytes, zstd=zstd, speed=speed, is_noise=is_noise)


def _of_rounds(row: Row, parent: Row, count: int) -> list[float]:
    """Return how many times as fast as the parent each round was, as what slows a round slows both.

    Where the rounds are not known, of the medians alone.
    """
    pairs = zip(parent.rounds_ms.get(count, ()), row.rounds_ms.get(count, ()), strict=False)
    return [base / ms for base, ms in pairs] or [parent.p50_ms[count] / row.p50_ms[count]]


def apart(figures: Sequence[float]) -> float:
    """Return the largest figure over the smallest: how far apart rounds were."""
    return max(figures) / min(figures)


def is_unsteady(row: Row, count: int) -> bool:
    """Return whether rounds with this number of threads differ by so much that other programs ran."""
    rounds = row.rounds_ms.get(count)
    spread = apart(rounds) if rounds else row.spread
    return spread is not None and spread > UNSTEADY


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
    for name in ("p50_ms", "p90_ms"):
        known[name] = {int(count): float(ms) for count, ms in dict(record[name]).items()}
    rounds = dict(record.get("rounds_ms", {}))  # reports of before have none
    known["rounds_ms"] = {int(count): tuple(map(float, times)) for count, times in rounds.items()}
    return Row(**known)
