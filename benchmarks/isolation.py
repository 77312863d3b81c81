"""What a backend in a child process costs over the same one in this process: milliseconds an invoke, and memory.

    python -m benchmarks.isolation --model detect.tflite [--runs 300] [--threads 1]

Both are open at once and invoked in turn, so that a board that gets warm or busy slows both. The time that isolation
adds is the median of the differences within each pair, invoked on the same noise. The memory is proportional set size
(PSS), in which shared libraries count once: that of a process that holds the model, and that of a parent and its child.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter_ns

import numpy as np

HOLD = """
import sys, numpy
from pathlib import Path
from edge_runtime.inference.select import open_backend
backend = open_backend(Path(sys.argv[1]), "cpu", num_threads=int(sys.argv[2]), isolation=sys.argv[3])
inputs = [numpy.zeros(spec.shape, spec.dtype) for spec in backend.inputs]
for _ in range(20):
    backend.invoke(inputs)
print("ready", flush=True)
sys.stdin.read()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    thread_mb, process_mb = (held_mb(args.model, args.threads, how) for how in ("thread", "process"))
    times = invoke_times(args.model, args.threads, args.runs)
    print(json.dumps({
        "model": args.model.name, "threads": args.threads, "runs": args.runs, **times,
        "thread_pss_mb": round(thread_mb, 1), "process_pss_mb": round(process_mb, 1),
        "added_pss_mb": round(process_mb - thread_mb, 1),
    }))  # fmt: skip


def invoke_times(model: Path, threads: int, runs: int) -> dict[str, float]:
    """Return milliseconds: the median of each way, of the difference in each pair, and the difference of the shortest.

    The last one says most on a machine that has other things to do.
    """
    from edge_runtime.inference.isolated import IsolatedBackend
    from edge_runtime.inference.opening import Order, open_here

    order = Order(model, "cpu", num_threads=threads)
    child, here = IsolatedBackend(order).open(), open_here(order)
    noise = np.random.default_rng(0)
    pairs = []
    for number in range(runs + 20):
        inputs = [noise.integers(0, 100, spec.shape).astype(spec.dtype) for spec in here.inputs]
        ways = [here, child] if number % 2 else [child, here]  # whoever is second finds a warm cache
        times = {}
        for way in ways:
            start = perf_counter_ns()
            way.invoke(inputs)
            times[way] = (perf_counter_ns() - start) / 1e6
        pairs.append((times[here], times[child]))
    child.close()
    differences = [isolated - plain for plain, isolated in pairs[20:]]
    plain_ms, isolated_ms = zip(*pairs[20:], strict=True)
    return {
        "thread_ms": round(median(plain_ms), 3),
        "process_ms": round(median(isolated_ms), 3),
        "added_ms": round(median(differences), 3),
        "added_to_shortest_ms": round(min(isolated_ms) - min(plain_ms), 3),
    }


def held_mb(model: Path, threads: int, how: str) -> float:
    """Return the proportional set size of a process that holds the model this way, with its children."""
    command = [sys.executable, "-c", HOLD, str(model), str(threads), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        found = sum(pss_mb(int(pid)) for pid in (process.pid, *children))
        process.communicate()
    return found


def pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


if __name__ == "__main__":
    main()
