"""Resident memory of the headless run, minus that of a bare interpreter with cv2 holding the same model.

    python -m benchmarks.memory --model detect.tflite [--frames 20000] [--size 1280x720] [--threads 1|auto]

Each side is a process of its own on JPEG, which is what most cameras send: one picture, and a video of so many frames
(20,000 of 640x480 take 0.4 GB of disk for the while). The runtime's memory is the median of its reports; its growth
is the median of the last tenth of them less that of the second.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.capture.scene import SceneSource
from edge_runtime.frame import Frame

BARE = """
import sys, cv2, numpy, psutil
from edge_runtime.inference.engine import load_engine
interpreter = load_engine().interpreter(model_path=sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
source, = interpreter.get_input_details()
picture = cv2.imread(sys.argv[2])
_, height, width, _ = source["shape"]
for _ in range(50):
    small = cv2.cvtColor(cv2.resize(picture, (int(width), int(height))), cv2.COLOR_BGR2RGB)
    interpreter.set_tensor(source["index"], small[None].astype(source["dtype"]))
    interpreter.invoke()
print(psutil.Process().memory_info().rss)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--frames", type=int, default=20000)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--threads", default="1")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        picture, video = Path(name) / "picture.jpg", Path(name) / "video.avi"
        scene = _scene(args.size).image
        cv2.imwrite(str(picture), scene)
        _video(video, scene, args.frames)
        bare = int(subprocess.check_output([sys.executable, "-c", BARE, args.model, str(picture)]))
        found = _run(args.model, video, args.threads)
    tenth = max(1, len(found) // 10)
    report = {
        "bare_mb": round(bare / 1e6, 1),
        "run_mb": round(median(found) / 1e6, 1),
        "added_mb": round((median(found) - bare) / 1e6, 1),
        "growth_mb": round((median(found[-tenth:]) - median(found[tenth : 2 * tenth] or found)) / 1e6, 1),
        "size": args.size,
        "threads": args.threads,
        "frames": args.frames,
    }
    print(json.dumps(report))


def _scene(size: str) -> Frame:
    """Return one drawn picture."""
    width, _, height = size.partition("x")
    with SceneSource(size_wh=(int(width), int(height)), frames=1) as scenes:
        return next(iter(scenes))


def _video(path: Path, picture: NDArray[np.uint8], frames: int) -> None:
    """Write so many frames of JPEG."""
    height, width, _ = picture.shape
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30, (width, height))
    for _ in range(frames):
        writer.write(picture)
    writer.release()


def _run(model: str, video: Path, threads: str) -> list[int]:
    """Return the bytes of the runtime at each report."""
    telemetry = video.with_name("telemetry.jsonl")
    command = [
        sys.executable, "-m", "edge_runtime", "run", "-q", "--headless", "--model", model, "--num-threads", threads,
        "--source", str(video), "--log", str(video.with_name("log.jsonl")),
        "--telemetry", str(telemetry), "--telemetry-interval", "0.5",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    records = [json.loads(line) for line in telemetry.read_text().splitlines()]
    return [record["rss_bytes"] for record in records if record["scope"] == "period"]


if __name__ == "__main__":
    main()
