"""The comparison of a variant with its parent: what it measures and what it warns of."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")

from edge_runtime.detections import Detections
from edge_runtime.errors import OptimizeError
from edge_runtime.inference import Quantization, TensorSpec
from edge_runtime.optimize.calibration import Feed, resolve_feed
from edge_runtime.optimize.check import (
    answers,
    coarse_steps,
    column_error,
    compare,
    output_errors,
)
from edge_runtime.optimize.matching import match
from edge_runtime.vision.preprocess import InputFormat
from tests.optimize.material import picture, write_detector

READERS = [partial(picture, number) for number in range(4)]
PLAIN = Feed(InputFormat((416, 416), np.dtype(np.float32)), None)


def spec(name: str, shape: tuple[int, ...], scale: float, zero_point: int = 0) -> TensorSpec:
    return TensorSpec(name, shape, np.dtype(np.int8), Quantization(scale, zero_point))


def test_a_model_is_equal_to_itself_and_its_detections_too(tmp_path: Path) -> None:
    model = write_detector(tmp_path / "m.tflite")
    found = compare(model, model, resolve_feed(model), READERS)
    assert {output.name: (output.relative, output.column) for output in found.outputs} == {
        "boxes": (0.0, 0.0), "scores": (0.0, 0.0),
    }  # fmt: skip
    assert found.detections is not None
    assert found.detections.matched == found.detections.expected >= len(READERS)
    assert (found.detections.extra, found.detections.score_difference) == (0, 0.0)
    assert found.warnings == ()


def test_a_variant_that_finds_something_else_is_warned_of(tmp_path: Path) -> None:
    """Outputs that are near as numbers can still put every box elsewhere."""
    model = write_detector(tmp_path / "m.tflite")
    other = write_detector(tmp_path / "other.tflite", reach=4.0)
    found = compare(model, other, resolve_feed(model), READERS)
    assert found.detections is not None
    assert found.detections.matched == 0
    assert any("finds 0 of the" in said for said in found.warnings)


def test_detections_are_not_compared_where_nothing_decodes_the_model(tmp_path: Path) -> None:
    model = write_detector(tmp_path / "m.tflite")
    feed = replace(resolve_feed(model), spec=None)
    assert compare(model, model, feed, READERS).detections is None


def test_an_output_far_away_is_warned_of(tmp_path: Path) -> None:
    model, other = write_detector(tmp_path / "m.tflite"), write_detector(tmp_path / "o.tflite", reach=-1.2)
    warnings = compare(model, other, resolve_feed(model), READERS).warnings
    assert any("output 'boxes' is far from the parent's (cosine -1.000)" in said for said in warnings)


def test_values_that_are_no_numbers_are_an_error(tmp_path: Path) -> None:
    """A file that answers NaN loads, runs, and finds nothing."""
    model = write_detector(tmp_path / "m.tflite", reach=float("nan"))
    with pytest.raises(OptimizeError, match="output 'boxes' holds values that are no numbers; it is not kept"):
        answers(model, resolve_feed(model), READERS)


def test_other_shapes_are_an_error() -> None:
    with pytest.raises(OptimizeError, match="those of the parent"):
        output_errors(["a"], [[np.zeros((1, 4), np.float32)]], [[np.zeros((1, 5), np.float32)]])


def test_errors_are_relative_to_the_size_of_the_parents_values() -> None:
    before = [np.array([[3.0, 4.0]], np.float32)]
    (found,) = output_errors(["a"], [before], [[before[0] * 1.1]])
    assert_allclose((found.relative, found.cosine), (0.1, 1.0), rtol=1e-5)
    (nothing,) = output_errors(["a"], [[before[0] * 0]], [[before[0] * 0]])
    assert (nothing.relative, nothing.cosine) == (0.0, 1.0)
    (wrong,) = output_errors(["a"], [[before[0] * 0]], [before])
    assert (wrong.relative, wrong.cosine) == (1.0, 0.0)


@pytest.mark.parametrize("axis", [-1, -2])
def test_scores_beside_boxes_in_pixels_are_not_drowned(axis: int) -> None:
    """With one scale for both the scores are lost, and over the whole output hardly anything seems to change."""
    random = np.random.default_rng(0)
    table = np.concatenate([random.uniform(0, 416, (2, 1, 50, 4)), random.uniform(0, 1, (2, 1, 50, 3))], axis=-1)
    spoilt = table.copy()
    spoilt[..., 4:] = 0
    before, after = (np.moveaxis(one, -1, axis) for one in (table, spoilt))
    assert np.linalg.norm(before - after) / np.linalg.norm(before) < 0.01
    assert column_error(before, after) > 0.2
    assert column_error(before, before) == 0


def test_one_scale_for_boxes_and_scores_is_warned_of_with_the_step_of_a_score() -> None:
    """It took one model from mAP 0.29 to 0.02; where boxes go from 0 to 1 it does no harm."""
    (said,) = coarse_steps([spec("output", (1, 3549, 85), 2.5)], PLAIN)
    assert "a step is 2.5, a score from 0 to 1 has 0 steps" in said
    assert coarse_steps([spec("output", (1, 84, 3549), 0.0045)], PLAIN) == []
    assert coarse_steps([TensorSpec("output", (1, 3549, 85), np.dtype(np.float32))], PLAIN) == []


def test_a_coarse_step_of_a_box_is_warned_of() -> None:
    """A box that moves by more than a hundredth of the picture at a time is no box."""
    (said,) = coarse_steps([spec("boxes", (1, 896, 4), 8.0), spec("scores", (1, 896, 1), 0.004)], PLAIN)
    assert "a step of its boxes is 8, 1.9% of the input" in said
    assert coarse_steps([spec("boxes", (1, 896, 4), 2.0), spec("scores", (1, 896, 1), 0.1)], PLAIN) == []
    (said,) = coarse_steps([spec("boxes", (1, 10, 4), 0.012), spec("scores", (1, 10), 0.004)], PLAIN)
    assert "1.2% of the input" in said


def test_boxes_in_cells_are_measured_in_pixels(tmp_path: Path) -> None:
    feed = resolve_feed(write_detector(tmp_path / "m.tflite"))
    outputs = [spec("boxes", (1, 36, 4), 0.1), spec("scores", (1, 36, 1), 0.004)]
    assert "1.7% of the input" in coarse_steps(outputs, feed)[0]  # 0.1 cells of 8 pixels, of 48


def found(boxes: list[tuple[float, ...]], scores: list[float], class_ids: list[int]) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(class_ids, np.int32)
    )


def test_detections_are_paired_once_by_class_and_place() -> None:
    one, near, far = (0, 0, 10, 10), (0, 0, 10, 9), (50, 50, 60, 60)
    expected = found([one, one, far], [0.9, 0.8, 0.7], [0, 0, 1])
    result = match(expected, found([near, far], [0.8, 0.6], [0, 2]))
    assert_allclose(result.overlaps, [0.9], rtol=1e-5)
    assert_allclose(result.differences, [0.1], rtol=1e-5)
    assert result.extra == 1
    assert match(expected, found([], [], [])).overlaps.shape == (0,)
    assert match(found([], [], []), expected).extra == 3


def test_a_second_detection_of_the_same_thing_is_not_counted_as_extra() -> None:
    one = (0, 0, 10, 10)
    assert match(found([one], [0.9], [0]), found([one, one], [0.9, 0.8], [0, 0])).extra == 0


def test_what_lies_beside_the_variant_counts(tmp_path: Path) -> None:
    """The comparison reads a variant as the runtime will, so a sidecar that is wrong shows."""
    model = write_detector(tmp_path / "m.tflite")
    (tmp_path / "v").mkdir()
    variant = Path(shutil.copy(model, tmp_path / "v" / "m.tflite"))
    variant.with_suffix(".toml").write_text("mean = 200\nstd = 255\n")
    result = compare(model, variant, resolve_feed(model), READERS).detections
    assert result is not None
    assert result.matched < result.expected
