"""Pictures to train on, drawn once and kept: scenes as cameras of several shapes see them, at the model's size."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_runtime.capture.scene import make_scene, render
from edge_runtime.vision.preprocess import InputFormat, Preprocessor
from scripts.train.network import INPUT_WH

TRAIN_SEED, HELD_OUT_SEED, CALIBRATION_SEED = 1, 2, 3
"""First numbers of the seeds: what is trained on is never among what is held out."""

FILL = (114.0, 114.0, 114.0)
MOST_SHAPES = 6

_SIZES_WH = ((640, 480), (320, 240), (640, 480), (320, 240), (384, 216), (192, 160))
_MOMENTS_S = (0.0, 2.6, 5.2)  # a scene is looked at more than once: shapes have moved and turned by then


class Pictures(NamedTuple):
    """Images with what is in them."""

    images: NDArray[np.uint8]  # (n, H, W, 3), RGB
    boxes: NDArray[np.float32]  # (n, MOST_SHAPES, 4), xyxy, pixels of the image
    class_ids: NDArray[np.int64]  # (n, MOST_SHAPES), -1 where there is no box


def draw_scene(number: int) -> Pictures:
    """Return the pictures of one scene, one for each moment, made small as the runtime does it."""
    cv2.setNumThreads(1)
    size_wh = _SIZES_WH[number % len(_SIZES_WH)]
    scene = make_scene(size_wh, (TRAIN_SEED, number), jpeg=True)
    preprocessor = Preprocessor(InputFormat(INPUT_WH, np.dtype(np.uint8), fit="letterbox", fill=FILL))
    count = len(_MOMENTS_S)
    images = np.empty((count, INPUT_WH[1], INPUT_WH[0], 3), np.uint8)
    boxes = np.zeros((count, MOST_SHAPES, 4), np.float32)
    class_ids = np.full((count, MOST_SHAPES), -1, np.int64)
    for row, moment in enumerate(_MOMENTS_S):
        frame, truth = render(scene, moment)
        shrunk = preprocessor.shrink(frame)
        images[row] = shrunk.pixels[0]
        boxes[row, : len(truth)] = shrunk.letterbox.to_model(truth.boxes)
        class_ids[row, : len(truth)] = truth.class_ids
    return Pictures(images, boxes, class_ids)


def training_pictures(scenes: int, cache: Path, processes: int) -> Pictures:
    """Return the pictures of so many scenes; drawn the first time, then read from the folder `cache`."""
    kept = cache / f"scenes-{scenes}.npz"
    if not kept.exists():
        with ProcessPoolExecutor(processes) as pool:
            drawn = list(pool.map(draw_scene, range(scenes), chunksize=32))
        whole = Pictures(*(np.concatenate(column) for column in zip(*drawn, strict=True)))
        cache.mkdir(parents=True, exist_ok=True)
        with kept.with_suffix(".part").open("wb") as file:
            np.savez(file, **whole._asdict())
        kept.with_suffix(".part").rename(kept)
    with np.load(kept) as arrays:
        return Pictures(arrays["images"], arrays["boxes"], arrays["class_ids"])


def batches(pictures: Pictures, size: int, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield each picture once, in random order, mirrored and recoloured at random.

    Shapes keep their class in a mirror and in any colour: red and blue may be swapped, and the light may change.

    Yields:
        Images (B, 3, H, W) float32 0 to 1, boxes (B, M, 4) xyxy pixels, class ids (B, M) with -1 for none.
    """
    order = rng.permutation(len(pictures.images))
    for start in range(0, len(order) - size + 1, size):
        rows = order[start : start + size]
        images = torch.from_numpy(pictures.images[rows]).permute(0, 3, 1, 2).float().div_(255)
        boxes, class_ids = torch.from_numpy(pictures.boxes[rows]), torch.from_numpy(pictures.class_ids[rows])
        for axis, side in ((3, INPUT_WH[0]), (2, INPUT_WH[1])):
            turned = torch.from_numpy(rng.random(size) < 0.5)
            images[turned] = images[turned].flip(axis)
            low, high = (0, 2) if axis == 3 else (1, 3)
            mirrored = boxes.clone()
            mirrored[..., low], mirrored[..., high] = side - boxes[..., high], side - boxes[..., low]
            boxes = torch.where(turned[:, None, None], mirrored, boxes)
        images = images[:, torch.from_numpy(rng.permutation(3))]
        light = torch.from_numpy(rng.uniform(0.8, 1.2, (size, 1, 1, 1)).astype(np.float32))
        yield (images * light).clamp_(0, 1), boxes, class_ids
