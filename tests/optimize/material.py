"""A tiny float detector whose answers are known, and pictures for it.

Each cell of 8x8 pixels is a box around its middle; its score for "bright" is the brightness of the cell, for "dark" the
rest to 1. So a picture with a bright square has a detection there, in the float model and in every good variant.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np

from tests.factory.graph import Graph

SIDE, CELL = 48, 8
CELLS = (SIDE // CELL) ** 2
SIDECAR = 'decoder = "fcos"\nstrides = [8]\nlabels = ["bright"]\nfit = "stretch"\n'


def write_detector(path: Path, *, packed_sidecar: bool = True, reach: float = 1.2) -> Path:
    """Write the detector; return `path`.

    Args:
        path: where to.
        packed_sidecar: put what it needs to be decoded inside.
        reach: of the boxes, from the middle of their cell, in cells.
    """
    graph = Graph()
    random = np.random.default_rng(0)
    image = graph.tensor("image", (1, SIDE, SIDE, 3), "float32")
    strides = {"strideH": CELL, "strideW": CELL}
    side = SIDE // CELL

    def head(name: str, kernel: np.ndarray, bias: list[float]) -> int:
        channels = len(bias)
        grid = graph.tensor(f"{name}/grid", (1, side, side, channels), "float32")
        inputs = [
            image,
            graph.constant(f"{name}/kernel", kernel, "float32"),
            graph.constant(f"{name}/bias", bias, "float32"),
        ]
        graph.operator("CONV_2D", inputs, [grid], padding=1, **strides)
        end = graph.tensor(name, (1, CELLS, channels), "float32")
        shape = graph.constant(f"{name}/shape", [1, CELLS, channels], "int32")
        graph.operator("RESHAPE", [grid, shape], [end], newShape=[1, CELLS, channels])
        return end

    wobble = random.normal(0, 2e-4, (4, CELL, CELL, 3))
    mean = np.full((1, CELL, CELL, 3), 1 / (CELL * CELL * 3)) * random.uniform(0.9, 1.1, (1, CELL, CELL, 3))
    ends = {"boxes": head("boxes", wobble, [reach] * 4), "scores": head("scores", mean, [0.0])}
    graph.set_ends([image], list(ends.values()))
    graph.add_signature("serving_default", {"image": image}, ends)
    graph.write(path)
    if packed_sidecar:
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("edge-runtime.toml", SIDECAR)
    return path


def write_pictures(folder: Path, count: int) -> Path:
    """Write pictures of soft noise with a bright square each; return the folder."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:03}.png"), picture(number))
    return folder


def picture(number: int) -> np.ndarray:
    random = np.random.default_rng(number)
    image = cv2.GaussianBlur(random.integers(0, 120, (SIDE, SIDE, 3)).astype(np.uint8), (0, 0), 2)
    x, y = random.integers(0, SIDE // CELL, 2) * CELL
    image[y : y + CELL, x : x + CELL] = random.integers(180, 250)
    return image
