"""How many threads an interpreter should have: measured on this board, not guessed from its core count."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from edge_runtime.inference import Backend
from edge_runtime.inference.verdicts import NamedEngine, model_key, recall, remember

log = logging.getLogger(__name__)

WORTH = 0.9
"""More threads must bring the invoke below this share of the time of fewer: each one takes a core from the rest."""
BUDGET_NS = 300_000_000
MOST_RUNS = 15


def available_cores(root: Path = Path("/")) -> int:
    """Return how many cores this process may use: those it may run on, and of these what its time allows.

    Threads beyond the allowance make the kernel stop all of them for the rest of each period.
    """
    quota = cpu_quota(root)
    cores = len(os.sched_getaffinity(0))
    return cores if quota is None else max(1, min(cores, int(quota)))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return the cores' worth of time that the control groups of this process allow; None where they set no limit.

    systemd's CPUQuota and a container's --cpus set it. Source: kernel documentation, cgroup-v2, cpu.max.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    group = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    top = root / "sys/fs/cgroup"
    groups = [top.joinpath(*group.split("/")[:depth]) for depth in range(len(group.split("/")) + 1)]
    return min((quota for one in groups if (quota := _read_quota(one / "cpu.max")) is not None), default=None)


def _read_quota(file: Path) -> float | None:
    """Return 1.5 for "150000 100000" (microseconds in each period); None for "max 100000" and where nothing is."""
    try:
        most, period = file.read_text().split()
        return int(most) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def thread_choices(cores: int) -> list[int]:
    """Return the thread counts worth a try: powers of two up to the cores, and the cores themselves."""
    return sorted({2**power for power in range(cores.bit_length()) if 2**power <= cores} | {cores})


def pick(medians_ns: Mapping[int, float]) -> int:
    """Return the smallest thread count that no larger one beats by enough to be worth its cores."""
    best = min(medians_ns)
    for count in sorted(medians_ns):
        if medians_ns[count] < WORTH * medians_ns[best]:
            best = count
    return best


def choose_threads(model: Path, engine: NamedEngine, reopen: Callable[[int], Backend], folder: Path | None) -> int:
    """Return the thread count for this model here, from the folder's memory or from a short measurement.

    Args:
        model: the file, for the key of the memory.
        engine: what runs it.
        reopen: opens the model with so many threads.
        folder: where verdicts are kept; None: nowhere.
    """
    cores = available_cores()
    if cores == 1:
        return 1
    key = model_key(model, engine, cores)
    known = recall(folder, key).get("num_threads")
    if isinstance(known, int) and 1 <= known <= cores:
        log.info("threads recalled num_threads=%d model=%s", known, model.name)
        return known
    medians_ns = {count: _measure(reopen, count) for count in thread_choices(cores)}
    chosen = pick(medians_ns)
    measured = " ".join(f"{count}:{ns / 1e6:.1f}ms" for count, ns in medians_ns.items())
    log.info("threads measured num_threads=%d model=%s invoke=%s", chosen, model.name, measured)
    remember(folder, key, {"num_threads": chosen})
    return chosen


def _measure(reopen: Callable[[int], Backend], count: int, clock: Callable[[], int] = time.perf_counter_ns) -> float:
    """Return the median nanoseconds of an invoke with so many threads."""
    backend = reopen(count)
    try:
        inputs = [np.zeros(spec.shape, spec.dtype) for spec in backend.inputs]
        backend.invoke(inputs)  # warm-up: the first one builds what the later ones use
        times: list[int] = []
        while len(times) < 3 or (len(times) < MOST_RUNS and sum(times) < BUDGET_NS):
            start = clock()
            backend.invoke(inputs)
            times.append(clock() - start)
        return float(np.median(times))
    finally:
        backend.close()
