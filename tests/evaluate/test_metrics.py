"""The figures are those that pycocotools itself sums up."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("pycocotools", reason="the extra [evaluate] is not installed")

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edge_runtime.evaluate.metrics import precision


def random_rows(rng: np.random.Generator) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the truth of 12 pictures with 3 classes, and results of which some fit it."""
    truth, found = [], []
    for number in range(60):
        bbox = [*rng.uniform(0, 300, 2), *rng.uniform(5, 200, 2)]
        row = {"image_id": int(rng.integers(12)), "category_id": int(rng.integers(3)) * 5 + 2, "bbox": bbox}
        truth.append({**row, "id": number + 1, "area": bbox[2] * bbox[3], "iscrowd": int(rng.random() < 0.1)})
        shaken = [*(bbox + rng.normal(0, 8, 4)).clip(1).tolist()]
        if rng.random() < 0.8:
            found.append({**row, "bbox": shaken, "score": float(rng.random())})
        found.append({**row, "category_id": int(rng.integers(3)) * 5 + 2, "bbox": [*rng.uniform(1, 100, 4)],
                      "score": float(rng.random())})  # fmt: skip
    return truth, found


@pytest.mark.parametrize("seed", range(5))
def test_the_means_are_those_of_coco(seed: int) -> None:
    """All areas, 100 boxes a picture: its first three lines."""
    truth, found = random_rows(np.random.default_rng(seed))
    table = COCO()
    table.dataset = {
        "images": [{"id": one} for one in range(12)], "categories": [{"id": one} for one in (2, 7, 12)],
        "annotations": truth, "info": {},
    }  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        table.createIndex()
        job = COCOeval(table, table.loadRes([dict(row) for row in found]), "bbox")
        job.evaluate()
        job.accumulate()
        job.summarize()
    ours = precision(range(12), [2, 7, 12], truth, found)
    assert_allclose([ours.mean(), ours.mean_at_half(), ours.mean_at_three_quarters()], job.stats[:3])
    assert 0.05 < ours.mean() < 0.95
    assert_allclose(np.mean([ours.of_class(one) for one in (2, 7, 12)], axis=0), job.stats[:2])


def test_rows_given_are_left_as_they_are() -> None:
    """pycocotools writes into what it gets; the caller's rows become a file afterwards."""
    truth, found = random_rows(np.random.default_rng(0))
    before = [dict(row) for row in truth], [dict(row) for row in found]
    precision(range(12), [2, 7, 12], truth, found)
    assert (truth, found) == before
