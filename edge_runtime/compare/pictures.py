"""Pictures of a comparison as SVG that takes its text colour from the page around it."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from edge_runtime.compare.rows import Comparison, Row, counted

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""

INK = "#010203"
"""A colour no picture has; the page's own is put in its place."""
PALETTE = ("#3b82c4", "#d9822b", "#4a9d6e", "#b1559b")
"""Of middle lightness, to be seen on white and on black."""
_STYLE = {
    "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "text.color": INK, "axes.edgecolor": INK,
    "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False,
    "axes.spines.right": False, "axes.linewidth": 0.6, "legend.frameon": False,
}  # fmt: skip
_WIDTH_IN, _WHOLE_WIDTH_IN = 5.4, 10.8
LONGEST_NAME = 24
NAME_SIZE = 8
"""Height of the names in points."""
DECADES = 8
"""Times as different as this need a logarithmic axis."""
GAP = 4
"""Between a name and the next on its line, in points."""
DIRECTIONS = 24
FARTHEST = 240
"""Most points of the drawing between a name and its point."""


def accuracy_over_latency(comparison: Comparison) -> str | None:
    """Return mAP over the time of one thread, a point for each variant; None where there is no accuracy."""
    count = comparison.threads[0]
    rows = [row for row in comparison.rows if row.map is not None and count in row.p50_ms]
    if not rows:
        return None
    with _figure("accuracy", (_WHOLE_WIDTH_IN, 4.4)) as (figure, axes):
        for row in rows:
            color = PALETTE[1] if row is comparison.parent else PALETTE[0]
            axes.plot([row.p50_ms[count]], [row.map], "o", color=color, markersize=6)
        said = _scale(axes, [row.p50_ms[count] for row in rows])
        axes.margins(x=0.08, y=0.12)
        axes.set_xlabel(f"ms of one invoke, median, {counted(count, 'thread')}{said}")
        axes.set_ylabel("mAP")
        axes.grid(alpha=0.25, linewidth=0.5)
        _name_points(figure, axes, rows, count)
        return _svg(figure)


def _name_points(figure: Any, axes: Any, rows: Sequence[Row], count: int) -> None:
    """Write the names beside their points, each at the nearest place where nothing stands yet."""
    figure.draw_without_rendering()  # only now it is known where a point will be
    per_point = figure.dpi / 72
    spots = [tuple(axes.transData.transform((row.p50_ms[count], row.map)) / per_point) for row in rows]
    inside = tuple(axes.bbox.extents / per_point)
    taken: list[Box] = [(x - 4, y - 4, x + 4, y + 4) for x, y in spots]
    for row, spot in sorted(zip(rows, spots, strict=True), key=lambda one: (one[1], one[0].name)):
        name = _short(row)
        place = _free_place(spot, (NAME_SIZE * 0.6 * len(name), NAME_SIZE + 1), taken, inside)
        taken.append((place[0] - GAP, place[1], place[2] + GAP, place[3]))
        offset = (place[0] - spot[0], (place[1] + place[3]) / 2 - spot[1])
        away = _distance(place, spot)
        is_clear = away <= NAME_SIZE and all(_distance(place, one) > 1.5 * away for one in spots if one != spot)
        line = {"arrowstyle": "-", "color": INK, "alpha": 0.5, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
        axes.annotate(name, (row.p50_ms[count], row.map), offset, textcoords="offset points", va="center",
                      fontsize=NAME_SIZE, fontweight="bold" if row is rows[0] else "normal",
                      arrowprops=None if is_clear else line).set_in_layout(False)  # fmt: skip


def _distance(box: Box, spot: tuple[float, float]) -> float:
    """Return how far a point is from the nearest edge of a rectangle."""
    nearest = (min(max(spot[0], box[0]), box[2]), min(max(spot[1], box[1]), box[3]))
    return math.dist(nearest, spot)


def _free_place(spot: tuple[float, float], size: tuple[float, float], taken: Sequence[Box], inside: Box) -> Box:
    """Return the nearest rectangle around a point that is free and inside; where there is none, the one on its right.

    Args:
        spot: x and y.
        size: width and height of what is to be put there.
        taken: what is there already.
        inside: what it may not leave.
    """
    (x, y), (width, height) = spot, size
    for distance in range(6, FARTHEST, 4):
        for step in range(DIRECTIONS):
            angle = 2 * math.pi * step / DIRECTIONS
            middle_x = x + math.cos(angle) * (distance + width / 2)
            middle_y = y + math.sin(angle) * (distance + height / 2)
            place = (middle_x - width / 2, middle_y - height / 2, middle_x + width / 2, middle_y + height / 2)
            is_inside = inside[0] < place[0] and inside[1] < place[1] and place[2] < inside[2] and place[3] < inside[3]
            if is_inside and not any(_overlap(place, other) for other in taken):
                return place
    return (x + 6, y - height / 2, x + 6 + width, y + height / 2)


def _overlap(one: Box, other: Box) -> bool:
    """Return whether two rectangles share a point."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def latencies(comparison: Comparison) -> str | None:
    """Return p50 of each variant and number of threads as points, with a line up to p90; None where nothing ran.

    Points, as a bar on a logarithmic axis begins nowhere, and its length says nothing.
    """
    rows = [row for row in comparison.rows if row.is_measured]
    if not rows:
        return None
    apart = 0.7 / len(comparison.threads)
    with _figure("latency", (_WIDTH_IN, _height_in(rows))) as (figure, axes):
        for series, count in enumerate(comparison.threads):
            places = [position + series * apart for position in range(len(rows))]
            medians = [row.p50_ms[count] for row in rows]
            to_p90 = [max(0.0, row.p90_ms[count] - row.p50_ms[count]) for row in rows]
            color = PALETTE[series % len(PALETTE)]
            axes.errorbar(medians, places, xerr=[[0] * len(rows), to_p90], fmt="o", markersize=4.5, color=color,
                          elinewidth=0.9, label=counted(count, "thread"))  # fmt: skip
        _name_rows(axes, rows, (len(comparison.threads) - 1) * apart / 2)
        said = _scale(axes, [row.p50_ms[comparison.threads[0]] for row in rows])
        if not said:
            axes.set_xlim(left=0)
        axes.set_xlabel(f"ms of one invoke: point at the median, line to p90{said}")
        _legend(axes)
        return _svg(figure)


def size_bars(comparison: Comparison) -> str:
    """Return two bars for each variant: the file, and the file packed with zstd."""
    rows = list(comparison.rows)
    with _figure("size", (_WIDTH_IN, _height_in(rows))) as (figure, axes):
        raw = [row.size_bytes / 1000 for row in rows]
        packed = [(row.zstd_bytes or 0) / 1000 for row in rows]
        axes.barh(range(len(rows)), raw, 0.4, color=PALETTE[2], label="file")
        axes.barh([place + 0.45 for place in range(len(rows))], packed, 0.4, color=PALETTE[3], label="with zstd")
        _name_rows(axes, rows, 0.22)
        axes.set_xlabel("kB")
        _legend(axes)
        return _svg(figure)


def _height_in(rows: Sequence[Row]) -> float:
    return 1.0 + 0.34 * len(rows)


def _name_rows(axes: Any, rows: Sequence[Row], offset: float) -> None:
    axes.set_yticks([place + offset for place in range(len(rows))], [_short(row) for row in rows])
    axes.set_ylim(len(rows) - 0.4 + offset, offset - 0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)
    axes.set_axisbelow(True)


def _short(row: Row) -> str:
    """Return a name that leaves room for the picture."""
    return row.name if len(row.name) <= LONGEST_NAME else f"{row.name[: LONGEST_NAME - 1]}\u2026"


def _legend(axes: Any) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0, fontsize=8)


def _scale(axes: Any, values_ms: Sequence[float]) -> str:
    """Make the axis of the times logarithmic where one of them would press the others against its edge; say so."""
    from matplotlib.ticker import LogLocator, NullFormatter

    if min(values_ms) <= 0 or max(values_ms) / min(values_ms) < DECADES:
        return ""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    return " (logarithmic)"


@contextmanager
def _figure(name: str, size_in: tuple[float, float]) -> Iterator[tuple[Any, Any]]:
    """Give a figure and its axes, free of any screen and of the user's own style."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=size_in, layout="constrained")
        yield figure, figure.add_subplot()


def _svg(figure: Any) -> str:
    """Return the drawing without what only a file of its own needs, as wide as its place on the page."""
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawing = text.getvalue()
    drawing = drawing[drawing.index("<svg") :].strip()
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    used = set(re.findall(r"#([\w-]+)", drawing))
    drawing = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", drawing)
    drawing = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", drawing, count=1)
    drawing = re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1 role="img"', drawing, count=1)
    return drawing.replace(INK, "currentColor")
