"""What the runtime adds to a live frame: capture-to-result p95 minus invoke p95, on a source paced at 30 a second.

python -m benchmarks.live_latency --model detect.tflite [--threads 1] [--fps 15] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import threading
from statistics import median, quantiles

from edge_runtime.bench.measure import measure_pipeline
from edge_runtime.capture.paced import PacedSource
from edge_runtime.capture.replay import ReplaySource
from edge_runtime.capture.scene import SceneSource
from edge_runtime.clock import NS_PER_MS, NS_PER_S, now_ns
from edge_runtime.detector import Detector


class Timer:
    """Waits, and knows how much too long."""

    def __init__(self) -> None:
        self._late_ns: list[float] = []
        self._never = threading.Event()

    def wait(self, seconds: float) -> bool:
        start_ns = now_ns()
        self._never.wait(seconds)
        self._late_ns.append(now_ns() - start_ns - seconds * NS_PER_S)
        return False

    def late_p95_ms(self) -> float:
        return quantiles(self._late_ns, n=20)[-1] / NS_PER_MS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with SceneSource(size_wh=(1280, 720), frames=30) as scenes:
        images = [frame.image for frame in scenes]
    added_ms = []
    with Detector(args.model, num_threads=args.threads) as detector:
        for _ in range(args.rounds):
            timer = Timer()
            source = PacedSource(ReplaySource(images, 10**6), fps=args.fps, wait=timer.wait)
            found = measure_pipeline(source, detector, max_frames=int(args.fps * 8), max_secs=60)
            latency, invoke = found["latency_ms"]["p95"], found["stages_ms"]["invoke"]["p95"]
            added_ms.append(latency - invoke)
            print(
                f"capture to result p95 {latency:.2f} ms   invoke p95 {invoke:.2f} ms   "
                f"added {latency - invoke:.2f} ms   timer late p95 {timer.late_p95_ms():.2f} ms"
            )
    print(json.dumps({"threads": args.threads, "added_p95_ms": round(median(added_ms), 2)}))


if __name__ == "__main__":
    main()
