"""How long an invoke of each variant takes, as the ratio to the first model, all in turn on one machine.

    python -m benchmarks.variant_times parent.tflite parent.int8.tflite ... [--rounds 15] [--threads 1]

A round times every model once; the ratio is the median over the rounds of the model's time by that of the first in the
same round, which a board that gets warm or busy slows alike. Any model runs, also one that is no detector.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from time import perf_counter_ns

import numpy as np

from edge_runtime.inference import Backend
from edge_runtime.inference.select import open_backend

ROUND_S = 0.4
"""Invokes of one model in one round take about so long, and are ten at least."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    opened = [open_backend(model, "cpu", num_threads=args.threads) for model in args.models]
    times_ms: list[list[float]] = [[] for _ in opened]
    for _ in range(args.rounds):
        for kept, backend in zip(times_ms, opened, strict=True):
            kept.append(_invoke_ms(backend))
    print(f"{'model':<52}{'ms':>9}{'x faster':>10}{'lowest':>8}{'highest':>9}")
    for model, kept in zip(args.models, times_ms, strict=True):
        ratios = sorted(first / own for first, own in zip(times_ms[0], kept, strict=True))
        print(f"{model.name:<52}{median(kept):>9.3f}{median(ratios):>10.2f}{ratios[0]:>8.2f}{ratios[-1]:>9.2f}")


def _invoke_ms(backend: Backend) -> float:
    """Return the median time of some invokes."""
    chance = np.random.default_rng(0)
    inputs = [(chance.random(spec.shape) * 100).astype(spec.dtype) for spec in backend.inputs]
    durations_ns: list[int] = []
    while len(durations_ns) < 10 or sum(durations_ns) < ROUND_S * 1e9:
        start_ns = perf_counter_ns()
        backend.invoke(inputs)
        durations_ns.append(perf_counter_ns() - start_ns)
    return median(durations_ns) / 1e6


if __name__ == "__main__":
    main()
