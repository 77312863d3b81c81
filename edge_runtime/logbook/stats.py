"""What a log says in numbers, gathered in memory that does not grow with the log."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_runtime.clock import rfc3339
from edge_runtime.logbook.reading import Line, seconds_of

STEP = 1.01
"""From bin to bin of the latencies: percentiles are right to 1 %."""
LONGEST_GAP_S = 10.0
"""A camera that gives nothing for longer has an outage, whether or not somebody said so."""
MOST_STATES = 1000
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "max": 1.0}
MOST_LABELS = 10
SHOWN_STATES = 10


@dataclass(slots=True)
class Percentiles:
    """Counts of values in bins that grow by 1 %."""

    bins: Counter[int] = field(default_factory=Counter)
    count: int = 0
    highest: float = 0.0

    def add(self, value: float) -> None:
        """Count one value above 0; a smaller one counts as the least."""
        self.bins[math.ceil(math.log(max(value, 1e-3), STEP))] += 1
        self.count += 1
        self.highest = max(self.highest, value)

    def at(self, share: float) -> float | None:
        """Return the value below or at which this share of all lies; None of nothing."""
        rank = max(1, math.ceil(share * self.count))
        seen = 0
        for number in sorted(self.bins):
            seen += self.bins[number]
            if seen >= rank:
                return min(float(STEP**number), self.highest)
        return None


@dataclass(slots=True)
class Statistics:
    """Everything counted of a log."""

    lines: int = 0
    damaged: int = 0
    records: Counter[str] = field(default_factory=Counter)
    first_s: float | None = None
    last_s: float | None = None
    frames_with_detections: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    latency_ms: Percentiles = field(default_factory=Percentiles)
    gaps: int = 0
    longest_gap_s: float = 0.0
    clock_jumps_back: int = 0
    states: list[tuple[str, str, str, str, str]] = field(default_factory=list)  # time, part, from, to, reason
    peak_rss_bytes: int = 0
    hottest_celsius: float | None = None
    dropped: int = 0


def gather(lines: Iterable[Line]) -> Statistics:
    """Return the statistics of these lines, in the order of the log."""
    found = Statistics()
    before_s: float | None = None
    for line in lines:
        found.lines += 1
        if line.record is None:
            found.damaged += 1
            continue
        now_s = seconds_of(line.record)
        assert now_s is not None, "a record without a time is a problem"
        found.first_s = now_s if found.first_s is None else found.first_s
        found.last_s = now_s
        kind = line.record["type"]
        found.records[kind] += 1
        if kind == "detections":
            before_s = _count_pause(found, before_s, now_s)
            _count_detections(found, line.record)
        elif kind == "state" and len(found.states) < MOST_STATES:
            record = line.record
            found.states.append((record["time"], record["part"], record["from"], record["to"], record["reason"]))
        elif kind == "telemetry":
            _count_telemetry(found, line.record)
    return found


def _count_pause(found: Statistics, before_s: float | None, now_s: float) -> float:
    if before_s is not None:
        pause_s = now_s - before_s
        found.longest_gap_s = max(found.longest_gap_s, pause_s)
        found.gaps += pause_s > LONGEST_GAP_S
        found.clock_jumps_back += pause_s < -1
    return now_s


def _count_detections(found: Statistics, record: dict[str, Any]) -> None:
    found.sources[_source(record["source"])] += 1
    found.frames_with_detections += bool(record["detections"])
    found.labels.update(str(one.get("label", "?")) for one in record["detections"] if isinstance(one, dict))
    latency = record["latency_ms"].get("capture_to_result")
    if isinstance(latency, int | float):
        found.latency_ms.add(float(latency))


def _source(name: str) -> str:
    """Return a name for all pictures of one folder: a log of a million pictures has one source."""
    folder, slash, file = name.rpartition("/")
    return folder + slash if slash and "://" not in name and file.lower().endswith(PICTURES) else name


def _count_telemetry(found: Statistics, record: dict[str, Any]) -> None:
    if record["scope"] == "period":
        found.dropped += _whole(record["frames"].get("dropped"))
    found.peak_rss_bytes = max(found.peak_rss_bytes, _whole(record.get("peak_rss_bytes")))
    celsius = record.get("temperature_celsius")
    if isinstance(celsius, int | float):
        found.hottest_celsius = max(celsius, found.hottest_celsius or celsius)


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def as_json(found: Statistics) -> dict[str, object]:
    """Return the statistics as plain numbers and texts."""
    return {
        "lines": found.lines,
        "damaged": found.damaged,
        "records": dict(found.records),
        "first": None if found.first_s is None else rfc3339(found.first_s),
        "last": None if found.last_s is None else rfc3339(found.last_s),
        "frames_with_detections": found.frames_with_detections,
        "labels": dict(found.labels.most_common()),
        "sources": dict(found.sources.most_common()),
        "latency_ms": {name: _rounded(found.latency_ms.at(share)) for name, share in SHARES.items()},
        "gaps": found.gaps,
        "longest_gap_s": round(found.longest_gap_s, 3),
        "clock_jumps_back": found.clock_jumps_back,
        "dropped": found.dropped,
        "peak_rss_bytes": found.peak_rss_bytes or None,
        "hottest_celsius": found.hottest_celsius,
        "states": [dict(zip(("time", "part", "from", "to", "reason"), one, strict=True)) for one in found.states],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def counted(records: Mapping[str, int]) -> str:
    """Return "detections 20, state 1", the most first."""
    return ", ".join(f"{kind} {count:,}" for kind, count in Counter(records).most_common()) or "no records"


def describe(found: Statistics) -> str:
    """Return the statistics as lines to read."""
    if found.first_s is None or found.last_s is None:
        return f"no records of edge-runtime among the lines: {found.lines:,}"
    rows = [
        ("from", f"{rfc3339(found.first_s)} to {rfc3339(found.last_s)}"),
        ("records", counted(found.records)),
    ]
    if found.damaged:
        rows.append(("damaged", f"{found.damaged:,} of {found.lines:,} lines; edge-runtime log verify lists them"))
    if found.records["detections"]:
        rows += _frames(found)
    if found.peak_rss_bytes:
        rows.append(("memory", f"{found.peak_rss_bytes / 2**20:.1f} MiB at most"))
    if found.hottest_celsius is not None:
        rows.append(("temperature", f"{found.hottest_celsius:.1f} °C at most"))
    lines = [f"{key:<12} {value}" for key, value in rows]
    if found.states:
        shown = found.states[-SHOWN_STATES:]
        lines.append(f"\nchanges of state, the last {len(shown)} of {len(found.states)}:")
        lines += [f"  {time}  {part}: {before} -> {after}  {reason}" for time, part, before, after, reason in shown]
    return "\n".join(lines)


def _frames(found: Statistics) -> list[tuple[str, str]]:
    frames = found.records["detections"]
    labels = [f"{label} {count:,}" for label, count in found.labels.most_common(MOST_LABELS)]
    more = len(found.labels) - len(labels)
    latency = "  ".join(f"{name} {value:.1f}" for name, share in SHARES.items()
                        if (value := found.latency_ms.at(share)) is not None)  # fmt: skip
    rows = [
        ("frames", f"{frames:,}, {found.frames_with_detections:,} with detections"),
        ("labels", ", ".join([*labels, *([f"and {more} more"] if more > 0 else [])]) or "none"),
        ("ms", latency or "not measured"),
        ("gaps", f"{found.gaps:,} of more than 10 s, the longest {found.longest_gap_s:,.1f} s"),
    ]
    if found.clock_jumps_back:
        rows.append(("clock", f"went back {found.clock_jumps_back:,} times"))
    return rows
