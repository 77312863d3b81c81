"""Pictures that say their own number, and a detector that finds in each what a test wants."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge_runtime.detector import Detector
from edge_runtime.evaluate.dataset import Category, Dataset, Item
from edge_runtime.inference import Quantization, TensorSpec
from edge_runtime.inference.fake import FakeBackend
from edge_runtime.model.labels import Labels
from edge_runtime.model.spec import ModelSpec

WIDTH, HEIGHT = 400, 200
Row = tuple[float, tuple[float, float, float, float], int]
"""Score, box as x, y, width, height in pixels, class."""

SPEC = ModelSpec(
    decoder="ssd_postprocess", size_wh=(40, 20), is_nchw=False, color="rgb", mean=None, std=None, fit="stretch",
    fill=(0.0, 0.0, 0.0), roles={"boxes": 0, "classes": 1, "scores": 2, "count": 3}, labels=Labels(("cat", "dog")),
)  # fmt: skip


def make_detector(found: Mapping[int, Sequence[Row]], spec: ModelSpec = SPEC, *, is_in_order: bool = False) -> Detector:
    """Return a detector that finds these rows in picture 0, 1, 2 ...

    It reads the number off the grey of a pixel, or counts the pictures where they come in order.
    """
    calls = itertools.count()
    float32, rows = np.dtype("float32"), max([1, *(len(each) for each in found.values())])
    shapes = {"boxes": (1, rows, 4), "classes": (1, rows), "scores": (1, rows), "count": (1,)}

    def script(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        answer = {name: np.zeros(shape, float32) for name, shape in shapes.items()}
        here = found.get(next(calls) if is_in_order else int(inputs[0][0, 0, 0, 0]), ())
        for place, (score, (x, y, width, height), class_id) in enumerate(here):
            answer["boxes"][0, place] = y / HEIGHT, x / WIDTH, (y + height) / HEIGHT, (x + width) / WIDTH
            answer["classes"][0, place], answer["scores"][0, place] = class_id, score
        answer["count"][0] = len(here)
        return list(answer.values())

    picture = TensorSpec("image", (1, 20, 40, 3), np.dtype("uint8"), Quantization(1 / 128, 128))
    outputs = [TensorSpec(name, shape, float32) for name, shape in shapes.items()]
    return Detector.from_backend(FakeBackend([picture], outputs, script), spec, score_threshold=0.001)


def make_dataset(
    annotations: Sequence[Mapping[str, Any]],
    *,
    pictures: int = 1,
    categories: Sequence[Category] = (Category(1, "cat"), Category(2, "dog")),
) -> Dataset:
    """Return grey pictures 0, 1, 2 ... with these annotations; what a row leaves out is filled in."""
    rows = [
        {"id": number, "image_id": 0, "iscrowd": 0, "area": row["bbox"][2] * row["bbox"][3], **row}
        for number, row in enumerate(annotations)
    ]
    return Dataset(
        "grey", tuple(categories), tuple(Item(number, f"{number}.png", WIDTH, HEIGHT) for number in range(pictures)),
        lambda item: np.full((HEIGHT, WIDTH, 3), item.id, np.uint8), lambda: rows,
    )  # fmt: skip
