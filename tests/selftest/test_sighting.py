"""The card found again from boxes, however it is held and whatever lies around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from edge_runtime.selftest.card import RADIUS, SHEET_WH, colours, places
from edge_runtime.selftest.colours import measure, nearest
from edge_runtime.selftest.frames import card_truth, held, homography, shown_card
from edge_runtime.selftest.sighting import Seen, find_card, middles
from edge_runtime.vision.boxes import iou

SIZE_WH = (640, 480)


def seen_card(rng: np.random.Generator, keep: Sequence[int] = range(6)) -> Seen:
    """Return the shapes of a card held at random, some of them, in random order."""
    truth = card_truth(held(SIZE_WH, rng))
    order = rng.permutation(list(keep))
    return Seen(truth.boxes[order], order, colours()[order])


def with_clutter(seen: Seen, rng: np.random.Generator, count: int) -> Seen:
    """Return the same among other things that look like shapes."""
    corner = rng.uniform(0, 400, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(20, 160, (count, 1))], axis=1).astype(np.float32)
    order = rng.permutation(len(seen.boxes) + count)
    return Seen(
        np.concatenate([seen.boxes, boxes])[order],
        np.concatenate([seen.shapes, rng.integers(-1, 6, count)])[order],
        np.concatenate([seen.colours, rng.uniform(0, 255, (count, 3))])[order],
    )


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), missing=st.sets(st.integers(0, 5), max_size=2))
def test_four_shapes_are_enough_at_any_angle_a_hand_holds_it(seed: int, missing: set[int]) -> None:
    """Perspective is no reason to see the card mirrored or turned."""
    kept = sorted(set(range(6)) - missing)
    seen = seen_card(np.random.default_rng(seed), kept)
    found = find_card(seen)
    assert found is not None
    assert sorted(found.places) == kept
    assert seen.shapes[found.rows].tolist() == found.places.tolist()
    assert not found.is_mirrored
    assert found.quarter_turns == 0
    assert abs(found.angle_degrees) < 25


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_three_shapes_are_not(seed: int) -> None:
    """Any three lie somehow like three of the card: mirrored, turned, everything fits."""
    rng = np.random.default_rng(seed)
    assert find_card(seen_card(rng, rng.choice(6, 3, replace=False).tolist())) is None


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_clutter_around_it_changes_nothing(seed: int) -> None:
    """A room has round and square things in it."""
    rng = np.random.default_rng(seed)
    found = find_card(with_clutter(seen_card(rng), rng, 4))
    assert found is not None
    assert not found.is_mirrored
    assert found.quarter_turns == 0
    assert len(found.places) >= 5


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turn_degrees", [0, 30, -60, 90, 120, 180, -90])
def test_the_angle_is_what_it_was_turned_by(turn_degrees: float, mirrored: bool) -> None:
    flat = homography((800, 800), fill=0.7, turn=np.radians(turn_degrees), tilt=(0.0, 0.0))
    flat = flat if not mirrored else flat @ np.array([[-1, 0, SHEET_WH[0]], [0, 1, 0], [0, 0, 1]])
    mapped = np.column_stack([places(), np.ones(6)]) @ flat.T
    points = mapped[:, :2] / mapped[:, 2:]
    half = RADIUS * 0.7 * 800 / SHEET_WH[0]
    boxes = np.concatenate([points - half, points + half], axis=1).astype(np.float32)
    found = find_card(Seen(boxes, np.arange(6), colours()))
    assert found is not None
    assert found.is_mirrored == mirrored
    assert (found.angle_degrees - turn_degrees + 180) % 360 - 180 == pytest.approx(0, abs=0.5)
    assert found.quarter_turns == round(turn_degrees / 90) % 4


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_the_expected_boxes_are_the_true_ones(seed: int) -> None:
    """Before a camera they are the truth that the recall is counted by."""
    truth = card_truth(held(SIZE_WH, np.random.default_rng(seed)))
    found = find_card(Seen(truth.boxes, np.arange(6), colours()))
    assert found is not None
    assert np.diag(iou(found.expected_boxes(truth.boxes), truth.boxes)).min() > 0.95


def test_wrong_labels_leave_the_card_to_its_colours() -> None:
    seen = seen_card(np.random.default_rng(3))
    shuffled = Seen(seen.boxes, (seen.shapes + 1) % 6, seen.colours)
    found = find_card(shuffled)
    assert found is not None
    assert seen.shapes[found.rows].tolist() == found.places.tolist()


def test_grey_light_leaves_the_card_to_its_labels() -> None:
    seen = seen_card(np.random.default_rng(3))
    found = find_card(Seen(seen.boxes, seen.shapes, np.full((6, 3), 90.0)))
    assert found is not None
    assert len(found.places) == 6


def test_boxes_of_another_size_are_no_card() -> None:
    """Six small things that happen to stand like the shapes."""
    seen = seen_card(np.random.default_rng(3))
    centres = middles(seen.boxes)
    tiny = np.concatenate([centres - 3, centres + 3], axis=1).astype(np.float32)
    assert find_card(Seen(tiny, seen.shapes, seen.colours)) is None
    assert find_card(Seen(np.empty((0, 4), np.float32), np.empty(0, np.intp), np.empty((0, 3)))) is None


def test_a_picture_of_the_card_is_drawn_where_its_truth_says() -> None:
    """The truth of the drawn card is the yardstick of all the rest."""
    shown = shown_card(SIZE_WH, np.random.default_rng(8))
    assert shown.truth is not None
    assert nearest(measure(shown.image, shown.truth.boxes)).tolist() == list(range(6))
    again = shown_card(SIZE_WH, np.random.default_rng(8))
    assert_allclose(again.image, shown.image)
