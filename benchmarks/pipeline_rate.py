"""The whole pipeline's rate on a 1280x720 file, divided by the rate of invoke alone with the same threads.

    python -m benchmarks.pipeline_rate --model detect.tflite [--threads 1] [--rounds 5]

Both are measured in turn, round by round, so that a noisy machine disturbs both alike; the median ratio counts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.clips import write_clip
from edge_runtime.bench.measure import measure_invoke, measure_pipeline
from edge_runtime.capture.open import open_source
from edge_runtime.detector import Detector


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--clip", type=Path, help="a video of your own instead of the drawn one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Detector(args.model, num_threads=args.threads) as detector:
        clip = args.clip or write_clip(Path(folder) / "clip.mp4")
        rounds = []
        for _ in range(args.rounds):
            alone = measure_invoke(detector, warmup_runs=20, num_runs=10**6, max_secs=3)
            whole = measure_pipeline(open_source(str(clip)), detector, max_frames=10**6, max_secs=60)
            rate, fps = alone["runs"] / 3, whole["fps"]
            rounds.append((rate, fps))
            print(f"invoke {rate:7.1f}/s   pipeline {fps:7.1f}/s   {fps / rate:.3f}")
    print(json.dumps({"threads": args.threads, "ratio": round(median(fps / rate for rate, fps in rounds), 3)}))


if __name__ == "__main__":
    main()
