"""A detector over a data set: what it finds, compared with the truth."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.detections import Detections
from edge_runtime.detector import Detector
from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.evaluate.classes import match_classes
from edge_runtime.evaluate.dataset import Dataset, Item
from edge_runtime.evaluate.metrics import Precision, precision


@dataclass(frozen=True, slots=True)
class ClassResult:
    """How well one class is found."""

    map: float  # COCO's AP, overlap 0.5 to 0.95
    map50: float
    truths: int  # boxes in the truth, those of crowds not counted


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Precision over recall, mean of the classes."""

    recalls: NDArray[np.float64]  # (101,), 0 to 1
    at_50: NDArray[np.float64]  # (101,), overlap 0.5
    at_75: NDArray[np.float64]  # (101,), overlap 0.75
    mean: NDArray[np.float64]  # (101,), mean of the overlaps 0.5 to 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What a detector is worth on a data set."""

    map: float  # COCO's mAP, overlap 0.5 to 0.95, mean of `per_class`
    map50: float
    map75: float
    per_class: Mapping[str, ClassResult]  # by category's name, those that the truth has a box of
    results: list[dict[str, Any]]  # COCO's rows: image_id, category_id, bbox (x, y, w, h), score
    curves: Curves
    images: int
    truths: int  # boxes in the truth that count
    detections: int  # rows in `results`
    mean_invoke_ms: float
    only_in_truth: tuple[str, ...]  # categories that the model does not know; they do not count
    only_in_model: tuple[str, ...]  # labels that the annotations do not know; their detections do not count


def evaluate(
    detector: Detector, dataset: Dataset, *, on_progress: Callable[[int, int], None] | None = None
) -> Evaluation:
    """Return how well a detector finds what is in the pictures.

    Args:
        detector: with a score threshold near 0: what it leaves out counts as not found.
        dataset: the pictures.
        on_progress: called after each picture with the number of those done and of all.

    Raises:
        ConfigError: the classes of model and data set do not go together, or no picture shows one.
        CaptureError: a picture cannot be read.
        ModelError: the model gives boxes that are no numbers.
        InvokeError: the engine failed.
    """
    spec = detector.spec
    partners = match_classes(spec.labels, spec.num_classes, dataset.categories)
    results: list[dict[str, Any]] = []
    invoke_ns = 0
    for done, item in enumerate(dataset.items, 1):
        found, stages_ns = detector.detect_timed(dataset.read(item))
        invoke_ns += stages_ns["invoke"]
        results += _rows(item, found, partners.category_ids)
        if on_progress:
            on_progress(done, len(dataset.items))
    category_ids = set(partners.category_ids.values())
    annotations = [row for row in dataset.annotations if row["category_id"] in category_ids]
    truths = Counter(row["category_id"] for row in annotations if not row["iscrowd"])
    if not truths:
        raise ConfigError(f"{dataset.name}: no box of a class that the model knows is in it; take other pictures")
    measured = precision([item.id for item in dataset.items], sorted(category_ids), annotations, results)
    return Evaluation(
        map=measured.mean(),
        map50=measured.mean_at_half(),
        map75=measured.mean_at_three_quarters(),
        per_class=_per_class(dataset, measured, truths),
        results=results,
        curves=_curves(measured),
        images=len(dataset.items),
        truths=truths.total(),
        detections=len(results),
        mean_invoke_ms=invoke_ns / 1e6 / len(dataset.items),
        only_in_truth=partners.only_in_truth,
        only_in_model=partners.only_in_model,
    )


def _rows(item: Item, found: Detections, category_ids: Mapping[int, int]) -> Sequence[dict[str, Any]]:
    rows = []
    for box, score, class_id in zip(found.boxes.tolist(), found.scores.tolist(), found.class_ids.tolist(), strict=True):
        if not all(map(math.isfinite, (*box, score))):
            raise ModelError(
                f"{item.file_name}: the model gives the box {box} with score {score}, which are no finite numbers; "
                "it is damaged, or was converted wrongly"
            )
        if class_id in category_ids:
            x1, y1, x2, y2 = box
            bbox = [round(side, 3) for side in (x1, y1, max(0.0, x2 - x1), max(0.0, y2 - y1))]
            category_id = category_ids[class_id]
            rows.append({"image_id": item.id, "category_id": category_id, "bbox": bbox, "score": round(score, 6)})
    return rows


def _per_class(dataset: Dataset, measured: Precision, truths: Mapping[int, int]) -> dict[str, ClassResult]:
    return {
        one.name: ClassResult(*measured.of_class(one.id), truths[one.id])
        for one in dataset.categories
        if one.id in measured.category_ids
    }


def _curves(measured: Precision) -> Curves:
    by_overlap = measured.values.mean(axis=2)
    return Curves(measured.recalls, by_overlap[0], by_overlap[5], by_overlap.mean(axis=0))
