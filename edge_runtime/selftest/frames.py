"""Pictures with known truth: drawn scenes, and the test card as cameras would see it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.capture.backdrop import draw_backdrop
from edge_runtime.capture.scene import SceneSource
from edge_runtime.detections import Detections
from edge_runtime.selftest.card import SHEET_WH, shape_outlines
from edge_runtime.selftest.printing import picture

SEED = 20_000
"""Nothing is trained on scenes of this seed."""
SIZE_WH = (640, 480)
SCENE_FPS = 0.4
"""Frames per second of the scene's time: after 2.5 s the shapes have turned and gone on, after 8 s there is a cut."""

CARD_SHARE = 5
"""Each so manieth picture shows the card."""
_PIXELS_PER_MM = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A picture and what is in it."""

    image: NDArray[np.uint8]  # (H, W, 3) BGR
    truth: Detections | None = None  # class ids are indices into SHAPES; None where nobody knows
    truth_wh: tuple[int, int] = SIZE_WH  # size of the picture the truth was made for
    is_card: bool = False


def shown_scenes(frames: int, seed: int = SEED) -> Iterator[Shown]:
    """Yield so many drawn pictures: the card in each fifth one, scenes in the others, the same for the same seed."""
    scenes = iter(SceneSource(SIZE_WH, fps=SCENE_FPS, seed=seed))
    for number in range(frames):
        if number % CARD_SHARE == 0:
            yield shown_card(SIZE_WH, np.random.default_rng((seed, number)))
        else:
            frame = next(scenes)
            yield Shown(frame.image, frame.truth, SIZE_WH)


def shown_card(size_wh: tuple[int, int], rng: np.random.Generator) -> Shown:
    """Return the card held before a camera: its distance, its angle and the light are random."""
    to_frame = held(size_wh, rng)
    image = lay_over(draw_backdrop(size_wh, rng), to_frame)
    light = rng.uniform(0.75, 1.1) * rng.uniform(0.9, 1.1, 3)
    noise = rng.normal(0, rng.uniform(0, 5), image.shape)
    lit = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.0)) * light + noise
    return Shown(np.clip(lit, 0, 255).astype(np.uint8), card_truth(to_frame), size_wh, is_card=True)


def card_truth(to_frame: NDArray[np.float64]) -> Detections:
    """Return the shapes of a card that is mapped so into the picture."""
    mapped = [cv2.perspectiveTransform(corners[None], to_frame)[0] for corners in shape_outlines()]
    boxes = np.array([np.concatenate([one.min(axis=0), one.max(axis=0)]) for one in mapped], np.float32)
    return Detections(boxes, np.ones(len(boxes), np.float32), np.arange(len(boxes), dtype=np.int32))


def held(size_wh: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the (3, 3) map from millimetres of the card to pixels, as a hand may hold it."""
    return homography(
        size_wh,
        fill=rng.uniform(0.65, 0.97),
        turn=rng.uniform(-0.2, 0.2),
        tilt=(rng.uniform(-0.35, 0.35), rng.uniform(-0.35, 0.35)),
    )


def homography(size_wh: tuple[int, int], *, fill: float, turn: float, tilt: tuple[float, float]) -> NDArray[np.float64]:
    """Return the (3, 3) map from millimetres of the card to pixels, for a card in the middle of the picture.

    Args:
        size_wh: width and height of the picture.
        fill: how much of the picture the upright sheet spans, 1 touches its sides.
        turn: radians clockwise.
        tilt: radians around the vertical and the horizontal axis.
    """
    scale = fill * min(size_wh[0] / SHEET_WH[0], size_wh[1] / SHEET_WH[1])
    distance = 1.6 * SHEET_WH[0]  # of the eye, so that a tilted card shows perspective
    (ct, st), (ca, sa), (cb, sb) = ((math.cos(angle), math.sin(angle)) for angle in (turn, *tilt))
    around = np.array([[ca, 0, sa], [0, 1, 0], [-sa, 0, ca]]) @ np.array([[1, 0, 0], [0, cb, -sb], [0, sb, cb]])
    turned = around @ np.array([[ct, -st, 0], [st, ct, 0], [0, 0, 1]])
    seen = np.column_stack([turned[:, 0], turned[:, 1], (0, 0, distance)])  # the sheet's own z is 0
    lens = np.array([[scale * distance, 0, size_wh[0] / 2], [0, scale * distance, size_wh[1] / 2], [0, 0, 1]])
    centred = np.array([[1, 0, -SHEET_WH[0] / 2], [0, 1, -SHEET_WH[1] / 2], [0, 0, 1]])
    mapped: NDArray[np.float64] = lens @ seen @ centred
    return mapped


def lay_over(backdrop: NDArray[np.uint8], to_frame: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the backdrop, (H, W, 3) uint8 BGR, with the card in front of it."""
    card = picture(_PIXELS_PER_MM)
    size_wh = (backdrop.shape[1], backdrop.shape[0])
    from_pixels = to_frame @ np.diag([1 / _PIXELS_PER_MM, 1 / _PIXELS_PER_MM, 1.0])
    warped = cv2.warpPerspective(card, from_pixels, size_wh, flags=cv2.INTER_LINEAR)
    cover = cv2.warpPerspective(np.full(card.shape[:2], 255, np.uint8), from_pixels, size_wh)
    laid: NDArray[np.uint8] = np.where(cover[..., None] > 127, warped, backdrop)
    return laid
