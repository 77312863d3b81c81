"""A picture of an evaluation: precision over recall, and how well each class is found."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

from edge_runtime.evaluate.run import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".png", ".svg")
_MOST_BARS = 24
_FEWEST_ROWS = 8  # room for so many, or the bars of a few classes become blocks
_INK, _PALE, _GRID = "#22303c", "#6b7885", "#e3e8ec"
_BLUE, _LIGHT_BLUE, _ORANGE = "#1f6fb2", "#a9cbe8", "#e07b39"


def draw_plot(found: Evaluation, title: str, ending: str) -> bytes:
    """Return the plot as a file; the same evaluation gives the same bytes.

    Args:
        found: what to draw.
        title: the headline: which model on which pictures.
        ending: one of FORMATS.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    style = {
        "font.size": 10, "axes.edgecolor": _PALE, "axes.labelcolor": _INK, "xtick.color": _PALE,
        "ytick.color": _PALE, "text.color": _INK, "svg.hashsalt": "edge-runtime", "svg.fonttype": "none",
        "text.parse_math": False,
    }  # fmt: skip
    with rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name in a script that the font has not is a box
        layout = ConstrainedLayoutEngine(w_pad=0.14, h_pad=0.12, wspace=0.03)
        figure = Figure(figsize=(11, 5.6), dpi=140, facecolor="white", layout=layout)
        FigureCanvasAgg(figure)
        figure.suptitle(title, fontsize=13, fontweight="bold", x=0.014, ha="left")
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        _draw_curves(left, found)
        _draw_classes(right, found)
        file = io.BytesIO()
        metadata: dict[str, Any] = {"Date": None} if ending == ".svg" else {"Software": "edge-runtime"}
        figure.savefig(file, format=ending.removeprefix("."), metadata=metadata)
    return file.getvalue()


def _draw_curves(axes: Axes, found: Evaluation) -> None:
    curves = found.curves
    axes.fill_between(curves.recalls, curves.at_50, color=_LIGHT_BLUE, alpha=0.25, linewidth=0)
    axes.plot(curves.recalls, curves.at_50, color=_BLUE, linewidth=2.2, label=f"overlap 0.50: {found.map50:.3f}")
    axes.plot(curves.recalls, curves.at_75, color=_ORANGE, linewidth=1.8, label=f"overlap 0.75: {found.map75:.3f}")
    axes.plot(
        curves.recalls, curves.mean, color=_INK, linewidth=1.6, linestyle=(0, (4, 2)),
        label=f"mean 0.50 to 0.95: {found.map:.3f}",
    )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.set_title(f"Precision over recall, mean of {_classes(len(found.per_class))}", fontsize=10.5, loc="left")
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, title="average precision", alignment="left", loc="best")


def _draw_classes(axes: Axes, found: Evaluation) -> None:
    """Draw a bar for each class, the best one on top; of many classes those with the most boxes."""
    frequent = sorted(found.per_class.items(), key=lambda pair: (-pair[1].truths, pair[0]))[:_MOST_BARS]
    rows = sorted(frequent, key=lambda pair: (pair[1].map, pair[0]))
    places = range(len(rows))
    axes.barh(places, [one.map50 for _, one in rows], color=_LIGHT_BLUE, height=0.72, label="overlap 0.50")
    axes.barh(places, [one.map for _, one in rows], color=_BLUE, height=0.72, label="mean 0.50 to 0.95")
    axes.set_yticks(places, [f"{_short(name)}  ({one.truths})" for name, one in rows], fontsize=8.5, color=_INK)
    axes.set(xlim=(0, 1), xlabel="average precision")
    axes.set_ylim(min(0, len(rows) - _FEWEST_ROWS) - 0.6, len(rows) - 0.4)
    all_of_them = len(frequent) == len(found.per_class)
    which = "Each class" if all_of_them else f"The {len(frequent)} most frequent classes"
    axes.set_title(f"{which} (boxes)", fontsize=10.5, loc="left")
    axes.grid(axis="x", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2)


def _classes(count: int) -> str:
    return "1 class" if count == 1 else f"{count} classes"


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"
