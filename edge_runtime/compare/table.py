"""A comparison as a table: for a terminal, for a file of text, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from textwrap import shorten
from typing import Any

from edge_runtime.compare.rows import LEAST_PERCENT, UNSTEADY, Comparison, Row, counted, ratios

NONE = "-"
ACCURACY_LEGEND = "mAP: COCO's, IoU .50 to .95. drop: mAP of the parent less that of the variant."
ERROR_LEGEND = (
    "error: RMS of the difference from the parent's outputs over RMS of these, worst output, on drawn scenes."
)
LEGEND = (
    "ms: p50/p90 of the invoke alone. RSS: a process with engine and model. zstd: level 19, as an update is sent.",
    "smaller, faster: against the parent, with zstd and with one thread, median of the rounds' ratios.",
)
NOISE_LEGEND = (
    f"~: within noise: rounds of one of the two differ by more than {UNSTEADY - 1:.0%}, in some round the other was "
    f"faster, or they are less than {LEAST_PERCENT}% apart."
)
LONGEST_REASON = 240
GAP = "  "
_CSV = (
    "name", "file", "input", "map", "map50", "drop", "output_error", "size_bytes", "zstd_bytes", "rss_bytes", "spread",
    "backend", "reason",
)  # fmt: skip


def headings(comparison: Comparison) -> list[str]:
    """Return the heads of the columns."""
    accuracy = ["mAP", "mAP50", "drop"] if comparison.dataset else ["error"]
    times = [f"ms, {count} thr" for count in comparison.threads]
    return ["variant", *accuracy, *times, "RSS MB", "kB", "zstd kB", "smaller", "faster"]


def cells(comparison: Comparison, row: Row) -> list[str]:
    """Return a row as text, a cell for each heading."""
    against = ratios(row, comparison.parent)
    is_parent = row is comparison.parent
    if comparison.dataset:
        accuracy = [_three(row.map), _three(row.map50), NONE if is_parent else _three(row.drop)]
    else:
        accuracy = [NONE if row.output_error is None else f"{row.output_error:.4f}"]
    return [
        row.name,
        *accuracy,
        *(_times(row, count) for count in comparison.threads),
        NONE if row.rss_bytes is None else f"{row.rss_bytes / 1e6:.0f}",
        _kb(row.size_bytes),
        NONE if row.zstd_bytes is None else _kb(row.zstd_bytes),
        NONE if is_parent or not row.is_measured or against.zstd is None else f"{against.zstd:.2f}x",
        NONE if is_parent else faster(row, comparison.parent, comparison.threads[0]),
    ]


def faster(row: Row, parent: Row, count: int) -> str:
    """Return how many times as fast as the parent, "2.00x"; "~1.02x" where that is no difference to rely on."""
    against = ratios(row, parent)
    if count not in against.speed:
        return NONE
    return f"{'~' if against.is_noise[count] else ''}{against.speed[count]:.2f}x"


def _three(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}".replace("-0.000", "0.000")


def _times(row: Row, count: int) -> str:
    return f"{_ms(row.p50_ms[count])}/{_ms(row.p90_ms[count])}" if count in row.p50_ms else NONE


def _ms(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _kb(size_bytes: int) -> str:
    return f"{size_bytes / 1000:,.{0 if size_bytes >= 10_000 else 1}f}"


def head(comparison: Comparison) -> list[str]:
    """Return the circumstances, a line each."""
    accuracy = f"accuracy on {comparison.dataset}" if comparison.dataset else "error of the outputs instead of accuracy"
    facts = [
        ("parent", comparison.parent.file),
        ("board", comparison.board),
        ("cpu", comparison.cpu),
        ("engine", comparison.engine),
        ("software", comparison.software),
        ("measured", f"{accuracy}; {counted(comparison.num_runs, 'invoke')} of each, in rounds"),
        ("made", comparison.made),
    ]
    return [f"{name:<9} {fact}" for name, fact in facts if fact]


def remarks(comparison: Comparison) -> list[str]:
    """Return what is missing and why, and the notes."""
    reasons = [f"{row.name}: {shorten(row.reason, LONGEST_REASON)}" for row in comparison.rows if row.reason]
    return [*reasons, *comparison.notes]


def legend(comparison: Comparison) -> list[str]:
    """Return what the columns mean, a line each."""
    has_noise = any(cells(comparison, row)[-1].startswith("~") for row in comparison.rows)
    accuracy = ACCURACY_LEGEND if comparison.dataset else ERROR_LEGEND
    return [accuracy, *LEGEND, *([NOISE_LEGEND] if has_noise else [])]


def foot(comparison: Comparison) -> list[str]:
    """Return what stands under the table."""
    said = remarks(comparison)
    return [*said, *([""] if said else []), *legend(comparison)]


def plain(comparison: Comparison) -> str:
    """Return the table as text, for pipes and files."""
    return "\n".join([*head(comparison), "", *body(comparison), "", *foot(comparison)])


def body(comparison: Comparison) -> list[str]:
    """Return the rows under their headings, a line each, the columns below one another."""
    rows = _grid(comparison)
    widths = _widths(rows)
    return [_line(row, widths) for row in rows]


def _grid(comparison: Comparison) -> list[list[str]]:
    return [headings(comparison), *(cells(comparison, row) for row in comparison.rows)]


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (cell.ljust(width) if not at else cell.rjust(width) for at, (cell, width) in
                    enumerate(zip(row, widths, strict=True)))  # fmt: skip
    return GAP.join([first, *rest]).rstrip()


def fitting(comparison: Comparison, width: int) -> tuple[list[list[str]], list[str]]:
    """Return headings and rows with no more columns than a terminal has room for, and the headings left out.

    The most dispensable go first: what another column says nearly as well.
    """
    rows, left_out = _grid(comparison), []
    more_threads = [f"ms, {count} thr" for count in reversed(comparison.threads[1:])]
    for name in ("mAP50", "RSS MB", "kB", *more_threads, "zstd kB"):
        widths = _widths(rows)
        if sum(widths) + len(GAP) * (len(widths) - 1) <= width:
            break
        if name in rows[0]:
            at = rows[0].index(name)
            rows = [[*row[:at], *row[at + 1 :]] for row in rows]
            left_out.append(name)
    return rows, left_out


def colored(comparison: Comparison, width: int) -> str:
    """Return the table for a terminal of this many columns."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    (heads, *rows), left_out = fitting(comparison, width)
    table = Table(box=None, pad_edge=False, padding=(0, len(GAP), 0, 0), header_style="bold")
    for position, heading in enumerate(heads):
        table.add_column(heading, justify="right" if position else "left", no_wrap=True)
    for row, texts in zip(comparison.rows, rows, strict=True):
        style = "bold" if row is comparison.parent else None if row.is_measured else "dim"
        table.add_row(*map(escape, texts), style=style)
    under = foot(comparison)
    if left_out:
        names = ", ".join(name.replace(",", "") for name in left_out)
        under.append(f"No room for {names}: a wider terminal, --csv, --json and --html have all columns.")
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=width, highlight=False)
    console.print(escape("\n".join([*head(comparison), ""])))
    console.print(table)
    console.print(escape("\n".join(["", *under])), style="dim")
    return text.getvalue().rstrip()


def as_csv(comparison: Comparison) -> str:
    """Return a row for each variant, raw numbers; times and ratios in columns of their own."""
    times = [f"{what}_ms_{count}_threads" for count in comparison.threads for what in ("p50", "p90")]
    speeds = [f"{what}_{count}_threads" for count in comparison.threads for what in ("speed_ratio", "is_noise")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_CSV, *times, "size_ratio", "zstd_ratio", *speeds])
    for row in comparison.rows:
        against = ratios(row, comparison.parent)
        of_times = [of.get(count) for count in comparison.threads for of in (row.p50_ms, row.p90_ms)]
        of_speed = [of.get(count) for count in comparison.threads for of in (against.speed, against.is_noise)]
        values: list[Any] = [*(getattr(row, name) for name in _CSV), *of_times, against.size, against.zstd, *of_speed]
        writer.writerow([_csv_cell(value) for value in values])
    return text.getvalue()


def _csv_cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return int(value)
    return f"{value:.6g}" if isinstance(value, float) else value
