"""Which class of the model is which category of the annotations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_runtime.errors import ConfigError
from edge_runtime.evaluate.truth import Category
from edge_runtime.model.labels import Labels


@dataclass(frozen=True, slots=True)
class Partners:
    """The classes both sides have, and what each has alone."""

    category_ids: Mapping[int, int]  # class of the model -> id of its category
    only_in_truth: tuple[str, ...]  # categories that the model does not know
    only_in_model: tuple[str, ...]  # labels that the annotations do not know


def match_classes(labels: Labels | None, num_classes: int | None, categories: Sequence[Category]) -> Partners:
    """Return the classes that belong together: by name, or by number where the model has no labels.

    Args:
        labels: of the model.
        num_classes: of the model without background; None where it does not say.
        categories: of the annotations, by id.

    Raises:
        ConfigError: nothing fits, or more than one thing does.
    """
    by_name: dict[str, Category] = {}
    for one in categories:
        other = by_name.setdefault(_plain(one.name), one)
        if other is not one:
            raise ConfigError(
                f"--annotations: the categories {other.id} and {one.id} are both called {one.name!r}; each name must "
                "be unique, correct the file"
            )
    return _by_number(num_classes, categories) if labels is None else _by_name(labels, by_name)


def _by_name(labels: Labels, by_name: Mapping[str, Category]) -> Partners:
    categories = by_name.values()
    named = [(line - labels.offset, name) for line, name in enumerate(labels.names) if name and line >= labels.offset]
    found = {class_id: by_name[_plain(name)].id for class_id, name in named if _plain(name) in by_name}
    if not found:
        raise ConfigError(
            f"classes: the model and the annotations have none in common; the model knows "
            f"{_some([name for _, name in named])}, the annotations {_some([one.name for one in categories])}; "
            "give the labels of this model with --labels FILE, or other annotations"
        )
    known = set(found.values())
    return Partners(
        found,
        tuple(one.name for one in categories if one.id not in known),
        tuple(name for class_id, name in named if class_id not in found),
    )


def _by_number(num_classes: int | None, categories: Sequence[Category]) -> Partners:
    """Return the partners where the number of classes leaves no choice.

    As many classes as the highest id: class i is id i + 1, so in the 90 classes of an SSD trained on COCO. As many as
    there are categories: class i is the i-th of them, so in the 80 classes of a YOLO. Where both hold they agree.
    """
    ids = [one.id for one in categories]
    if num_classes is not None and num_classes == len(ids):
        return Partners(dict(enumerate(ids)), (), ())
    if num_classes is not None and num_classes == max(ids) and min(ids) >= 1:
        return Partners({one - 1: one for one in ids}, (), ())
    has = "an unknown number of classes" if num_classes is None else f"{num_classes} classes"
    raise ConfigError(
        f"classes: the model has no labels and {has}, the annotations have {len(ids)} categories with ids from "
        f"{min(ids)} to {max(ids)}: which is which cannot be told; name the classes with --labels FILE"
    )


def _plain(name: str) -> str:
    """Return a name as it is compared: "Dining_Table" is "dining table"."""
    return re.sub(r"[\s_-]+", " ", name.strip()).casefold()


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "") if names else "no name"
