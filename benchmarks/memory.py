"""Resident memory of the headless run, minus that of a bare interpreter with cv2 holding the same model.

    python -m benchmarks.memory --model detect.tflite [--frames 20000]

Each side is a process of its own on the same 1280x720 pictures. The runtime's memory is read at its first report
and at its last, so that growth shows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

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
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        picture = _pictures(folder)
        bare = int(subprocess.check_output([sys.executable, "-c", BARE, args.model, str(picture)]))
        first, last = _run(args.model, folder, args.frames)
    report = {
        "bare_mb": round(bare / 1e6, 1),
        "run_mb": round(last / 1e6, 1),
        "added_mb": round((last - bare) / 1e6, 1),
        "growth_mb": round((last - first) / 1e6, 1),
        "frames": args.frames,
    }
    print(json.dumps(report))


def _pictures(folder: Path) -> Path:
    """Write one drawn picture many times over by links, and return the first: a source of many frames on no disk."""
    import cv2

    from edge_runtime.capture.scene import SceneSource

    with SceneSource(size_wh=(1280, 720), frames=1) as scenes:
        frame = next(iter(scenes))
    first = folder / "picture.bmp"
    cv2.imwrite(str(first), frame.image)
    return first


def _run(model: str, folder: Path, frames: int) -> tuple[int, int]:
    """Return the bytes of the runtime after its first report and at its end."""
    telemetry = folder / "telemetry.jsonl"
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(frames):
        (pictures / f"{number:06}.bmp").symlink_to(folder / "picture.bmp")
    command = [
        sys.executable, "-m", "edge_runtime", "run", "-q", "--headless", "--model", model, "--num-threads", "1",
        "--source", str(pictures), "--log", str(folder / "log.jsonl"),
        "--telemetry", str(telemetry), "--telemetry-interval", "2",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    records = [json.loads(line) for line in telemetry.read_text().splitlines()]
    return records[0]["rss_bytes"], records[-1]["rss_bytes"]


if __name__ == "__main__":
    main()
