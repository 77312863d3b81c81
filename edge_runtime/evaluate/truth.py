"""An annotation file in COCO's form, read and checked: what is in which picture.

Source of the form: cocodataset.org, "Data format", object detection.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from edge_runtime.errors import ConfigError

Row = TypeVar("Row")

_SECTIONS = ("images", "annotations", "categories")


@dataclass(frozen=True, slots=True)
class Category:
    """A class of the annotations."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Item:
    """A picture with known truth."""

    id: int
    file_name: str
    width: int  # pixels
    height: int


@dataclass(frozen=True, slots=True)
class Truth:
    """What an annotation file says. Boxes are x, y, width, height in pixels of their picture."""

    categories: tuple[Category, ...]  # by id
    items: tuple[Item, ...]
    annotations: list[dict[str, Any]]  # id, image_id, category_id, bbox, area, iscrowd


def read_truth(path: Path) -> Truth:
    """Return what the file says.

    Raises:
        ConfigError: it cannot be read, is no annotation file of this form, or contradicts itself.
    """
    table = _load(path)
    categories = _rows(table, "categories", path, _category)
    items = _rows(table, "images", path, _item)
    for what, ids in (("images", [one.id for one in items]), ("categories", [one.id for one in categories])):
        twice = _first_repeated(ids)
        if twice is not None:
            raise ConfigError(f"{path}: {what}: the id {twice} is there more than once; each needs its own")
    annotations = _rows(table, "annotations", path, _annotation)
    _check_references(path, annotations, "image_id", {one.id for one in items})
    _check_references(path, annotations, "category_id", {one.id for one in categories})
    return Truth(tuple(sorted(categories, key=lambda one: one.id)), tuple(items), annotations)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        table = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; give an annotation file in COCO's form") from None
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror or exc}); give an annotation file") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{path}: is not JSON ({exc}); give an annotation file in COCO's form") from exc
    for section in _SECTIONS:
        rows = table.get(section) if isinstance(table, dict) else None
        if not isinstance(rows, list):
            raise ConfigError(
                f"{path}: is not in COCO's form, it has no list {section!r}; needed are {', '.join(_SECTIONS)}"
            )
        if not rows:
            raise ConfigError(f"{path}: the list {section!r} is empty; there is nothing to compare with")
    return dict(table)


def _rows(table: Mapping[str, Any], section: str, path: Path, parse: Callable[[Any], Row]) -> list[Row]:
    found = []
    for position, row in enumerate(table[section]):
        if not isinstance(row, dict):
            raise ConfigError(f"{path}: {section}[{position}] is {row!r:.40}, an object is needed; correct the file")
        try:
            found.append(parse(row))
        except (KeyError, ValueError, OverflowError) as exc:
            reason = f"{exc.args[0]!r} is missing" if isinstance(exc, KeyError) else str(exc)
            raise ConfigError(
                f"{path}: {section}[{position}] (id {row.get('id')}): {reason}; correct the file"
            ) from exc
    return found


def _category(row: Any) -> Category:
    name = row["name"]
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"name is {name!r}, a text is needed")
    return Category(_whole(row, "id", 0), name.strip())


def _item(row: Any) -> Item:
    file_name = row["file_name"]
    if not isinstance(file_name, str) or not file_name or "\0" in file_name:
        raise ValueError(f"file_name is {file_name!r}, a text is needed")
    return Item(_whole(row, "id", 0), file_name, _whole(row, "width", 1), _whole(row, "height", 1))


def _annotation(row: Any) -> dict[str, Any]:
    """Return the row without outlines and key points, which take most of the memory."""
    bbox = row["bbox"]
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(_is_number(one) for one in bbox):
        raise ValueError(f"bbox is {bbox!r}, four finite numbers are needed: x, y, width, height")
    if bbox[2] < 0 or bbox[3] < 0:
        raise ValueError(f"bbox {bbox!r} has a negative size; x, y, width, height are needed")
    area = row.get("area")
    return {
        "id": row.get("id"),
        "image_id": _whole(row, "image_id", 0),
        "category_id": _whole(row, "category_id", 0),
        "bbox": [float(one) for one in bbox],
        "area": float(area) if _is_number(area) else float(bbox[2] * bbox[3]),
        "iscrowd": 1 if row.get("iscrowd") else 0,
    }


def _whole(row: Any, key: str, low: int) -> int:
    value = row[key]
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ValueError(f"{key} is {value!r}, a whole number from {low} is needed")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _first_repeated(ids: Iterable[int]) -> int | None:
    return next((one for one, times in Counter(ids).items() if times > 1), None)


def _check_references(path: Path, annotations: list[dict[str, Any]], key: str, known: set[int]) -> None:
    strange = next((row for row in annotations if row[key] not in known), None)
    if strange is not None:
        section = "images" if key == "image_id" else "categories"
        raise ConfigError(
            f"{path}: the annotation with id {strange['id']} has {key} {strange[key]}, which {section!r} does not "
            "list; correct the file"
        )
