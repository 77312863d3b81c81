"""Pictures of a comparison as SVG that takes its text colour from the page around it."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from edge_runtime.compare.rows import Comparison, Row

INK = "#010203"
"""A colour no picture has; the page's own is put in its place."""
PALETTE = ("#3b82c4", "#d9822b", "#4a9d6e", "#b1559b")
"""Of middle lightness, to be seen on white and on black."""
_STYLE = {
    "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "text.color": INK, "axes.edgecolor": INK,
    "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False,
    "axes.spines.right": False, "axes.linewidth": 0.6, "legend.frameon": False,
}  # fmt: skip
_WIDTH_IN = 5.4
LONGEST_NAME = 24
NAME_SIZE = 8
"""Height of the names in points."""
DECADES = 8
"""Times as different as this need a logarithmic axis."""


def accuracy_over_latency(comparison: Comparison) -> str | None:
    """Return mAP over the time of one thread, a point for each variant; None where there is no accuracy."""
    count = comparison.threads[0]
    rows = [row for row in comparison.rows if row.map is not None and count in row.p50_ms]
    if not rows:
        return None
    with _figure("accuracy", 3.4) as (figure, axes):
        for row in rows:
            color = PALETTE[1] if row is comparison.parent else PALETTE[0]
            axes.plot([row.p50_ms[count]], [row.map], "o", color=color, markersize=6)
        _scale(axes, [row.p50_ms[count] for row in rows])
        axes.margins(x=0.12, y=0.18)
        axes.set_xlabel(f"ms of one invoke, median, {count} thread")
        axes.set_ylabel("mAP")
        axes.grid(alpha=0.25, linewidth=0.5)
        _name_points(figure, axes, rows, count)
        return _svg(figure)


def _name_points(figure: Any, axes: Any, rows: Sequence[Row], count: int) -> None:
    """Write the names beside their points, each at the nearest place where nothing stands yet."""
    figure.draw_without_rendering()  # only now it is known where a point will be
    per_point = figure.dpi / 72
    spots = [axes.transData.transform((row.p50_ms[count], row.map)) / per_point for row in rows]
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in spots]
    right = figure.get_figwidth() * 72
    for row, (x, y) in sorted(zip(rows, spots, strict=True), key=lambda one: (one[1][0], one[1][1], one[0].name)):
        name = _short(row)
        width = NAME_SIZE * 0.6 * len(name)
        for to_x, to_y in itertools.product((7, -7 - width, -width / 2), sorted(range(-60, 61, 6), key=abs)):
            place = (x + to_x, y + to_y - NAME_SIZE / 2, x + to_x + width, y + to_y + NAME_SIZE / 2)
            if place[0] > 40 and place[2] < right and not any(_overlap(place, other) for other in taken):
                break
        taken.append(place)
        line = {"arrowstyle": "-", "color": INK, "alpha": 0.35, "linewidth": 0.5} if abs(to_y) > NAME_SIZE else None
        axes.annotate(name, (row.p50_ms[count], row.map), (to_x, to_y), textcoords="offset points", va="center",
                      fontsize=NAME_SIZE, arrowprops=line).set_in_layout(False)  # fmt: skip


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Return whether two rectangles (left, bottom, right, top) share a point."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def latency_bars(comparison: Comparison) -> str | None:
    """Return a bar of p50 for each variant and number of threads, a line up to p90; None where nothing ran."""
    rows = [row for row in comparison.rows if row.is_measured]
    if not rows:
        return None
    height = 0.9 / len(comparison.threads)
    with _figure("latency", 1.0 + 0.42 * len(rows)) as (figure, axes):
        for series, count in enumerate(comparison.threads):
            places = [position + series * height for position in range(len(rows))]
            medians = [row.p50_ms[count] for row in rows]
            to_p90 = [max(0.0, row.p90_ms[count] - row.p50_ms[count]) for row in rows]
            label = f"{count} thread" + ("" if count == 1 else "s")
            axes.barh(places, medians, height * 0.9, color=PALETTE[series % len(PALETTE)], label=label,
                      xerr=[[0] * len(rows), to_p90], error_kw={"ecolor": INK, "elinewidth": 0.8})  # fmt: skip
        _name_bars(axes, rows, (len(comparison.threads) - 1) * height / 2)
        _scale(axes, [row.p50_ms[comparison.threads[0]] for row in rows])
        axes.set_xlabel("ms of one invoke: bar to the median, line to p90")
        _legend(axes)
        return _svg(figure)


def size_bars(comparison: Comparison) -> str:
    """Return two bars for each variant: the file, and the file packed with zstd."""
    rows = list(comparison.rows)
    with _figure("size", 1.0 + 0.42 * len(rows)) as (figure, axes):
        raw = [row.size_bytes / 1000 for row in rows]
        packed = [(row.zstd_bytes or 0) / 1000 for row in rows]
        axes.barh(range(len(rows)), raw, 0.4, color=PALETTE[2], label="file")
        axes.barh([place + 0.45 for place in range(len(rows))], packed, 0.4, color=PALETTE[3], label="with zstd")
        _name_bars(axes, rows, 0.22)
        axes.set_xlabel("kB")
        _legend(axes)
        return _svg(figure)


def _name_bars(axes: Any, rows: Sequence[Row], offset: float) -> None:
    axes.set_yticks([place + offset for place in range(len(rows))], [_short(row) for row in rows])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)
    axes.set_axisbelow(True)


def _short(row: Row) -> str:
    """Return a name that leaves room for the picture."""
    return row.name if len(row.name) <= LONGEST_NAME else f"{row.name[: LONGEST_NAME - 1]}\u2026"


def _legend(axes: Any) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0, fontsize=8)


def _scale(axes: Any, values_ms: Sequence[float]) -> None:
    """Make the axis of the times logarithmic where one of them would press the others against its edge."""
    if min(values_ms) <= 0 or max(values_ms) / min(values_ms) < DECADES:
        return
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda *_: "")


@contextmanager
def _figure(name: str, height_in: float) -> Iterator[tuple[Any, Any]]:
    """Give a figure and its axes, free of any screen and of the user's own style."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
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
