"""COCO's average precision, by pycocotools."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

MAX_DETECTIONS = 100
"""The best so many of a picture and class count. Source: COCO's own rule."""
_EVERY_SIZE = [0, 1e10]
_HALF, _THREE_QUARTERS = 0, 5
"""Where the overlaps 0.5 and 0.75 stand among 0.5, 0.55 ... 0.95."""


@dataclass(frozen=True, slots=True, eq=False)
class Precision:
    """Precision at every overlap, recall and class that the truth has."""

    category_ids: tuple[int, ...]
    recalls: NDArray[np.float64]  # (101,), 0 to 1
    values: NDArray[np.float64]  # (10, 101, classes), 0 to 1; overlaps 0.5 to 0.95 first

    def mean(self) -> float:
        """Return the mean over overlaps, recalls and classes: COCO's mAP."""
        return float(self.values.mean())

    def mean_at_half(self) -> float:
        """Return the mean at overlap 0.5: mAP50."""
        return float(self.values[_HALF].mean())

    def mean_at_three_quarters(self) -> float:
        """Return the mean at overlap 0.75: mAP75."""
        return float(self.values[_THREE_QUARTERS].mean())

    def of_class(self, category_id: int) -> tuple[float, float]:
        """Return the mAP and mAP50 of one class."""
        column = self.values[:, :, self.category_ids.index(category_id)]
        return float(column.mean()), float(column[_HALF].mean())


def precision(
    image_ids: Sequence[int],
    category_ids: Sequence[int],
    annotations: Sequence[Mapping[str, Any]],
    results: Sequence[Mapping[str, Any]],
) -> Precision:
    """Return the precision of the results; classes without a box in the truth have none and are left out.

    Args:
        image_ids: the pictures.
        category_ids: the classes; rows of other classes do not count.
        annotations: COCO's rows: image_id, category_id, bbox, area, iscrowd.
        results: COCO's rows: image_id, category_id, bbox, score.
    """
    # pycocotools takes an annotation with the id 0 for none at all, so the rows are numbered anew.
    truth = [{**row, "id": number} for number, row in enumerate(annotations, 1)]
    found = [
        {**row, "id": number, "area": row["bbox"][2] * row["bbox"][3], "iscrowd": 0}
        for number, row in enumerate(results, 1)
    ]
    with redirect_stdout(io.StringIO()):
        job = COCOeval(_table(image_ids, category_ids, truth), _table(image_ids, category_ids, found), "bbox")
        job.params.areaRng, job.params.areaRngLbl = [_EVERY_SIZE], ["all"]
        job.params.maxDets = [MAX_DETECTIONS]
        job.evaluate()
        job.accumulate()
    values = job.eval["precision"][:, :, :, 0, 0]
    has_truth = (values >= 0).all(axis=(0, 1))
    kept = np.asarray(job.params.catIds)[has_truth]
    return Precision(tuple(kept.tolist()), np.asarray(job.params.recThrs), values[:, :, has_truth])


def _table(image_ids: Sequence[int], category_ids: Sequence[int], rows: list[dict[str, Any]]) -> Any:
    table = COCO()
    table.dataset = {
        "images": [{"id": one} for one in image_ids],
        "categories": [{"id": one} for one in sorted(category_ids)],
        "annotations": rows,
    }
    table.createIndex()
    return table
