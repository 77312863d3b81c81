"""Measures what a service could be set to on this board: variants, backends and numbers of threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from edge_runtime.compare.choose import Setting
from edge_runtime.compare.isolate import ask
from edge_runtime.compare.measure import Bench
from edge_runtime.compare.rows import apart
from edge_runtime.compare.variants import Variant
from edge_runtime.errors import BackendError, ModelError
from edge_runtime.inference.threads import thread_choices
from edge_runtime.model.flatbuffer import read_model

ROUNDS = 3
FRAMES = 20
"""Fewer in a round would measure its start."""
MAX_SECS = 6.0
"""For one setting in one round."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A setting that is not measured yet."""

    variant: Variant
    backend: str
    num_threads: int

    @property
    def label(self) -> str:
        """Its name in messages: "int8 cpu 2"."""
        return f"{self.variant.name} {self.backend} {self.num_threads}"


@dataclass(frozen=True, slots=True)
class Rate:
    """What the rounds of a candidate found together."""

    fps: float
    rss_bytes: int | None
    spread: float = 1.0  # the fastest round over the slowest


def candidates(variants: Sequence[Variant], *, cores: int, has_edgetpu: bool, has_gpu: bool) -> list[Candidate]:
    """Return every setting that can work here.

    A model compiled for the Edge TPU runs nowhere else. An accelerator gets one thread: what is left for the CPU is
    little.
    """
    found = []
    for variant in variants:
        if _is_edgetpu(variant.path):
            found += [Candidate(variant, "edgetpu", 1)] if has_edgetpu else []
            continue
        found += [Candidate(variant, "cpu", count) for count in thread_choices(cores)]
        found += [Candidate(variant, "gpu", 1)] if has_gpu else []
    return found


def _is_edgetpu(path: Path) -> bool:
    try:
        return read_model(path).is_edgetpu
    except ModelError:
        return False  # the child says what is wrong with it


def present_accelerators() -> tuple[bool, bool]:
    """Return whether an Edge TPU is plugged in, and whether there is what a GPU needs."""
    from edge_runtime.inference import edgetpu, gpu
    from edge_runtime.inference.delegate import load_library
    from edge_runtime.inference.webgpu import require_vulkan

    try:
        has_edgetpu = bool(edgetpu.list_devices(load_library(edgetpu.LIBRARY, edgetpu.ADVICE)))
    except BackendError:
        has_edgetpu = False
    for look in (require_vulkan, partial(load_library, gpu.LIBRARY, "")):
        try:
            look()
        except BackendError:
            continue
        return has_edgetpu, True
    return has_edgetpu, False


def measure_rates(
    bench: Bench, asked: Sequence[Candidate], *, labels: Path | None, num_frames: int
) -> tuple[dict[Candidate, Rate], dict[Candidate, str]]:
    """Return what was measured of each candidate, and of the rest why there is nothing.

    All candidates in turn, several times. The median of the rounds: one that was disturbed does not count, and the
    best would promise what a cool and idle board reaches, which the service's will not be. Memory is the most of any.

    Args:
        bench: where to keep results.
        asked: what to measure.
        labels: a label file for all of them.
        num_frames: for each of them, all rounds together.

    Raises:
        OutputError: a result cannot be kept.
    """
    failed: dict[Candidate, str] = {}
    rounds = max(1, min(ROUNDS, num_frames // FRAMES))
    keys = {one: bench.key("rate", one.variant, one.backend, one.num_threads, "frames", num_frames) for one in asked}
    for number in range(rounds):
        for at, one in enumerate(asked, number * len(asked)):
            if one in failed or str(number) in bench.state.get(keys[one]):
                continue
            bench.tick(f"pipeline, round {number + 1} of {rounds}: {one.label}", at, rounds * len(asked))
            try:
                found = ask("pipeline_rate", one.variant.path, patience_s=60 + 2 * MAX_SECS, engine=bench.engine,
                            backend=one.backend, num_threads=one.num_threads,
                            labels=None if labels is None else str(labels),
                            max_frames=-(-num_frames // rounds), max_secs=MAX_SECS)  # fmt: skip
            except (ModelError, BackendError) as exc:
                failed[one] = str(exc)
                continue
            bench.state.add(keys[one], {str(number): found})
    rates = {one: _together(list(bench.state.get(keys[one]).values())) for one in asked if one not in failed}
    return rates, failed


def _together(rounds: Sequence[Mapping[str, float]]) -> Rate:
    memory = [int(one["rss_bytes"]) for one in rounds if one["rss_bytes"]]
    rates = [one["fps"] for one in rounds]
    return Rate(median(rates), max(memory, default=None), apart(rates))


def settings_of(rates: Mapping[Candidate, Rate], drops: Mapping[str, float | None]) -> list[Setting]:
    """Return the candidates with what was measured of them.

    Args:
        rates: by candidate.
        drops: loss of mAP by name of the variant.
    """
    return [
        Setting(
            name=one.variant.name,
            path=one.variant.path,
            backend=one.backend,
            num_threads=one.num_threads,
            fps=rate.fps,
            spread=rate.spread,
            drop=drops.get(one.variant.name),
            rss_bytes=rate.rss_bytes,
            size_bytes=one.variant.size_bytes,
        )
        for one, rate in rates.items()
    ]
