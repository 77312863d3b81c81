"""An evaluation as a record for other programs, and as a text for a terminal."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_runtime import __version__
from edge_runtime.evaluate.run import Evaluation
from edge_runtime.inference import BackendInfo
from edge_runtime.telemetry.board import BoardProbe

_WIDEST_NAME = 40


def record(
    found: Evaluation, *, model: Path, backend: BackendInfo, settings: Mapping[str, Any], dataset: str
) -> dict[str, Any]:
    """Return all there is to say about an evaluation, so that it can be repeated; ready for JSON.

    Args:
        found: what came out.
        model: the file.
        backend: what ran it.
        settings: those that the figures depend on, as JSON knows them.
        dataset: its name.
    """
    return {
        "map": round(found.map, 6),
        "map50": round(found.map50, 6),
        "map75": round(found.map75, 6),
        "per_class": {
            name: {"map": round(one.map, 6), "map50": round(one.map50, 6), "truths": one.truths}
            for name, one in found.per_class.items()
        },
        "only_in_annotations": list(found.only_in_truth),
        "only_in_model": list(found.only_in_model),
        "dataset": dataset,
        "images": found.images,
        "truths": found.truths,
        "detections": found.detections,
        "mean_invoke_ms": round(found.mean_invoke_ms, 4),
        "model": facts_of(model),
        "board": BoardProbe().model(),
        "backend": str(backend),
        "versions": {
            "edge-runtime": __version__,
            "engine": f"{backend.engine} {backend.engine_version}",
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        },
        "date": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "settings": dict(settings),
    }


def facts_of(model: Path) -> dict[str, Any]:
    """Return the path, sha256 and size of a file."""
    with model.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"path": str(model), "sha256": digest, "bytes": model.stat().st_size}


def text(report: Mapping[str, Any], *, width: int | None) -> str:
    """Return a record for people: what was measured, the figures, a table of the classes.

    Args:
        report: as `record` made it.
        width: columns of the terminal, for a table with lines and colours; None for plain text.
    """
    rows: list[tuple[str, ...]] = [
        (name, str(one["truths"]), f"{one['map']:.3f}", f"{one['map50']:.3f}")
        for name, one in sorted(report["per_class"].items(), key=lambda pair: (-pair[1]["map"], pair[0]))
    ]
    head = "\n".join(_head(report))
    table = _plain_table(rows) if width is None else _drawn_table(rows, width)
    return f"{head}\n\n{table.rstrip()}"


def _head(report: Mapping[str, Any]) -> list[str]:
    model = report["model"]
    lines = [
        f"model     {Path(model['path']).name}, {model['bytes']:,} bytes, sha256 {model['sha256'][:12]}",
        f"backend   {report['backend']}",
        f"board     {report['board']}",
        f"pictures  {report['images']:,} from {report['dataset']}",
        f"boxes     {report['truths']:,} in the truth, {report['detections']:,} found",
    ]
    for key, said in (("only_in_annotations", "unknown to the model"), ("only_in_model", "not in the annotations")):
        names = report[key]
        if names:
            shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
            count = "1 class" if len(names) == 1 else f"{len(names)} classes"
            lines.append(f"left out  {count} {said}: {shown}")
    return [
        *lines,
        "",
        f"mAP       {report['map']:.3f}  mean of the overlaps 0.50 to 0.95 and of {len(report['per_class'])} classes",
        f"mAP50     {report['map50']:.3f}  at overlap 0.50",
        f"mAP75     {report['map75']:.3f}  at overlap 0.75",
        f"invoke    {report['mean_invoke_ms']:.2f} ms, the mean; bench measures times better",
    ]


def _plain_table(rows: list[tuple[str, ...]]) -> str:
    width = max(len("class"), *(len(row[0][:_WIDEST_NAME]) for row in rows))
    lines = [("class", "boxes", "mAP", "mAP50"), *rows]
    return "\n".join(
        f"{name[:_WIDEST_NAME]:<{width}} {boxes:>8} {one:>7} {half:>7}" for name, boxes, one, half in lines
    )


def _drawn_table(rows: list[tuple[str, ...]], width: int) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("class", style="bold", max_width=_WIDEST_NAME, overflow="ellipsis", no_wrap=True)
    for title in ("boxes", "mAP", "mAP50"):
        table.add_column(title, justify="right")
    table.add_column("")
    for name, boxes, one, half in rows:
        bar = Text("━" * round(float(one) * 20), style="cyan")
        table.add_row(Text(name), boxes, one, half, bar)
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table)
    return str(captured.get())
