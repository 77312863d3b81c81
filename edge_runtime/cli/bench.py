"""``edge-runtime bench``: how fast a model is here, alone and with all that surrounds it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from edge_runtime.cli.settings import GROUPS, add_settings, checked, load_settings
from edge_runtime.cli.streams import show
from edge_runtime.config import Config
from edge_runtime.errors import CaptureError
from edge_runtime.values import number, whole

if TYPE_CHECKING:
    from edge_runtime.capture import FrameSource

USAGE = "[--model FILE] [--source NAME] [FLAG ...]"
SETTINGS = (*GROUPS["model"], "threshold")
REPLAYED_IMAGES = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    group = parser.add_argument_group("measurement")
    group.add_argument("--num-runs", default="200", metavar="N", help="invokes to time, and frames (default 200)")
    group.add_argument("--warmup-runs", default="10", metavar="N", help="invokes before that (default 10)")
    group.add_argument("--max-secs", default="20", metavar="S", help="most seconds for each part (default 20)")
    # Not the setting of that name: the camera of a service makes the pipeline wait, and that is no speed of its own.
    group.add_argument("--source", metavar="NAME", help="what the pipeline reads; without it drawn scenes, from memory")
    group.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    add_settings(parser, SETTINGS)


def execute(args: argparse.Namespace) -> int:
    """Print both measurements side by side. Without --source the pipeline gets drawn scenes from memory."""
    config = load_settings(args, SETTINGS).config
    num_runs = checked("--num-runs", whole(1, 10**6), args.num_runs)
    warmup_runs = checked("--warmup-runs", whole(0, 10**6), args.warmup_runs)
    max_secs = checked("--max-secs", number(0.1, 86400, "seconds"), args.max_secs)
    report = _measure(config, args.source, num_runs=num_runs, warmup_runs=warmup_runs, max_secs=max_secs)
    show(json.dumps(report) if args.json else table(report))
    return 0


def _measure(
    config: Config, source_name: str | None, *, num_runs: int, warmup_runs: int, max_secs: float
) -> dict[str, Any]:
    from edge_runtime.bench.measure import measure_invoke, measure_pipeline
    from edge_runtime.capture.open import open_source
    from edge_runtime.service import build_detector, require_model
    from edge_runtime.telemetry.board import BoardProbe
    from edge_runtime.telemetry.process import ProcessProbe

    model = require_model(config)
    source = _scenes(num_runs) if source_name is None else open_source(source_name)
    start = perf_counter_ns()
    with build_detector(config) as detector:
        init_ms = round((perf_counter_ns() - start) / 1e6, 3)
        invoke = measure_invoke(detector, warmup_runs=warmup_runs, num_runs=num_runs, max_secs=max_secs)
        pipeline = measure_pipeline(source, detector, max_frames=num_runs, max_secs=max_secs)
        backend = str(detector.describe())
    if not pipeline["frames"]:
        raise CaptureError(f"{source.name}: gave no frame in {max_secs:g} s; give another --source or more --max-secs")
    return {
        "model": str(model),
        "board": BoardProbe().model(),
        "backend": backend,
        "source": source.name,
        "init_ms": init_ms,
        **invoke,
        "peak_mem_mb": round((ProcessProbe().read().peak_rss_bytes or 0) / 1e6, 1),
        "pipeline": pipeline,
        "pipeline_to_invoke": round(pipeline["fps"] / invoke["fps"], 3),
    }


def _scenes(frames: int) -> FrameSource:
    """Return drawn scenes held in memory, so that the drawing is no part of the measurement."""
    from edge_runtime.capture.replay import ReplaySource
    from edge_runtime.capture.scene import SceneSource

    with SceneSource(frames=REPLAYED_IMAGES) as scenes:
        images = [frame.image for frame in scenes]
    return ReplaySource(images, frames)


def table(report: dict[str, Any]) -> str:
    """Return the report for a terminal."""
    pipeline = report["pipeline"]
    latency = pipeline["latency_ms"]
    rows = [
        ("", "invoke only", "whole pipeline"),
        ("frames", str(report["runs"]), str(pipeline["frames"])),
        ("frames per second", f"{report['fps']:.1f}", f"{pipeline['fps']:.1f}"),
        ("p50 ms", f"{report['median_ms']:.2f}", f"{latency['p50']:.2f}"),
        ("p90 ms", f"{report['p90_ms']:.2f}", f"{latency['p90']:.2f}"),
        ("p95 ms", f"{report['p95_ms']:.2f}", f"{latency['p95']:.2f}"),
        ("p99 ms", f"{report['p99_ms']:.2f}", f"{latency['p99']:.2f}"),
    ]
    head = [
        f"model     {Path(report['model']).name}",
        f"board     {report['board']}",
        f"backend   {report['backend']}",
        f"source    {report['source']}",
        f"start     {report['init_ms']:.0f} ms to open, {report['first_inference_ms']:.1f} ms first invoke, "
        f"{report['peak_mem_mb']:.0f} MB peak memory",
        "",
    ]
    body = [f"{name:<18} {one:>14} {other:>16}" for name, one, other in rows]
    foot = [
        "",
        f"The pipeline runs at {report['pipeline_to_invoke']:.0%} of the rate of invoke alone. Its times run from "
        "capture",
        "to result; on a file they include the wait of a frame for its turn.",
    ]
    return "\n".join([*head, *body, *foot])
