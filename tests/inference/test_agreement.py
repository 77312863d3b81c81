"""The comparison of an accelerator with the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.inference import Quantization, TensorSpec
from edge_runtime.inference.agreement import (
    MAX_SHARE,
    MAX_SPREAD,
    Ranked,
    compare,
    compare_backends,
    picture,
    pictures,
)
from edge_runtime.inference.fake import FakeBackend

RANDOM = np.random.default_rng(5)
IMAGE = TensorSpec("image", (1, 16, 24, 3), np.dtype(np.float32))
HEAD = TensorSpec("head", (1, 400, 4), np.dtype(np.float32))
VALUES = RANDOM.normal(2.0, 3.0, (1, 400, 4)).astype(np.float32)


def spec(name: str, *shape: int, dtype: str = "float32", quantization: Quantization | None = None) -> TensorSpec:
    return TensorSpec(name, shape, np.dtype(dtype), quantization)


def test_the_same_is_no_difference() -> None:
    found = compare([VALUES], [VALUES.copy()], [HEAD])
    assert found is not None
    assert (found.largest, found.share, found.spread, found.is_wrong) == (0, 0, 0, False)


def test_rounding_passes_and_another_result_does_not() -> None:
    """Each engine rounds at other places; a wrong shader computes something else."""
    std = float(VALUES.std())
    noise = RANDOM.normal(0, 1, VALUES.shape).astype(np.float32)
    near = compare([VALUES], [VALUES + noise * std * MAX_SPREAD / 2], [HEAD])
    far = compare([VALUES], [VALUES + noise * std * MAX_SPREAD * 2], [HEAD])
    assert near is not None
    assert not near.is_wrong
    assert far is not None
    assert far.is_wrong


@pytest.mark.parametrize(
    "broken",
    [
        lambda values: np.zeros_like(values),
        lambda values: values[:, ::-1],
        lambda values: np.roll(values, 1, axis=2),
        lambda values: values * 2,
        lambda values: np.where(np.arange(400)[None, :, None] < 380, values, 0),
        lambda values: np.full_like(values, np.nan),
        lambda values: values[:, :-1],
    ],
    ids=["zeros", "reversed", "shifted", "scaled", "end missing", "not a number", "too short"],
)
def test_what_broken_kernels_do_is_found(broken: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    found = compare([VALUES], [broken(VALUES)], [HEAD])
    assert found is not None
    assert found.is_wrong


def test_one_value_that_is_far_off_is_found_among_thousands() -> None:
    """It would drown in a mean."""
    other = VALUES.copy()
    other[0, 7, 2] += (MAX_SHARE + 0.01) * float(np.ptp(VALUES))
    found = compare([VALUES], [other], [HEAD])
    assert found is not None
    assert found.is_wrong
    assert found.spread < MAX_SPREAD


def test_the_message_has_the_output_the_difference_and_its_share() -> None:
    one = np.array([[0.0, 10.0]], np.float32)
    found = compare([one], [one + np.float32([[0, 4]])], [spec("boxes", 1, 2)])
    assert str(found) == "'boxes' differs by up to 4 (40 % of its range)"


def test_stored_integers_are_compared_as_what_they_stand_for() -> None:
    """The largest difference is to be read in the unit of the output."""
    stored = np.array([[0, 100, 200]], np.uint8)
    found = compare(
        [stored], [stored + np.uint8(2)], [spec("a", 1, 3, dtype="uint8", quantization=Quantization(0.5, 0))]
    )
    assert found is not None
    assert found.largest == 1.0


def test_integers_do_not_wrap_around() -> None:
    found = compare(
        [np.array([[0, 255]], np.uint8)], [np.array([[255, 0]], np.uint8)], [spec("a", 1, 2, dtype="uint8")]
    )
    assert found is not None
    assert found.largest == 255


def test_scores_of_a_model_that_finds_nothing_are_not_blown_up() -> None:
    """One step of 1/256 here and there is all such an int8 model has to show."""
    ones, others = np.zeros((1, 500, 6), np.float32), np.zeros((1, 500, 6), np.float32)
    ones[0, :4], others[0, 4:8] = 1 / 256, 1 / 256
    found = compare([ones], [others], [spec("scores", 1, 500, 6)])
    assert found is not None
    assert not found.is_wrong


def test_an_output_that_never_changes_may_be_rounded_and_not_another() -> None:
    """The number of detections, a scale that the model passes on."""
    ten, count = np.full((1,), 10, np.float32), [spec("count", 1)]
    assert not compare([ten], [ten + np.float32(0.01)], count).is_wrong  # type: ignore[union-attr]
    wrong = compare([ten], [np.zeros_like(ten)], count)
    assert wrong is not None
    assert wrong.is_wrong
    assert str(wrong) == "'count' differs by up to 10 (100 % of its range)"


def test_the_worst_of_several_outputs_is_told() -> None:
    specs = [HEAD, spec("scores", 1, 400, 4)]
    found = compare([VALUES, VALUES], [VALUES, -VALUES], specs)
    assert found is not None
    assert found.output == "scores"
    assert compare([], [], []) is None


SSD = [spec("boxes", 1, 4, 4), spec("classes", 1, 4), spec("scores", 1, 4), spec("count", 1)]
BOXES = np.array([[[0.1, 0.1, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9], [0.0, 0.2, 0.1, 0.3], [0.6, 0, 1, 0.2]]], np.float32)
CLASSES, SCORES = np.array([[0, 2, 7, 9]], np.float32), np.array([[0.8, 0.79, 0.12, 0.11]], np.float32)
COUNT = np.array([4], np.float32)
RANKED = Ranked(boxes=0, classes=1, scores=2)


def ranked(boxes: NDArray[Any], classes: NDArray[Any], scores: NDArray[Any]) -> bool:
    found = compare([BOXES, CLASSES, SCORES, COUNT], [boxes, classes, scores, COUNT], SSD, RANKED)
    assert found is not None
    return found.is_wrong


def test_rows_that_changed_places_are_no_difference() -> None:
    """Two scores that almost tie come in either order, and the last rows are others each time."""
    order = [1, 0, 3, 2]
    assert compare([BOXES], [BOXES[:, order]], SSD[:1]).is_wrong  # type: ignore[union-attr]
    assert not ranked(BOXES[:, order], CLASSES[:, order], SCORES + np.float32(0.005))


def test_a_clear_row_that_moved_changed_its_class_or_lost_its_score_is_found() -> None:
    moved = BOXES.copy()
    moved[0, 0] += 0.5
    assert ranked(moved, CLASSES, SCORES)
    assert ranked(BOXES, np.array([[5, 2, 7, 9]], np.float32), SCORES)
    assert ranked(BOXES, CLASSES, np.array([[0.2, 0.19, 0.12, 0.11]], np.float32))


def test_rows_in_one_output_are_matched_as_well() -> None:
    """Ultralytics' built-in NMS puts box, score and class into one tensor."""
    rows = np.concatenate([BOXES, SCORES[..., None], CLASSES[..., None]], axis=2)
    found = compare([rows], [rows[:, [1, 0, 3, 2]]], [spec("output", 1, 4, 6)])
    assert found is not None
    assert not found.is_wrong
    other = rows.copy()
    other[..., :4] = 0
    found = compare([rows], [other], [spec("output", 1, 4, 6)])
    assert found is not None
    assert found.is_wrong


def test_the_picture_is_the_same_each_time_and_no_flat_one() -> None:
    """A verdict that changes from start to start would be worth nothing."""
    first = picture(96, 128, 3)
    assert first.shape == (96, 128, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, picture(96, 128, 3))
    assert 40 < first.std() < 65
    coarse = first.reshape(8, 12, 8, 16, 3).mean(axis=(1, 3))
    assert coarse.std() > 20  # large patches, which noise alone does not have


@pytest.mark.parametrize(
    ("dtype", "shape", "low", "high"),
    [
        ("uint8", (1, 32, 48, 3), 0, 255),
        ("int8", (1, 32, 48, 3), -128, 127),
        ("int16", (1, 32, 48, 1), -32768, 32512),
        ("uint8", (1, 3, 32, 48), 0, 255),
    ],
)
def test_whole_numbers_span_what_their_type_holds(dtype: str, shape: tuple[int, ...], low: int, high: int) -> None:
    [[tensor]] = pictures([spec("image", *shape, dtype=dtype)])
    assert tensor.dtype == np.dtype(dtype)
    assert tensor.shape == shape
    assert low <= tensor.min() < low + 0.2 * (high - low)
    assert high >= tensor.max() > high - 0.2 * (high - low)


def test_float_models_see_the_picture_at_each_usual_scale() -> None:
    """The tensors do not say which one is theirs."""
    larger = spec("image", 1, 64, 64, 3)
    spans = [(round(float(one.min())), round(float(one.max()))) for [one] in pictures([larger])]
    assert spans == [(0, 1), (-1, 1), (0, 255)]


def test_other_inputs_get_their_zero() -> None:
    state = spec("state", 1, 8, dtype="uint8", quantization=Quantization(0.1, 131))
    [[_, tensor]] = pictures([spec("image", 1, 32, 48, 3, dtype="uint8"), state])
    assert (tensor == 131).all()


def backend(script: Callable[[Sequence[NDArray[Any]]], Sequence[NDArray[Any]]]) -> FakeBackend:
    return FakeBackend([IMAGE], [spec("head", 1, 16, 24, 3)], script)


def test_agreement_at_one_scale_is_enough() -> None:
    """At a scale that is not the model's own, rounding errors may grow without meaning anything."""
    reference = backend(lambda inputs: [inputs[0]])
    right = compare_backends(reference, backend(lambda inputs: [inputs[0]]))
    assert right is not None
    assert not right.is_wrong
    saturates = compare_backends(reference, backend(lambda inputs: [np.minimum(inputs[0], 0)]))
    assert saturates is not None
    assert saturates.is_wrong
    large_only = compare_backends(reference, backend(lambda inputs: [inputs[0] if inputs[0].max() > 1 else -inputs[0]]))
    assert large_only is not None
    assert not large_only.is_wrong
