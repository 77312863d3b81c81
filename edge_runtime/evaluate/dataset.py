"""Pictures with known truth: a folder with an annotation file, or scenes drawn when they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.capture.images import find_images, read_image
from edge_runtime.capture.scene import SHAPES, make_scene, render
from edge_runtime.detections import Detections
from edge_runtime.errors import CaptureError, ConfigError
from edge_runtime.evaluate.truth import Category, Item, Truth, read_truth

__all__ = ["Category", "Dataset", "Item", "load_coco", "scenes"]


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Pictures and what is in them; a picture is read or drawn each time it is asked for."""

    name: str
    categories: tuple[Category, ...]  # by id
    items: tuple[Item, ...]
    reader: Callable[[Item], NDArray[np.uint8]]
    truth: Callable[[], list[dict[str, Any]]]

    @property
    def annotations(self) -> list[dict[str, Any]]:
        """What is in the pictures, as COCO's rows: id, image_id, category_id, bbox (x, y, w, h), area, iscrowd.

        Drawn scenes that were not read yet are drawn now.
        """
        return self.truth()

    def read(self, item: Item) -> NDArray[np.uint8]:
        """Return a picture, (H, W, 3) uint8 BGR.

        Raises:
            CaptureError: it cannot be read, or is of another size than stated.
        """
        return self.reader(item)


def load_coco(images: Path, annotations: Path, limit: int | None = None) -> Dataset:
    """Return the pictures that an annotation file in COCO's form lists.

    Args:
        images: the folder of the pictures.
        annotations: the file.
        limit: take the first so many pictures of the file; None takes all.

    Raises:
        ConfigError: the file is wrong, the folder is none, or the limit leaves nothing.
        CaptureError: pictures are missing in it.
    """
    _check_folder(images)
    truth = read_truth(annotations)
    if limit is not None:
        truth = _first(truth, limit, annotations)
    _check_presence(images, truth.items)
    return Dataset(
        annotations.stem,
        truth.categories,
        truth.items,
        reader=lambda item: _read(images, item),
        truth=lambda: truth.annotations,
    )


def _check_folder(images: Path) -> None:
    if not images.is_dir():
        what = "is no folder" if images.exists() else "there is no such folder"
        raise ConfigError(f"{images}: {what}; give the folder of the pictures that the annotations list")
    if not find_images(str(images)) and not any(one.is_dir() for one in images.iterdir()):
        raise CaptureError(f"{images}: no pictures are in this folder; give the one that the annotations are for")


def _first(truth: Truth, limit: int, path: Path) -> Truth:
    items = truth.items[: max(0, limit)]
    kept = {item.id for item in items}
    annotations = [row for row in truth.annotations if row["image_id"] in kept]
    if not annotations:
        raise ConfigError(
            f"{path}: --limit {limit} leaves {len(items)} of the {len(truth.items)} pictures and no box in them; "
            "raise it"
        )
    return replace(truth, items=items, annotations=annotations)


def _check_presence(images: Path, items: tuple[Item, ...]) -> None:
    missing = [item.file_name for item in items if not (images / item.file_name).is_file()]
    if missing:
        raise CaptureError(
            f"{images}: {len(missing)} of {len(items)} pictures that the annotations list are missing, the first is "
            f"{missing[0]}; give the folder they are in, or take fewer with --limit"
        )


def _read(images: Path, item: Item) -> NDArray[np.uint8]:
    path = images / item.file_name
    image = read_image(path)
    height, width = image.shape[:2]
    if (width, height) != (item.width, item.height):
        turned = (height, width) == (item.width, item.height)
        advice = "its EXIF turns it" if turned else "boxes would be in the wrong place"
        raise CaptureError(
            f"picture {path}: is {width}x{height}, the annotations say {item.width}x{item.height}: {advice}; "
            "give the pictures that the annotations were made on"
        )
    return image


def scenes(count: int, *, seed: int = 2, size_wh: tuple[int, int] = (640, 480)) -> Dataset:
    """Return drawn scenes; scene i of a seed is always the same.

    Each is drawn when it is read, and its truth, which falls out of that, is kept.

    Raises:
        ConfigError: there are none, or they are too small to draw.
    """
    if count < 1 or seed < 0 or min(size_wh) < 32:
        raise ConfigError(
            f"scenes: {count} of {size_wh[0]}x{size_wh[1]}, seed {seed}; allowed are 1 or more, from 32x32, "
            "and seeds from 0"
        )
    width, height = size_wh
    items = tuple(Item(number, f"scene-{seed}-{number}.png", width, height) for number in range(count))
    known: dict[int, Detections] = {}

    def read(item: Item) -> NDArray[np.uint8]:
        image, found = render(make_scene(size_wh, (seed, item.id), jpeg=True), 0.0)
        known[item.id] = found
        return image

    def truth() -> list[dict[str, Any]]:
        for item in items:
            if item.id not in known:
                read(item)
        return _numbered([row for item in items for row in _truth_rows(item.id, known[item.id])])

    categories = tuple(Category(number, name) for number, name in enumerate(SHAPES, 1))
    return Dataset(f"drawn scenes, seed {seed}", categories, items, read, truth)


def _truth_rows(image_id: int, found: Detections) -> list[dict[str, Any]]:
    rows = []
    for (x1, y1, x2, y2), class_id in zip(found.boxes.tolist(), found.class_ids.tolist(), strict=True):
        width, height = x2 - x1, y2 - y1
        rows.append(
            {"image_id": image_id, "category_id": class_id + 1, "bbox": [x1, y1, width, height],
             "area": width * height, "iscrowd": 0}
        )  # fmt: skip
    return rows


def _numbered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": number, **row} for number, row in enumerate(rows, 1)]
