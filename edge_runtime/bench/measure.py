"""Times of the model alone and of the whole pipeline, with the keys that other benchmark tools print."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.capture import FrameSource
from edge_runtime.detector import Detector
from edge_runtime.outputs.jsonl import JsonLinesOutput
from edge_runtime.pipeline import Pipeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERCENTILES = (5, 50, 90, 95, 99)


def timing(times_ns: Sequence[int]) -> dict[str, float]:
    """Return avg, min, max, stddev, median and percentiles of times in ns, in ms, keyed "avg_ms" and so on."""
    times_ms = np.asarray(times_ns, np.float64) / 1e6
    p5, median, p90, p95, p99 = np.percentile(times_ms, PERCENTILES)
    figures = {
        "avg_ms": times_ms.mean(), "min_ms": times_ms.min(), "max_ms": times_ms.max(), "stddev_ms": times_ms.std(),
        "median_ms": median, "p5_ms": p5, "p90_ms": p90, "p95_ms": p95, "p99_ms": p99,
    }  # fmt: skip
    return {key: round(float(value), 4) for key, value in figures.items()}


def repeat(action: Callable[[], object], *, warmup_runs: int, num_runs: int, max_secs: float) -> list[int]:
    """Return the nanoseconds of each run after the warm-up: num_runs of them, fewer when the time is over."""
    for _ in range(warmup_runs):
        action()
    times_ns: list[int] = []
    budget_ns = int(max_secs * 1e9)
    begun = perf_counter_ns()
    while len(times_ns) < num_runs and (not times_ns or perf_counter_ns() - begun < budget_ns):
        start = perf_counter_ns()
        action()
        times_ns.append(perf_counter_ns() - start)
    return times_ns


def measure_invoke(detector: Detector, *, warmup_runs: int, num_runs: int, max_secs: float) -> dict[str, Any]:
    """Return the times of the model alone on random input, the first invoke apart."""
    tensors = [_noise(spec.shape, spec.dtype) for spec in detector.backend.inputs]
    start = perf_counter_ns()
    detector.backend.invoke(tensors)
    first_ms = (perf_counter_ns() - start) / 1e6
    times_ns = repeat(
        lambda: detector.backend.invoke(tensors), warmup_runs=warmup_runs, num_runs=num_runs, max_secs=max_secs
    )
    found = timing(times_ns)
    return {"runs": len(times_ns), "first_inference_ms": round(first_ms, 4), **found, "fps": _fps(found["median_ms"])}


def _noise(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    random = np.random.default_rng(0)
    if np.issubdtype(dtype, np.floating):
        return random.random(shape).astype(dtype)
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def _fps(median_ms: float) -> float:
    return round(1000 / median_ms, 2)


def measure_pipeline(source: FrameSource, detector: Detector, *, max_frames: int, max_secs: float) -> dict[str, Any]:
    """Return frames per second and times of the whole way, JSON lines to /dev/null included.

    The rate counts from the first result to the end, so that opening the source is no part of it.
    """
    began: list[int] = []
    pipeline = Pipeline(
        source,
        detector,
        [JsonLinesOutput(Path(os.devnull), append=True)],
        max_frames=max_frames,
        duration_s=max_secs,
        exit_on_source_loss=True,
        on_first_result=lambda: began.append(perf_counter_ns()),
    )
    summary = pipeline.run()
    elapsed_s = (perf_counter_ns() - began[0]) / 1e9 if began else 0.0
    fps = (summary.processed - 1) / elapsed_s if summary.processed > 1 else 0.0
    return {
        "frames": summary.processed,
        "fps": round(fps, 2),
        "stages_ms": summary.record["stages_ms"],
        "latency_ms": summary.record["latency_ms"],
    }
