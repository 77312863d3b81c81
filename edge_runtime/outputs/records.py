"""Results and states as plain dictionaries, the records of JSON lines, schema 1."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import numpy as np

from edge_runtime.clock import NS_PER_MS, rfc3339
from edge_runtime.result import Result, StateChange

SCHEMA = 1
BOX_DECIMALS = 2
"""A hundredth of a pixel: the overlap of two boxes four pixels wide changes by less than one percent."""
SCORE_DECIMALS = 4
MS_DECIMALS = 3


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of every record this package writes."""
    text = resources.files("edge_runtime.outputs").joinpath("schema-1.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def detections_record(result: Result) -> dict[str, Any]:
    """Return the record of one frame: plain numbers and texts, milliseconds and pixels of the frame.

    A detection with a coordinate or score that is not finite is left out: JSON has no word for it, and it is none.
    """
    latency_ms = {"capture_to_result": _ms(result.latency_ns)}
    latency_ms.update((stage, _ms(duration_ns)) for stage, duration_ns in result.stages_ns.items())
    record = {
        "schema": SCHEMA,
        "type": "detections",
        "time": rfc3339(result.frame.wall_time),
        "source": result.frame.source,
        "sequence": int(result.frame.sequence),
        "latency_ms": latency_ms,
        "detections": _rows(result),
    }
    if result.frame.doubt is not None:
        record["camera"] = "suspect"
    return record if result.task == "detect" else {**record, "task": result.task}


def state_record(change: StateChange) -> dict[str, Any]:
    """Return the record of a change of state."""
    return {
        "schema": SCHEMA,
        "type": "state",
        "time": rfc3339(change.wall_time),
        "part": change.part,
        "from": change.before,
        "to": change.after,
        "reason": change.reason,
    }


def _rows(result: Result) -> list[dict[str, Any]]:
    found = result.detections
    boxes = found.boxes.astype(np.float64).round(BOX_DECIMALS)  # float32 has no short decimal form
    scores = found.scores.astype(np.float64).round(SCORE_DECIMALS)
    is_finite = (np.isfinite(boxes).all(axis=1) & np.isfinite(scores)).tolist()
    columns = zip(result.labels, found.class_ids.tolist(), scores.tolist(), boxes.tolist(), strict=True)
    rows: list[dict[str, Any]] = [
        {"label": label, "class_id": class_id, "score": score, "box": box} for label, class_id, score, box in columns
    ]
    if found.track_ids is not None:
        for row, track_id in zip(rows, found.track_ids.tolist(), strict=True):
            row["track_id"] = track_id
    if found.keypoints is not None:
        points = found.keypoints.astype(np.float64).round(BOX_DECIMALS)
        is_finite = [keep and bool(np.isfinite(one).all()) for keep, one in zip(is_finite, points, strict=True)]
        for row, one in zip(rows, points.tolist(), strict=True):
            row["keypoints"] = one
    return [row for row, keep in zip(rows, is_finite, strict=True) if keep]


def _ms(duration_ns: int) -> float:
    return round(int(duration_ns) / NS_PER_MS, MS_DECIMALS)
