"""Rows, settings and a folder of small variants, as the tests of the comparison want them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_runtime.compare.choose import Setting
from edge_runtime.compare.rows import Comparison, Row
from edge_runtime.compare.state import State
from tests.factory.metadata import embedded_metadata
from tests.factory.models import write_classifier, write_postprocess_ssd

SHAPES = ("circle", "square", "triangle", "star", "hexagon", "cross")
"""The classes of the drawn scenes."""


def write_finder(path: Path, score: float = 0.9) -> Path:
    """Write a detector of shapes that finds a circle in the middle of every picture; return `path`."""
    return write_postprocess_ssd(
        path, boxes=[(0.3, 0.3, 0.7, 0.7), (0.0, 0.0, 1.0, 1.0)], classes=[0, 1], scores=[score, score / 2],
        num_classes=len(SHAPES), metadata=embedded_metadata(), packed={"labelmap.txt": "\n".join(SHAPES)},
    )  # fmt: skip


def write_family(folder: Path) -> Path:
    """Write a parent, a variant that runs, one that is no detector and one that is damaged; return `folder`."""
    folder.mkdir(exist_ok=True)
    write_finder(folder / "finder.tflite")
    write_finder(folder / "finder.int8.tflite", 0.8)
    write_classifier(folder / "finder.other.tflite")
    (folder / "finder.torn.tflite").write_bytes((folder / "finder.tflite").read_bytes()[:200])
    return folder


def row(name: str, **fields: Any) -> Row:
    """Return a row that ran, with these fields changed."""
    plain: dict[str, Any] = {
        "name": name, "file": f"m.{name}.tflite", "sha256": name, "size_bytes": 400_000, "zstd_bytes": 300_000,
        "input": "float32", "map": 0.7, "map50": 0.9, "drop": 0.0, "p50_ms": {1: 10.0, 2: 6.0},
        "p90_ms": {1: 12.0, 2: 7.0}, "spread": 1.05, "rss_bytes": 50_000_000, "backend": "cpu",
    }  # fmt: skip
    return Row(**{**plain, **fields})


def comparison(*rows: Row, **fields: Any) -> Comparison:
    """Return a comparison of these rows."""
    plain: dict[str, Any] = {
        "board": "Test board", "engine": "litert 2.3.0", "dataset": "8 drawn scenes", "threads": (1, 2), "num_runs": 10,
        "made": "2026-11-01T12:00:00+00:00",
    }  # fmt: skip
    return Comparison(rows=rows, **{**plain, **fields})


def three_variants(**fields: Any) -> Comparison:
    """Return a parent, a variant that is smaller and faster, and one that did not load."""
    return comparison(
        row("parent"),
        row("int8", map=0.69, drop=0.01, p50_ms={1: 5.0, 2: 4.0}, p90_ms={1: 5.5, 2: 4.4}, size_bytes=200_000,
            zstd_bytes=100_000),
        row("<torn>", map=None, map50=None, drop=None, p50_ms={}, p90_ms={}, spread=None, rss_bytes=None, backend=None,
            reason="is not a TFLite model & never was"),
        **fields,
    )  # fmt: skip


def setting(name: str = "int8", **fields: Any) -> Setting:
    """Return a setting that meets easy targets, with these fields changed."""
    plain: dict[str, Any] = {
        "path": Path(f"{name}.tflite"), "backend": "cpu", "num_threads": 1, "fps": 20.0, "drop": 0.0,
        "rss_bytes": 90_000_000, "size_bytes": 200_000,
    }  # fmt: skip
    return Setting(name=name, **{**plain, **fields})


class Memory(State):
    """A state that is kept nowhere."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, Any]] = {}

    def get(self, key: str) -> dict[str, Any]:
        return self.entries.get(key, {})

    def add(self, key: str, facts: Mapping[str, Any]) -> None:
        self.entries[key] = self.get(key) | dict(facts)
