"""Measures what is not known yet, variant by variant, and keeps each result at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from edge_runtime import __version__
from edge_runtime.compare.isolate import ask
from edge_runtime.compare.place import describe_cpu
from edge_runtime.compare.rows import apart
from edge_runtime.compare.state import State
from edge_runtime.compare.variants import Variant, compressed_bytes
from edge_runtime.errors import BackendError, ModelError
from edge_runtime.inference.engine import load_engine
from edge_runtime.inference.threads import available_cores
from edge_runtime.telemetry.board import BoardProbe

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUNDS = 5
MAX_SECS = 4.0
"""For one number of threads in one round: a variant of seconds an invoke must not cost an hour."""

Tick = Callable[[str, int, int], None]
"""Takes what is being measured, how many of such measurements are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where results come from and go to."""

    state: State
    engine: str  # "litert", "tflite-runtime"
    engine_version: str
    board: str
    cpu: str
    tick: Tick

    def key(self, kind: str, variant: Variant, *more: object) -> str:
        """Return the key of a result: all that it depends on."""
        versions = f"{self.engine} {self.engine_version} edge-runtime {__version__}"
        return " ".join(map(str, (kind, variant.sha256, versions, self.board, self.cpu, *more)))


def open_bench(state: State, engine: str, tick: Tick) -> Bench:
    """Return the bench of this board.

    Raises:
        ConfigError, BackendMissingError: see `load_engine`.
    """
    found = load_engine(engine)
    return Bench(state, found.name, found.version, BoardProbe().model(), describe_cpu(), tick)


def thread_counts() -> tuple[int, ...]:
    """Return the numbers of threads to compare at: 1, and 2 where there are cores for it."""
    return (1, 2) if available_cores() > 1 else (1,)


def measure_sizes(bench: Bench, variant: Variant) -> int:
    """Return the bytes of the file after zstd."""
    key = f"zstd {variant.sha256}"
    known = bench.state.get(key).get("bytes")
    if isinstance(known, int):
        return known
    found = compressed_bytes(variant.path)
    bench.state.add(key, {"bytes": found})
    return found


def measure_times(
    bench: Bench, variants: Sequence[Variant], *, threads: Sequence[int], num_runs: int
) -> dict[str, dict[str, Any] | str]:
    """Return by name of the variant what its rounds found together, or why there is nothing.

    Each round takes every variant in turn, so that a board that grows hot or busy does so for all of them.

    Args:
        bench: where to keep results.
        variants: what to measure.
        threads: numbers of threads.
        num_runs: invokes for each of them, all rounds together.
    """
    rounds = min(ROUNDS, num_runs)
    failed: dict[str, str] = {}
    keys = {one.name: bench.key("times", one, "threads", *threads, "runs", num_runs) for one in variants}
    for number in range(rounds):
        for at, variant in enumerate(variants, number * len(variants)):
            key, label = keys[variant.name], str(number)
            if variant.name in failed or label in bench.state.get(key):
                continue
            bench.tick(f"times, round {number + 1} of {rounds}: {variant.name}", at, rounds * len(variants))
            try:
                found = ask("invoke_times", variant.path, patience_s=60 + 4 * MAX_SECS * len(threads),
                            engine=bench.engine, threads=list(threads), num_runs=-(-num_runs // rounds),
                            max_secs=MAX_SECS)  # fmt: skip
            except (ModelError, BackendError) as exc:
                failed[variant.name] = str(exc)
                continue
            bench.state.add(key, {label: found})
    return {one.name: failed.get(one.name) or together(bench.state.get(keys[one.name])) for one in variants}


def together(rounds: dict[str, Any]) -> dict[str, Any]:
    """Return the medians over the rounds, all rounds in their order, and how far apart those of one thread were."""
    found = [rounds[number] for number in sorted(rounds, key=int)]  # a run that went on may have filled a gap
    counts = list(found[0]["times"])
    of_rounds = {count: [one["times"][count]["median_ms"] for one in found] for count in counts}
    known = [one["rss_bytes"] for one in found if one["rss_bytes"] is not None]
    return {
        "p50_ms": {int(count): median(of_rounds[count]) for count in counts},
        "p90_ms": {int(count): median(one["times"][count]["p90_ms"] for one in found) for count in counts},
        "rounds_ms": {int(count): tuple(of_rounds[count]) for count in counts},
        "spread": apart(of_rounds[counts[0]]),
        "rss_bytes": int(median(known)) if known else None,
        "backend": found[0]["backend"],
    }


def measure_errors(bench: Bench, variants: Sequence[Variant]) -> dict[str, float | str]:
    """Return by name how far each variant's outputs are from those of the first one, or why that is not known."""
    from edge_runtime.compare.output_error import answers, input_range, relative_error

    parent, span = variants[0], input_range([one.path for one in variants])
    wanted: list[NDArray[Any]] | None = None
    found: dict[str, float | str] = {}
    for at, variant in enumerate(variants[1:]):
        key = bench.key("error", variant, "of", parent.sha256, *span)
        known = bench.state.get(key).get("error")
        if isinstance(known, float):
            found[variant.name] = known
            continue
        bench.tick(f"outputs: {variant.name}", at, len(variants) - 1)
        try:
            wanted = wanted or answers(parent.path, engine=bench.engine, span=span)
            error = relative_error(answers(variant.path, engine=bench.engine, span=span), wanted)
        except (ModelError, BackendError) as exc:
            found[variant.name] = str(exc)
            continue
        bench.state.add(key, {"error": error})
        found[variant.name] = error
    return found


def state_beside(models: Path, *, is_fresh: bool) -> State:
    """Return the state kept in a folder of models.

    Raises:
        OutputError: it cannot be written there.
    """
    from edge_runtime.compare.state import FILE_NAME

    return State(models / FILE_NAME, is_fresh=is_fresh)
