"""A log as pictures over time: rate, latency, memory, temperature, detections, and when something was wrong."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from edge_runtime.errors import ConfigError
from edge_runtime.logbook.reading import Line, seconds_of
from edge_runtime.logbook.stats import Statistics, describe, gather

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_POINTS = 2000
"""More than a screen has columns; a longer series is halved in time, so a year takes no more memory than a day."""
FROM_OWN_LOW = ("temperature, °C",)
"""The zero of this scale means nothing."""
SERIES = ("fps", "p50", "p95", "ms", "rss_mib", "celsius")
SHORT_S = 120.0
"""Throttling that comes back sooner was never over."""
FAR = 5
"""Points so many times further apart than usual are not joined: nobody knows what was between them."""
GOOD = ("ok", "starting", "stopped")
INK, GRID, BAD, THROTTLED = "#1f2933", "#d9e2ec", "#d64545", "#f0b429"
COLORS = ("#2364aa", "#e36414", "#3a7d44", "#7b2cbf")


@dataclass(slots=True)
class Points:
    """A series over time that keeps at most `MOST_POINTS` points: two neighbours become one when it is full."""

    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    width: int = 1  # measured values in one point
    _pending: list[tuple[float, float]] = field(default_factory=list)

    def add(self, time_s: float, value: float) -> None:
        """Add one measured value."""
        self._pending.append((time_s, value))
        if len(self._pending) < self.width:
            return
        times, values = zip(*self._pending, strict=True)
        self._pending.clear()
        self.times.append(sum(times) / len(times))
        self.values.append(sum(values) / len(values))
        if len(self.times) >= MOST_POINTS:
            self.times = [sum(self.times[at : at + 2]) / 2 for at in range(0, MOST_POINTS, 2)]
            self.values = [sum(self.values[at : at + 2]) / 2 for at in range(0, MOST_POINTS, 2)]
            self.width *= 2


@dataclass(slots=True)
class History:
    """What the pictures are drawn from."""

    series: dict[str, Points] = field(default_factory=lambda: {name: Points() for name in SERIES})
    detections: Points = field(default_factory=Points)  # of one frame
    throttled: list[tuple[float, float]] = field(default_factory=list)  # from, to
    outages: list[tuple[float, float | None, str]] = field(default_factory=list)  # from, to, "camera: lost"
    states: list[dict[str, Any]] = field(default_factory=list)
    first_s: float | None = None
    last_s: float | None = None


def read_history(lines: Iterable[Line]) -> tuple[History, Statistics]:
    """Return what a log tells over time, and in numbers."""
    found = History()
    return found, gather(_recorded(found, lines))


def _recorded(found: History, lines: Iterable[Line]) -> Iterator[Line]:
    """Give the lines on, each taken into the history."""
    open_outages: dict[str, int] = {}
    for line in lines:
        yield line
        if line.record is None:
            continue
        now_s = seconds_of(line.record)
        assert now_s is not None, "a record without a time is a problem"
        found.first_s = now_s if found.first_s is None else min(found.first_s, now_s)
        found.last_s = now_s if found.last_s is None else max(found.last_s, now_s)
        kind = line.record["type"]
        if kind == "detections":
            found.detections.add(now_s, len(line.record["detections"]))
            latency_ms = line.record["latency_ms"].get("capture_to_result")
            if isinstance(latency_ms, int | float):
                found.series["ms"].add(now_s, float(latency_ms))
        elif kind == "state":
            _take_state(found, open_outages, line.record, now_s)
        elif kind == "telemetry" and line.record["scope"] == "period":
            _take_telemetry(found, line.record, now_s)


def _take_state(found: History, open_outages: dict[str, int], record: dict[str, Any], now_s: float) -> None:
    if len(found.states) >= MOST_POINTS:
        return
    found.states.append(record)
    part = record["part"]
    if part in open_outages:
        at = open_outages.pop(part)
        found.outages[at] = (found.outages[at][0], now_s, found.outages[at][2])
    if record["to"] not in GOOD:
        open_outages[part] = len(found.outages)
        found.outages.append((now_s, None, f"{part}: {record['to']}"))


def _take_telemetry(found: History, record: dict[str, Any], now_s: float) -> None:
    latency = record.get("latency_ms") or {}
    rss = record.get("rss_bytes")
    values = {
        "fps": record["fps"].get("inference"),
        "p50": latency.get("p50"),
        "p95": latency.get("p95"),
        "rss_mib": None if rss is None else rss / 2**20,
        "celsius": record.get("temperature_celsius"),
    }
    for name, value in values.items():
        if isinstance(value, int | float):
            found.series[name].add(now_s, float(value))
    now = (record.get("throttled") or {}).get("now") or {}
    if any(now.values()):
        _take_throttling(found, now_s - record["window_s"], now_s)


def _take_throttling(found: History, start_s: float, end_s: float) -> None:
    """Add a window in which the board was throttled; windows with little between them become one."""
    if found.throttled and (start_s - found.throttled[-1][1] <= SHORT_S or len(found.throttled) >= MOST_POINTS):
        found.throttled[-1] = (found.throttled[-1][0], end_s)
    else:
        found.throttled.append((start_s, end_s))


def png_report(lines: Iterable[Line]) -> bytes:
    """Return the pictures as one PNG.

    Raises:
        ConfigError: there is nothing to draw.
    """
    history, _ = read_history(lines)
    return _drawn(_drawable(history))


def html_report(lines: Iterable[Line]) -> bytes:
    """Return the pictures and the changes of state as one HTML page that needs no other file.

    Raises:
        ConfigError: there is nothing to draw.
    """
    history, numbers = read_history(lines)
    found = _drawable(history)
    picture = base64.b64encode(_drawn(found)).decode()
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(str(one[key]))}</td>" for key in ("time", "part", "from", "to", "reason"))
        + "</tr>"
        for one in found.states
    )  # fmt: skip
    states = (
        f"<h2>Changes of state</h2><table><tr><th>time (UTC)<th>part<th>from<th>to<th>reason</tr>{rows}</table>"
        if rows
        else "<p>No change of state.</p>"
    )
    summary = html.escape(describe(replace(numbers, states=[])))
    return _PAGE.format(summary=summary, picture=picture, states=states).encode()


def _drawable(found: History) -> History:
    has_points = found.detections.times or any(points.times for points in found.series.values())
    if not has_points:
        raise ConfigError("report: these files have neither frames nor telemetry to draw; give the logs of a run")
    return found


def _drawn(found: History) -> bytes:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    panels = [
        ("frames per second", [("fps", "")]),
        ("capture to result, ms", [("p50", "p50"), ("p95", "p95")] if found.series["p50"].times else [("ms", "")]),
        ("memory, MiB", [("rss_mib", "")]),
        ("temperature, °C", [("celsius", "")]),
    ]
    shown = [(title, kept) for title, names in panels if (kept := [one for one in names if found.series[one[0]].times])]
    count = len(shown) + bool(found.detections.times)
    figure = Figure(figsize=(11, 1.2 + 1.9 * count), layout="constrained")
    axes: list[Axes] = list(figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0])
    for axis, (title, names) in zip(axes, shown, strict=False):
        for color, (name, label) in zip(COLORS, names, strict=False):
            points = found.series[name]
            axis.plot(*_broken(points), color=color, linewidth=1.3, label=label or None)
        if len(names) > 1:
            axis.legend(loc="upper right", frameon=False, fontsize=8, ncols=2)
        axis.set_title(title, loc="left", fontsize=10, color=INK)
        if title not in FROM_OWN_LOW:
            axis.set_ylim(0, 1.1 * max(max(found.series[name].values) for name, _ in names) or 1)
    if found.detections.times:
        axes[-1].plot(*_broken(found.detections), color=COLORS[2], linewidth=1.0)
        axes[-1].set_title("detections in a frame", loc="left", fontsize=10, color=INK)
        axes[-1].set_ylim(0, 1.1 * max(found.detections.values) or 1)
    _mark_troubles(figure, axes, found)
    axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(AutoDateLocator(tz="UTC"), tz="UTC"))
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    return image.getvalue()


def _mark_troubles(figure: Figure, axes: list[Axes], found: History) -> None:
    """Shade outages and mark throttling in every picture; explain both once."""
    assert found.last_s is not None
    for axis in axes:
        axis.xaxis_date("UTC")
        axis.grid(color=GRID, linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8, colors=INK)
        for start_s, end_s, _ in found.outages:
            axis.axvspan(*_moments([start_s, end_s or found.last_s]), color=BAD, alpha=0.15, linewidth=0)
        for start_s, end_s in found.throttled:
            axis.axvspan(*_moments([start_s, end_s]), color=THROTTLED, alpha=0.25, linewidth=0)
    explained = [text for there, text in (
        (found.outages, "red: a part was not ok"), (found.throttled, "yellow: throttled or under-voltage"),
    ) if there]  # fmt: skip
    figure.suptitle("   ".join(["edge-runtime, UTC", *explained]), x=0.01, ha="left", fontsize=10, color=INK)


def _broken(points: Points) -> tuple[list[float], list[float]]:
    """Return a line that ends where nothing was measured and begins again behind it."""
    pauses = sorted(after - before for before, after in pairwise(points.times))
    usual_s = pauses[len(pauses) // 2] if pauses else 0.0
    times, values = points.times[:1], points.values[:1]
    for (before, after), value in zip(pairwise(points.times), points.values[1:], strict=True):
        if after - before > FAR * usual_s:
            times.append(after)
            values.append(math.nan)
        times.append(after)
        values.append(value)
    return _moments(times), values


def _moments(times: Iterable[float]) -> list[float]:
    """Return the times as matplotlib counts them: in days since 1970. Source: matplotlib.dates."""
    return [one / 86400 for one in times]


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>edge-runtime report</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }}
img {{ width: 100% }}
pre {{ font-size: 13px; white-space: pre-wrap }}
table {{ border-collapse: collapse; font-size: 13px }}
td, th {{ text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #d9e2ec; vertical-align: top }}
</style>
<h1>edge-runtime report</h1>
<pre>{summary}</pre>
<img alt="rate, latency, memory, temperature and detections over time" src="data:image/png;base64,{picture}">
{states}
</html>
"""
