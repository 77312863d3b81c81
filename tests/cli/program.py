"""The program as a user starts it: a process of its own. And what it leaves behind, read and checked."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "edge_runtime" / "outputs" / "schema-1.json"
PROGRAM = (sys.executable, "-m", "edge_runtime")
PATIENCE_S = 60

LABELS = ("person", "bicycle", "car")
VIDEO_WH, VIDEO_FRAMES = (64, 48), 40
LONG_FRAMES = 3000
"""More than all queues and the pipe hold together, so a run stopped early has really been stopped."""


@dataclass(frozen=True)
class Done:
    """A process that has ended."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """Its stdout as JSON lines; each is checked against the schema."""
        return checked_records(self.out)


def checked_records(text: str) -> list[dict[str, Any]]:
    """Return the records in a text of whole JSON lines, each valid by our own schema."""
    assert not text or text.endswith("\n"), "the last line is torn"
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    records = [json.loads(line) for line in text.splitlines()]
    for record in records:
        validator.validate(record)
    return records


def frames_of(records: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the sequence numbers of the results among these records."""
    return [record["sequence"] for record in records if record["type"] == "detections"]


def found_in(record: Mapping[str, Any]) -> list[str]:
    return [row["label"] for row in record["detections"]]


def frame_sizes(path: Path) -> list[tuple[int, int]]:
    """Return (width, height) of every frame that can be read from a video."""
    reader, sizes = cv2.VideoCapture(str(path)), []
    while (read := reader.read())[0]:
        sizes.append((read[1].shape[1], read[1].shape[0]))
    reader.release()
    return sizes


def write_video(path: Path, frames: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25, VIDEO_WH)
    for number in range(frames):
        writer.write(np.full((VIDEO_WH[1], VIDEO_WH[0], 3), number * 5 % 250, np.uint8))
    writer.release()
    return path
