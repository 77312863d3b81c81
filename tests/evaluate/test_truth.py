"""An annotation file: each way to be wrong has one clear line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.errors import ConfigError
from edge_runtime.evaluate.truth import Category, Item, read_truth


def table(**changes: Any) -> dict[str, Any]:
    """Return a file of one picture with one box."""
    return {
        "images": [{"id": 7, "file_name": "a.png", "width": 40, "height": 30}],
        "categories": [{"id": 2, "name": "dog"}, {"id": 1, "name": " cat ", "supercategory": "pet"}],
        "annotations": [{"id": 5, "image_id": 7, "category_id": 2, "bbox": [1, 2, 10, 20], "segmentation": [[1, 2]]}],
        **changes,
    }


def box(**changes: Any) -> dict[str, Any]:
    return {"id": 5, "image_id": 7, "category_id": 2, "bbox": [1, 2, 10, 20], **changes}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Any], Path]:
    def write(content: Any) -> Path:
        path = tmp_path / "truth.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    return write


def test_a_file_is_read_without_what_is_not_needed(write: Callable[[Any], Path]) -> None:
    """Outlines are most of the 20 MB of COCO's own file."""
    truth = read_truth(write(table()))
    assert truth.categories == (Category(1, "cat"), Category(2, "dog"))
    assert truth.items == (Item(7, "a.png", 40, 30),)
    [row] = truth.annotations
    assert row == {"id": 5, "image_id": 7, "category_id": 2, "bbox": [1, 2, 10, 20], "area": 200, "iscrowd": 0}


def test_crowd_and_area_are_taken_over(write: Callable[[Any], Path]) -> None:
    [row] = read_truth(write(table(annotations=[box(iscrowd=1, area=55.5)]))).annotations
    assert (row["iscrowd"], row["area"]) == (1, 55.5)


def test_an_empty_box_is_allowed(write: Callable[[Any], Path]) -> None:
    """COCO's own files have some."""
    assert read_truth(write(table(annotations=[box(bbox=[3, 3, 0, 8])]))).annotations[0]["area"] == 0


IMAGE = {"id": 7, "file_name": "a.png", "width": 40, "height": 30}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xd8\xff\xe0", "is not JSON"),
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        ([1, 2], "is not in COCO's form, it has no list 'images'"),
        ({"images": []}, "the list 'images' is empty"),
        ({"images": [IMAGE], "annotations": 3}, "it has no list 'annotations'"),
        (table(annotations=[]), "the list 'annotations' is empty"),
        (table(images=[]), "the list 'images' is empty"),
        (table(categories=[]), "the list 'categories' is empty"),
        (table(images=[IMAGE, IMAGE]), "images: the id 7 is there more than once"),
        (table(categories=[{"id": 2, "name": "a"}, {"id": 2, "name": "b"}]), "categories: the id 2 is there more"),
        (table(images=["a.png"]), r"images\[0\] is 'a.png', an object is needed"),
        (table(images=[{**IMAGE, "width": 0}]), r"images\[0\] \(id 7\): width is 0, a whole number from 1"),
        (table(images=[{**IMAGE, "id": "7"}]), "id is '7', a whole number from 0"),
        (table(images=[{**IMAGE, "file_name": None}]), "file_name is None"),
        (table(images=[{"id": 7, "file_name": "a.png"}]), "'width' is missing"),
        (table(categories=[{"id": 2, "name": ""}]), "name is ''"),
        (table(annotations=[box(bbox=[1, 2, 3])]), r"annotations\[0\] \(id 5\): bbox is \[1, 2, 3\], four finite"),
        (table(annotations=[box(bbox=[1, 2, float("nan"), 4])]), "nan.*four finite numbers"),
        (table(annotations=[box(bbox=[1, 2, float("inf"), 4])]), "inf.*four finite numbers"),
        (table(annotations=[box(bbox=[1, 2, 10**400, 4])]), "annotations"),
        (table(annotations=[box(bbox=[1, 2, -3, 4])]), "has a negative size"),
        (table(annotations=[box(bbox=["1", 2, 3, 4])]), "four finite numbers"),
        (table(annotations=[box(image_id=8)]), "annotation with id 5 has image_id 8, which 'images' does not list"),
        (table(annotations=[box(category_id=9)]), "has category_id 9, which 'categories' does not list"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_line_with_its_place(write: Callable[[Any], Path], content: Any, said: str) -> None:
    path = write(content)
    with pytest.raises(ConfigError, match=said) as caught:
        read_truth(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value)) < 500


def test_a_file_that_is_not_there_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        read_truth(tmp_path / "none.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_truth(tmp_path)
