"""Pictures with known truth: from a folder, and drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from edge_runtime.capture.scene import SHAPES, make_scene, render
from edge_runtime.errors import CaptureError, ConfigError
from edge_runtime.evaluate.dataset import load_coco, scenes


def write_coco(folder: Path, numbers: Sequence[int] = (1, 2, 3), *, stated_wh: tuple[int, int] = (40, 30)) -> Path:
    """Write 40x30 pictures and their annotations, a box in each but the last; return the annotation file."""
    images = folder / "images"
    images.mkdir()
    for number in numbers:
        cv2.imwrite(str(images / f"{number}.png"), np.full((30, 40, 3), number, np.uint8))
    width, height = stated_wh
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": width, "height": height} for n in numbers],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": n, "image_id": n, "category_id": 1, "bbox": [1, 2, 3, 4]} for n in numbers[:-1]],
    }
    (folder / "truth.json").write_text(json.dumps(content))
    return folder / "truth.json"


def test_the_pictures_of_the_file_are_read_in_its_order(tmp_path: Path) -> None:
    dataset = load_coco(tmp_path / "images", write_coco(tmp_path, (3, 1, 2)))
    assert (dataset.name, [item.id for item in dataset.items]) == ("truth", [3, 1, 2])
    assert [dataset.read(item)[0, 0, 0] for item in dataset.items] == [3, 1, 2]
    assert [row["image_id"] for row in dataset.annotations] == [3, 1]


def test_a_limit_takes_the_first_pictures_and_their_boxes_alone(tmp_path: Path) -> None:
    """A box of a picture that is left out would count as missed; a picture left out may be missing."""
    file = write_coco(tmp_path)
    (tmp_path / "images" / "3.png").unlink()
    dataset = load_coco(tmp_path / "images", file, limit=1)
    assert ([item.id for item in dataset.items], len(dataset.annotations)) == ([1], 1)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_leaves_nothing_is_an_error(tmp_path: Path, limit: int) -> None:
    with pytest.raises(ConfigError, match=f"--limit {limit} leaves 0 of the 3 pictures"):
        load_coco(tmp_path / "images", write_coco(tmp_path), limit=limit)


def test_pictures_that_are_missing_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    file = write_coco(tmp_path)
    for number in (2, 3):
        (tmp_path / "images" / f"{number}.png").unlink()
    with pytest.raises(CaptureError, match=r"2 of 3 pictures .* missing, the first is 2\.png"):
        load_coco(tmp_path / "images", file)


def test_a_folder_without_pictures_is_said_to_be_one(tmp_path: Path) -> None:
    """The wrong folder is the commonest mistake of all."""
    file = write_coco(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CaptureError, match="empty: no pictures are in this folder"):
        load_coco(tmp_path / "empty", file)
    with pytest.raises(ConfigError, match="none: there is no such folder"):
        load_coco(tmp_path / "none", file)
    with pytest.raises(ConfigError, match=f"{file.name}: is no folder"):
        load_coco(file, file)


def test_pictures_may_lie_in_folders_inside(tmp_path: Path) -> None:
    file = write_coco(tmp_path)
    (tmp_path / "all").mkdir()
    (tmp_path / "images").rename(tmp_path / "all" / "images")
    content = json.loads(file.read_text())
    for row in content["images"]:
        row["file_name"] = f"images/{row['file_name']}"
    file.write_text(json.dumps(content))
    dataset = load_coco(tmp_path / "all", file)
    assert dataset.read(dataset.items[1])[0, 0, 0] == 2


@pytest.mark.parametrize(
    ("stated_wh", "said"), [((41, 30), "is 40x30, the annotations say 41x30: boxes"), ((30, 40), "its EXIF turns it")]
)  # fmt: skip
def test_a_picture_of_another_size_is_refused(tmp_path: Path, stated_wh: tuple[int, int], said: str) -> None:
    """Pictures made smaller after they were annotated give a figure that is wrong and looks right."""
    dataset = load_coco(tmp_path / "images", write_coco(tmp_path, stated_wh=stated_wh))
    with pytest.raises(CaptureError, match=said):
        dataset.read(dataset.items[0])


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    """It is no warning, as in a run: left out, it would change the figure."""
    dataset = load_coco(tmp_path / "images", write_coco(tmp_path))
    (tmp_path / "images" / "2.png").write_bytes(b"\x89PNG\r\n and no more")
    with pytest.raises(CaptureError, match=r"2\.png: damaged"):
        dataset.read(dataset.items[1])


def test_scenes_are_the_same_each_time_and_their_truth_is_the_drawn_one() -> None:
    dataset, again = scenes(3, seed=5, size_wh=(160, 120)), scenes(3, seed=5, size_wh=(160, 120))
    assert [(one.id, one.name) for one in dataset.categories] == list(enumerate(SHAPES, 1))
    image = dataset.read(dataset.items[2])
    assert (image.shape, image.dtype) == ((120, 160, 3), np.uint8)
    assert_array_equal(image, again.read(again.items[2]))
    drawn, truth = render(make_scene((160, 120), (5, 2), jpeg=True), 0.0)
    assert_array_equal(image, drawn)
    rows = [row for row in dataset.annotations if row["image_id"] == 2]
    assert [row["category_id"] - 1 for row in rows] == truth.class_ids.tolist()
    x1, y1, x2, y2 = truth.boxes[0].tolist()
    assert rows[0]["bbox"] == [x1, y1, x2 - x1, y2 - y1]


def test_the_truth_of_scenes_does_not_depend_on_what_was_read() -> None:
    read, unread = scenes(3, size_wh=(160, 120)), scenes(3, size_wh=(160, 120))
    for item in reversed(read.items):
        read.read(item)
    assert read.annotations == unread.annotations
    assert [row["id"] for row in read.annotations] == list(range(1, len(read.annotations) + 1))
    assert {row["image_id"] for row in read.annotations} == {0, 1, 2}


def test_another_seed_draws_other_scenes() -> None:
    one, other = scenes(1, seed=2, size_wh=(160, 120)), scenes(1, seed=3, size_wh=(160, 120))
    assert one.annotations != other.annotations


@pytest.mark.parametrize("wrong", [{"count": 0}, {"count": 1, "seed": -1}, {"count": 1, "size_wh": (16, 160)}])
def test_scenes_that_cannot_be_drawn_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError, match="scenes: "):
        scenes(**wrong)
