"""The shapes of drawn scenes, each painted once and then moved, turned and tilted by a homography."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SHAPES = ("circle", "square", "triangle", "star", "hexagon", "cross")
STYLES = ("filled", "outlined", "textured")

_MARGIN = 1.3  # half the side of a sprite in radii: room for the shadow


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """A painted shape on a square, its middle in the middle."""

    colour: NDArray[np.uint8]  # (S, S, 3), BGR, already multiplied by the cover
    cover: NDArray[np.uint8]  # (S, S), how much of what lies behind is hidden by shape and shadow, 255 all
    mask: NDArray[np.uint8]  # (S, S), the shape alone, 255 inside
    corners: NDArray[np.float64]  # (n, 2), the outline around the middle, in pixels
    radius_px: float

    @property
    def middle(self) -> float:
        """The middle of the square, in pixels, x and y alike."""
        return (len(self.mask) - 1) / 2


def outline(shape: str) -> NDArray[np.float64]:
    """Return the corners of a shape around (0, 0), (n, 2), the furthest at distance 1, y pointing down."""
    if shape == "circle":
        return _ring(48)
    if shape == "square":
        return _ring(4, turn=math.pi / 4)
    if shape == "triangle":
        return _ring(3, turn=-math.pi / 2)
    if shape == "hexagon":
        return _ring(6)
    if shape == "star":
        points = _ring(10, turn=-math.pi / 2)
        points[1::2] *= 0.45
        return points
    if shape == "cross":
        a, b = 0.32, math.sqrt(1 - 0.32**2)
        quarter = np.array([[a, -b], [a, -a], [b, -a]])
        turns = [np.array([[c, -s], [s, c]]) for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1))]
        return np.concatenate([quarter @ turn.T for turn in turns])
    raise ValueError(f"shape: {shape!r} is unknown; choose from {', '.join(SHAPES)}")


def paint_sprite(
    shape: str, style: str, radius_px: float, colour: NDArray[np.float32], rng: np.random.Generator
) -> Sprite:
    """Return a shape ready to be placed.

    Args:
        shape: one of SHAPES.
        style: one of STYLES.
        radius_px: distance of its furthest corner from its middle, in pixels.
        colour: (3,) BGR, 0 to 255.
        rng: decides texture, shading and shadow.
    """
    side = 2 * math.ceil(radius_px * _MARGIN) + 1
    corners = outline(shape) * radius_px
    mask = np.zeros((side, side), np.uint8)
    points = np.round((corners + side // 2) * 16).astype(np.int32)
    cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, 4)
    paint = _paint(side, style, colour, radius_px, rng)
    inside = cv2.distanceTransform(cv2.threshold(mask, 127, 255, cv2.THRESH_BINARY)[1], cv2.DIST_L2, 3)
    if style == "outlined":
        width = max(1.6, radius_px * rng.uniform(0.16, 0.26))
        mask = cv2.min(mask, cv2.convertScaleAbs(np.clip(width + 0.5 - inside, 0, 1), alpha=255))
    elif rng.random() < 0.5:  # a rim, darker or lighter
        rim = np.clip(1.5 + radius_px * 0.03 - inside, 0, 1)[..., None]
        paint = paint * (1 - rim) + colour * rng.choice(np.array([0.55, 1.5], np.float32)) * rim
    shadow = _shadow(mask, radius_px, rng.uniform(0.25, 0.5)) if rng.random() < 0.5 else np.zeros_like(mask)
    alpha = mask.astype(np.float32)[..., None] / 255
    return Sprite(
        colour=np.clip(paint * alpha, 0, 255).astype(np.uint8),
        cover=cv2.add(mask, cv2.multiply(shadow, cv2.bitwise_not(mask), scale=1 / 255)),
        mask=mask,
        corners=corners,
        radius_px=radius_px,
    )


def pick_colour(background: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a BGR colour, (3,) 0 to 255, that stands out from the background's (3,) BGR mean."""
    hsv = np.stack([rng.uniform(0, 180, 6), rng.uniform(120, 255, 6), rng.uniform(110, 255, 6)], axis=1)
    if rng.random() < 0.15:
        hsv[:, 1] = rng.uniform(0, 30)  # nearly white, grey or black
        hsv[:, 2] = rng.uniform(10, 255, 6)
    colours = cv2.cvtColor(hsv[None].astype(np.uint8), cv2.COLOR_HSV2BGR)[0].astype(np.float32)
    distance = np.linalg.norm(colours - background, axis=1)
    far_enough = np.flatnonzero(distance > 110)
    best: NDArray[np.float32] = colours[far_enough[0] if far_enough.size else int(np.argmax(distance))]
    return best


def _ring(corners: int, turn: float = 0.0) -> NDArray[np.float64]:
    angles = turn + np.arange(corners) * (2 * math.pi / corners)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _paint(
    side: int, style: str, colour: NDArray[np.float32], radius_px: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return the surface of a shape, (side, side, 3) float32 BGR: a texture or one colour, lit from one side."""
    x, y = np.meshgrid(*[np.linspace(-1, 1, side, dtype=np.float32)] * 2)
    if style == "textured":
        other = np.clip(colour * rng.uniform(0.3, 0.6) + rng.uniform(0, 110, 3), 0, 255).astype(np.float32)
        amount = _texture(x, y, radius_px, rng)[..., None]
        surface: NDArray[np.float32] = colour * (1 - amount) + other * amount
    else:
        surface = np.broadcast_to(colour, (side, side, 3)).astype(np.float32)
    angle, strength = rng.uniform(0, 2 * math.pi), rng.uniform(0.0, 0.3)
    surface *= (1 + strength * (x * math.cos(angle) + y * math.sin(angle)))[..., None]
    return surface


def _texture(
    x: NDArray[np.float32], y: NDArray[np.float32], radius_px: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return a pattern over coordinates in -1..1, (side, side) float32 in 0..1: stripes, squares, dots or blotches."""
    angle = rng.uniform(0, math.pi)
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    waves = rng.uniform(2, min(6, 2 + radius_px / 10)) * math.pi
    sharp = max(1.5, radius_px / waves)
    kind = rng.integers(4)
    if kind == 0:
        pattern = np.sin(u * waves)
    elif kind == 1:
        pattern = np.sin(u * waves) * np.sin(v * waves) * 2
    elif kind == 2:
        pattern = np.cos(u * waves) + np.cos(v * waves) - 0.7
    else:
        grid = rng.random((7, 7), dtype=np.float32) * 2 - 1
        pattern = cv2.resize(grid, (x.shape[1], x.shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.clip(pattern * sharp * 0.5 + 0.5, 0, 1).astype(np.float32)


def _shadow(mask: NDArray[np.uint8], radius_px: float, strength: float) -> NDArray[np.uint8]:
    """Return the shape's soft shadow, below and right of it, (S, S) uint8."""
    shift = np.array([[1, 0, radius_px * 0.07], [0, 1, radius_px * 0.1]], np.float32)
    moved = cv2.warpAffine(mask, shift, mask.shape[::-1])
    blurred = cv2.GaussianBlur(moved, (0, 0), max(0.5, radius_px * 0.06))
    shadow: NDArray[np.uint8] = cv2.convertScaleAbs(blurred, alpha=strength)
    return shadow
