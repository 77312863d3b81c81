"""Where the test card is in a picture, from the shapes that were found in it.

Three shapes on the card and three in the picture tell an affine map; the one that most shapes agree with counts, if
four do. What shape one is says its label; where the labels are wrong its colour says it, so that one fault does not
hide another.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.selftest.card import PITCH_WH, RADIUS, places, shape_outlines
from edge_runtime.selftest.colours import nearest

LEAST_SHAPES = 4
_NEAR = 0.3 * min(PITCH_WH)  # millimetres of the card by which a shape may lie beside its place
_SIZE_FACTOR = 2.0  # a box may be so much larger or smaller than the map says
_FLATTEST = 0.25  # least ratio of the card's two scales: flatter is no card held before a camera
_CANDIDATES = 2  # the best so many of a kind are tried: clutter may look like a shape
_REFINEMENTS = 4
_TRIPLES = [
    list(three)
    for three in itertools.combinations(range(6), 3)
    if abs(np.linalg.det(np.column_stack([places()[list(three)], np.ones(3)]))) > 0.5 * PITCH_WH[0] * PITCH_WH[1]
]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What was found in one picture."""

    boxes: NDArray[np.float32]  # (n, 4), xyxy, pixels of the frame
    shapes: NDArray[np.intp]  # (n,), index into SHAPES by the label, -1 for another label; best score first
    colours: NDArray[np.float64]  # (n, 3), RGB 0 to 255, measured in the middle of each box


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """The card in a picture."""

    places: NDArray[np.intp]  # (n,), the shapes of the card that are where they should be, indices into SHAPES
    rows: NDArray[np.intp]  # (n,), which box each of them is
    to_frame: NDArray[np.float64]  # (2, 3), from millimetres of the card to pixels

    @property
    def is_mirrored(self) -> bool:
        """Whether the card is seen as in a mirror."""
        return bool(np.linalg.det(self.to_frame[:, :2]) < 0)

    @property
    def angle_degrees(self) -> float:
        """How far the card is turned clockwise, -180 to 180; of a mirrored one after left and right are swapped."""
        m = self.to_frame[:, :2] @ np.diag([-1.0 if self.is_mirrored else 1.0, 1.0])
        return math.degrees(math.atan2(m[1, 0] - m[0, 1], m[0, 0] + m[1, 1]))

    @property
    def quarter_turns(self) -> int:
        """The same in quarters of a turn, 0 to 3."""
        return round(self.angle_degrees / 90) % 4

    def expected_boxes(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the box (6, 4) xyxy each shape of the card should have, given the boxes (n, 4) that were found.

        Where at least five shapes were seen perspective is taken into account.
        """
        to_frame = np.vstack([self.to_frame, (0, 0, 1)])
        if len(self.rows) > LEAST_SHAPES:
            for _ in range(_REFINEMENTS):
                # The box around a turned triangle has its middle elsewhere than the box around the upright one.
                aside = middles(_boxes_around(to_frame)) - _mapped(places(), to_frame)
                found = middles(boxes[self.rows]) - aside[self.places]
                fitted, _ = cv2.findHomography(places()[self.places], found, 0)
                to_frame = to_frame if fitted is None else np.asarray(fitted, np.float64)
        return _boxes_around(to_frame)


def _boxes_around(to_frame: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the box (6, 4) xyxy around each shape of a card under this (3, 3) map."""
    corners = [_mapped(one, to_frame) for one in shape_outlines()]
    return np.array([np.concatenate([one.min(axis=0), one.max(axis=0)]) for one in corners], np.float32)


def _mapped(points: NDArray[np.float64], to_frame: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(cv2.perspectiveTransform(points[None], to_frame)[0], np.float64)


def find_card(seen: Seen) -> Sighting | None:
    """Return where the card is; None where fewer than four shapes are where they would be on it."""
    by_shape = _fit(seen.boxes, seen.shapes)
    straight, swapped = (_fit(seen.boxes, nearest(seen.colours, is_swapped=one)) for one in (False, True))
    by_colour = max((one for one in (straight, swapped) if one), key=lambda one: len(one.rows), default=None)
    if by_shape is None or by_colour is None:
        return by_shape or by_colour
    more = len(by_colour.rows) - len(by_shape.rows)
    return by_colour if more > 0 or (more == 0 and not _has_sane_colours(by_shape, seen)) else by_shape


def _has_sane_colours(sighting: Sighting, seen: Seen) -> bool:
    """Return whether the shapes have their colours, or all of them with red and blue swapped.

    Where they have neither, the shapes were taken for each other: labels in reverse order look like a turned card.
    """
    measured = seen.colours[sighting.rows]
    shares = [np.mean(nearest(measured, is_swapped=one) == sighting.places) for one in (False, True)]
    return bool(max(shares) > 0.5)


def _fit(boxes: NDArray[np.float32], key: NDArray[np.intp]) -> Sighting | None:
    """Return the card, if box i being the shape key[i] makes sense of the boxes."""
    candidates = [np.flatnonzero(key == shape)[:_CANDIDATES] for shape in range(6)]
    best: Sighting | None = None
    for triple in _TRIPLES:
        for rows in itertools.product(*(candidates[shape] for shape in triple)):
            found = _agreeing(boxes, candidates, _affine(places()[triple], middles(boxes[list(rows)])))
            if found is not None and (best is None or len(found.rows) > len(best.rows)):
                best = found
        if best is not None and len(best.rows) == 6:
            break
    if best is None:
        return None
    refined = _affine(places()[best.places], middles(boxes[best.rows]))
    return _agreeing(boxes, candidates, refined) or best


def _agreeing(
    boxes: NDArray[np.float32], candidates: list[NDArray[np.intp]], to_frame: NDArray[np.float64]
) -> Sighting | None:
    """Return the card under this map with all the shapes that agree with it; None if they are too few."""
    linear = to_frame[:, :2]
    scales = np.linalg.svd(linear, compute_uv=False)
    if scales[1] < _FLATTEST * scales[0]:
        return None
    scale = math.sqrt(scales[0] * scales[1])
    expected = places() @ linear.T + to_frame[:, 2]
    agreeing, rows = [], []
    for shape, options in enumerate(candidates):
        sides = np.sqrt(np.prod(np.maximum(boxes[options, 2:] - boxes[options, :2], 0), axis=1))
        ratio = sides / (2 * RADIUS * scale)
        distance = np.linalg.norm(middles(boxes[options]) - expected[shape], axis=1)
        distance[(ratio > _SIZE_FACTOR) | (ratio < 1 / _SIZE_FACTOR)] = math.inf
        if len(options) and distance.min() < _NEAR * scale:
            agreeing.append(shape)
            rows.append(options[int(np.argmin(distance))])
    if len(rows) < LEAST_SHAPES:
        return None
    return Sighting(np.array(agreeing), np.array(rows), to_frame)


def _affine(card: NDArray[np.float64], frame: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (2, 3) map that brings points (n, 2) of the card closest to those of the frame, by least squares."""
    solved, *_ = np.linalg.lstsq(np.column_stack([card, np.ones(len(card))]), frame, rcond=None)
    return np.asarray(solved.T, np.float64)


def middles(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the middle (n, 2) of each box (n, 4) xyxy."""
    return (boxes[:, :2].astype(np.float64) + boxes[:, 2:]) / 2
