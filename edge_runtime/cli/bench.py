"""``edge-runtime bench``: how fast a model is here, alone and with all that surrounds it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from edge_runtime.cli.settings import add_settings, load_settings
from edge_runtime.config import number, whole
from edge_runtime.errors import ConfigError

if TYPE_CHECKING:
    from edge_runtime.capture import FrameSource

SETTINGS = ("model", "labels", "source", "backend", "engine", "num_threads", "threshold")
REPLAYED_IMAGES = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.add_argument("--num-runs", default="200", metavar="N", help="invokes to time (default 200)")
    parser.add_argument("--warmup-runs", default="10", metavar="N", help="invokes before that (default 10)")
    parser.add_argument("--max-secs", default="20", metavar="SECONDS", help="most time for each part (default 20)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_settings(parser, SETTINGS)


def execute(args: argparse.Namespace) -> int:
    """Print both measurements side by side. Without --source the pipeline gets drawn scenes from memory."""
    effective = load_settings(args)
    config = effective.config
    num_runs = _checked("num-runs", whole(1, 10**6), args.num_runs)
    warmup_runs = _checked("warmup-runs", whole(0, 10**6), args.warmup_runs)
    max_secs = _checked("max-secs", number(0.1, 86400, "seconds"), args.max_secs)
    if config.model is None:
        raise ConfigError("model: none was given; use --model FILE.tflite")
    from edge_runtime.bench.measure import measure_invoke, measure_pipeline
    from edge_runtime.service import build_detector
    from edge_runtime.telemetry.board import BoardProbe
    from edge_runtime.telemetry.process import ProcessProbe

    start = perf_counter_ns()
    with build_detector(config) as detector:
        init_ms = round((perf_counter_ns() - start) / 1e6, 3)
        is_default = effective.origins["source"] == "default"
        source = _scenes(num_runs) if is_default else _named_source(config.source)
        invoke = measure_invoke(detector, warmup_runs=warmup_runs, num_runs=num_runs, max_secs=max_secs)
        pipeline = measure_pipeline(source, detector, max_frames=num_runs, max_secs=max_secs)
        report = {
            "model": str(config.model),
            "board": BoardProbe().model(),
            "backend": str(detector.describe()),
            "source": source.name,
            "init_ms": init_ms,
            "peak_mem_mb": round((ProcessProbe().read().peak_rss_bytes or 0) / 1e6, 1),
            "invoke": invoke,
            "pipeline": pipeline,
            "pipeline_to_invoke": round(pipeline["fps"] / invoke["fps"], 3),
        }
    print(json.dumps(report) if args.json else table(report))
    return 0


def _checked(flag: str, parse: Any, value: str) -> Any:
    try:
        return parse(value)
    except ValueError as exc:
        raise ConfigError(f"{flag}: {value!r} is not allowed (from flag --{flag}); give {exc}") from None


def _named_source(text: str) -> FrameSource:
    from edge_runtime.capture.open import open_source

    return open_source(text)


def _scenes(frames: int) -> FrameSource:
    """Return drawn scenes held in memory, so that the drawing is no part of the measurement."""
    from edge_runtime.capture.replay import ReplaySource
    from edge_runtime.capture.scene import SceneSource

    with SceneSource(frames=REPLAYED_IMAGES) as scenes:
        images = [frame.image for frame in scenes]
    return ReplaySource(images, frames)


def table(report: dict[str, Any]) -> str:
    """Return the report for a terminal."""
    invoke, pipeline = report["invoke"], report["pipeline"]
    latency = pipeline["latency_ms"]
    rows = [
        ("", "invoke only", "whole pipeline"),
        ("frames", str(invoke["runs"]), str(pipeline["frames"])),
        ("frames per second", f"{invoke['fps']:.1f}", f"{pipeline['fps']:.1f}"),
        ("p50 ms", f"{invoke['median_ms']:.2f}", f"{latency['p50']:.2f}"),
        ("p90 ms", f"{invoke['p90_ms']:.2f}", f"{latency['p90']:.2f}"),
        ("p95 ms", f"{invoke['p95_ms']:.2f}", f"{latency['p95']:.2f}"),
        ("p99 ms", f"{invoke['p99_ms']:.2f}", f"{latency['p99']:.2f}"),
    ]
    head = [
        f"model     {Path(report['model']).name}",
        f"board     {report['board']}",
        f"backend   {report['backend']}",
        f"source    {report['source']}",
        f"start     {report['init_ms']:.0f} ms to open, {invoke['first_inference_ms']:.1f} ms first invoke, "
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
