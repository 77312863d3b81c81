"""The table of the bundled models, measured and written into their card."""

from __future__ import annotations

import sys
from pathlib import Path

from edge_runtime.compare.accuracy import coco_pictures
from edge_runtime.compare.measure import open_bench, state_beside
from edge_runtime.compare.rows import Comparison, Row, ratios
from edge_runtime.compare.run import compare
from edge_runtime.compare.variants import Variant, models_in, order_variants
from edge_runtime.optimize.weights import weight_bytes

BEGIN, END = "<!-- measured -->\n", "<!-- end -->\n"
HEADINGS = (
    "variant",
    "mAP50",
    "lost",
    "mAP",
    "lost",
    "kB",
    "of float",
    "weights",
    "zstd kB",
    "smaller",
    "ms",
    "faster",
)


def measure_folder(folder: Path, images: Path, annotations: Path, num_runs: int = 100) -> str:
    """Return the table of the models in a folder as Markdown; what was measured before is not measured again."""
    variants = order_variants(models_in(folder), None)
    bench = open_bench(state_beside(folder, is_fresh=False), "litert", lambda said, *_: print(said, file=sys.stderr))
    pictures = coco_pictures(images, annotations, None)
    return markdown(compare(bench, variants, pictures=pictures, num_runs=num_runs), variants)


def markdown(comparison: Comparison, variants: list[Variant]) -> str:
    """Return the rows of a comparison: accuracy and what is lost of it, sizes, milliseconds of one thread."""
    weights = {one.name: weight_bytes(one.path) for one in variants}
    whole = weights[comparison.parent.name]
    lines = [f"| {' | '.join(HEADINGS)} |", f"|---|{'---:|' * (len(HEADINGS) - 1)}"]
    for row in comparison.rows:
        lines.append(f"| {' | '.join(_cells(comparison, row, weights[row.name] / whole))} |")
    return "\n".join(lines) + "\n"


def _cells(comparison: Comparison, row: Row, weights: float) -> list[str]:
    parent = comparison.parent
    against, one = ratios(row, parent), comparison.threads[0]
    return [
        "float" if row is parent else row.name,
        *_kept_and_lost(row.map50, parent.map50),
        *_kept_and_lost(row.map, parent.map),
        f"{row.size_bytes / 1000:.0f}",
        f"{row.size_bytes / parent.size_bytes:.2f}",
        f"{weights:.2f}",
        f"{(row.zstd_bytes or 0) / 1000:.0f}",
        f"{against.zstd:.2f}x",
        f"{row.p50_ms[one]:.2f}",
        f"{against.speed[one]:.2f}x",
    ]


def _kept_and_lost(found: float | None, before: float | None) -> tuple[str, str]:
    return (
        ("-", "-")
        if found is None or before is None
        else (f"{found:.3f}", f"{before - found:.3f}".replace("-0.000", "0.000"))
    )


def put_table(card: Path, table: str) -> None:
    """Put the table between its marks in a file of Markdown; raise ValueError where they are not there."""
    before, rest = card.read_text().split(BEGIN)
    _, after = rest.split(END)
    card.write_text(f"{before}{BEGIN}{table}{END}{after}")
