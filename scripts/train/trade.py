"""What dense convolutions cost and bring: the network beside its depthwise-separable twin, as floats and integers.

    python -m scripts.train.trade

Weights are random: time and size do not depend on them. Prints a row for each of the four models; the runs of all
four are interleaved, and the medians of several rounds count.
"""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from statistics import median

import torch
from torch import nn

from edge_runtime.bench.measure import measure_invoke
from edge_runtime.detector import Detector
from edge_runtime.optimize.run import optimize
from scripts.train.network import ShapeDetector
from scripts.train.stages import export_network

ROUNDS, RUNS = 7, 60


def separable(network: nn.Module) -> nn.Module:
    """Return a copy whose dense 3x3 convolutions, but for the first, are depthwise ones followed by 1x1 ones."""
    twin = copy.deepcopy(network)
    for block in [part for part in twin.modules() if isinstance(part, nn.Sequential)]:
        for name, layer in block.named_children():
            if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3) and layer.in_channels > 3:
                block[int(name)] = _split(layer)
    return twin.eval()


def _split(layer: nn.Conv2d) -> nn.Sequential:
    channels = layer.in_channels
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, layer.stride, 1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU6(),
        nn.Conv2d(channels, layer.out_channels, 1, bias=False),
    )


def main() -> None:
    dense = ShapeDetector().eval()
    networks = {"dense": dense, "depthwise": separable(dense)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {}
        for kind, network in networks.items():
            files[f"{kind} float"] = export_network(network, folder / f"{kind}.tflite")
            (made,) = optimize(folder / f"{kind}.tflite", "int8", folder, calibration="scene")
            files[f"{kind} int8"] = made.path
        times: dict[str, list[float]] = {kind: [] for kind in files}
        for _ in range(ROUNDS):
            for kind, file in files.items():
                with Detector(file, num_threads=1) as detector:
                    found = measure_invoke(detector, warmup_runs=5, num_runs=RUNS, max_secs=10)
                    times[kind].append(found["median_ms"])
        print(f"{'model':<18}{'parameters':>12}{'bytes':>12}{'ms':>8}")
        for kind, file in files.items():
            count = sum(part.numel() for part in networks[kind.split()[0]].parameters())
            print(f"{kind:<18}{count:>12,}{file.stat().st_size:>12,}{median(times[kind]):>8.2f}")


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
