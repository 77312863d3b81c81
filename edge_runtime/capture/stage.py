"""All that is random about a drawn scene: background, shapes and their ways, beams, the camera's faults."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.capture.backdrop import draw_backdrop
from edge_runtime.capture.sprites import SHAPES, STYLES, Sprite, paint_sprite, pick_colour

SHOT_S = 8.0
"""Seconds for which the ways of the shapes are planned; a running source then cuts to another scene."""

GRAIN_MARGIN = 32
"""Pixels by which the layer of noise is wider and higher than the frame: each frame shows another part of it."""

_RADII = (10.0, 46.0)  # smallest and largest, for a frame whose shorter side is 160 pixels
_DRIFT = 0.04  # how far the background may wander, in parts of the frame
_APART = 0.75  # least distance of two middles over the sum of their radii, at any time
_TRIES = 12


@dataclass(frozen=True, slots=True)
class Effects:
    """What the camera does to a picture, in the order in which it does it."""

    blur_px: float = 0.0  # sigma
    gain: float = 1.0
    gamma: float = 1.0
    noise: float = 0.0  # sigma, in steps of 8 bits
    jpeg_quality: int | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """A smooth closed way around a place; x first, then y."""

    anchor: tuple[float, float]  # pixels of the frame
    swing: tuple[float, float]  # pixels to either side of the anchor
    speed: tuple[float, float]  # radians a second
    phase: tuple[float, float]  # radians

    def at(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the positions at (n,) seconds, (n, 2) in pixels of the frame."""
        swung: NDArray[np.float64] = np.array(self.swing) * np.sin(self.phase + np.multiply.outer(t, self.speed))
        return swung + self.anchor


@dataclass(frozen=True, slots=True, eq=False)
class Mover:
    """A shape on its way, turning, seen a little from the side."""

    class_id: int  # index into SHAPES
    sprite: Sprite
    way: Way
    turn: tuple[float, float]  # radians at time 0, radians a second
    tilt: tuple[float, float, float, float]  # width and height factor, vanishing per pixel in x and y

    def homography(self, t: float) -> NDArray[np.float64]:
        """Return the (3, 3) map from pixels of the sprite, around its middle, to pixels of the frame."""
        angle = self.turn[0] + self.turn[1] * t
        c, s = math.cos(angle), math.sin(angle)
        x, y = self.way.at(np.array([t]))[0]
        width, height, vanish_x, vanish_y = self.tilt
        turned = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        tilted = np.array([[width, 0, 0], [0, height, 0], [vanish_x, vanish_y, 1]])
        placed: NDArray[np.float64] = np.array([[1, 0, x], [0, 1, y], [0, 0, 1]]) @ tilted @ turned
        return placed


@dataclass(frozen=True, slots=True, eq=False)
class Bar:
    """A thin beam in front of everything."""

    corners: NDArray[np.int32]  # (4, 2), 1/16 pixels of the frame
    colour: tuple[int, int, int]  # BGR


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A scene; what it looks like at a time is a pure function of it and the time."""

    size_wh: tuple[int, int]
    backdrop: NDArray[np.uint8]  # BGR, larger than the frame, so that it can wander
    movers: tuple[Mover, ...]  # from back to front
    bars: tuple[Bar, ...]
    effects: Effects
    grain: NDArray[np.int16]  # (H + GRAIN_MARGIN, W + GRAIN_MARGIN, 3), noise of the scene's sigma; (0, 0, 3) without


def make_scene(
    size_wh: tuple[int, int], seed: int | tuple[int, ...], *, effects: bool = True, jpeg: bool = False
) -> Scene:
    """Return a scene of 1 to 6 shapes.

    Args:
        size_wh: width and height of the frame, at least 32 each.
        seed: the same seed and size give the same scene.
        effects: blur, exposure and noise of a camera; without, the picture is clean.
        jpeg: with `effects`, compress half of all scenes, as network cameras do; it costs more than all the rest.

    Raises:
        ValueError: the frame is smaller than that.
    """
    if min(size_wh) < 32:
        raise ValueError(f"scene: size {size_wh[0]}x{size_wh[1]} is too small; 32x32 is the least")
    rng = np.random.default_rng(seed)
    margin = [2 * round(side * _DRIFT) for side in size_wh]
    backdrop = draw_backdrop((size_wh[0] + margin[0], size_wh[1] + margin[1]), rng)
    movers = _place(size_wh, np.array(cv2.mean(backdrop)[:3], np.float32), rng)
    bars = tuple(_bar(size_wh, rng) for _ in range(int(rng.choice([0, 0, 1, 2]))))
    camera = _camera(min(size_wh), jpeg, rng) if effects else Effects()
    return Scene(size_wh, backdrop, movers, bars, camera, _grain(size_wh, camera.noise, rng))


def _place(size_wh: tuple[int, int], background: NDArray[np.float32], rng: np.random.Generator) -> tuple[Mover, ...]:
    """Return shapes whose ways bring none of them far over another; fewer than drawn if there is no room."""
    times = np.arange(0, SHOT_S, 0.1)
    placed: list[tuple[float, NDArray[np.float64]]] = []
    movers = []
    for _ in range(int(rng.integers(1, 7))):
        radius = math.exp(rng.uniform(math.log(_RADII[0]), math.log(_RADII[1]))) * min(size_wh) / 160
        for _ in range(_TRIES):
            way = _way(size_wh, radius, rng)
            positions = way.at(times)
            if all(np.hypot(*(positions - others).T).min() > _APART * (radius + other) for other, others in placed):
                placed.append((radius, positions))
                movers.append(_mover(way, radius, background, rng))
                break
    return tuple(movers)


def _way(size_wh: tuple[int, int], radius: float, rng: np.random.Generator) -> Way:
    """Return a way on which at most a part of the shape leaves the frame."""
    border = 0.4 * radius
    room = np.array(size_wh) - 2 * border
    anchor = border + rng.random(2) * room
    to_border = np.minimum(anchor - border, np.array(size_wh) - border - anchor)
    swing = np.minimum(to_border, rng.uniform(0.05, 0.3, 2) * size_wh)
    speed = rng.uniform(0.25, 0.9, 2)
    phase = rng.uniform(0, 2 * math.pi, 2)
    return Way(_pair(anchor), _pair(swing), _pair(speed), _pair(phase))


def _mover(way: Way, radius: float, background: NDArray[np.float32], rng: np.random.Generator) -> Mover:
    class_id = int(rng.integers(len(SHAPES)))
    style = str(rng.choice(STYLES, p=[0.45, 0.2, 0.35]))
    sprite = paint_sprite(SHAPES[class_id], style, radius, pick_colour(background, rng), rng)
    vanish = rng.uniform(-0.12, 0.12, 2) / radius
    tilt = (*_pair(rng.uniform(0.8, 1.0, 2)), *_pair(vanish))
    return Mover(class_id, sprite, way, (rng.uniform(0, 2 * math.pi), rng.uniform(-0.8, 0.8)), tilt)


def _bar(size_wh: tuple[int, int], rng: np.random.Generator) -> Bar:
    """Return a beam right across the frame, thinner than half of the smallest shape."""
    diagonal = math.hypot(*size_wh)
    middle, angle = rng.uniform(0.1, 0.9, 2) * size_wh, rng.uniform(0, math.pi)
    along = np.array([math.cos(angle), math.sin(angle)])
    across = np.array([-along[1], along[0]]) * rng.uniform(0.008, 0.02) * min(size_wh)
    corners = np.array([middle + a * diagonal * along + b * across for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
    grey = rng.uniform(15, 235)
    colour = [int(value) for value in np.clip(grey + rng.uniform(-25, 25, 3), 0, 255)]
    return Bar(np.round(corners * 16).astype(np.int32), (colour[0], colour[1], colour[2]))


def _camera(shorter: int, jpeg: bool, rng: np.random.Generator) -> Effects:
    return Effects(
        blur_px=float(rng.uniform(0.3, 0.9) * max(1.0, shorter / 320)) if rng.random() < 0.5 else 0.0,
        gain=float(rng.uniform(0.85, 1.15)),
        gamma=float(rng.uniform(0.75, 1.3)),
        noise=float(rng.uniform(0, 7)),
        jpeg_quality=int(rng.integers(45, 96)) if jpeg and rng.random() < 0.5 else None,
    )


def _grain(size_wh: tuple[int, int], sigma: float, rng: np.random.Generator) -> NDArray[np.int16]:
    """Return noise, brightness more than colour; one square of it laid out like tiles, which no eye sees."""
    if sigma < 0.5:
        return np.zeros((0, 0, 3), np.int16)
    width, height = size_wh[0] + GRAIN_MARGIN, size_wh[1] + GRAIN_MARGIN
    side = min(160, width, height)
    noise = rng.standard_normal((side, side, 1), dtype=np.float32) * 0.8
    noise = noise + rng.standard_normal((side, side, 3), dtype=np.float32) * 0.6
    square = np.round(noise * sigma).astype(np.int16)
    return np.tile(square, (-(-height // side), -(-width // side), 1))[:height, :width].copy()


def _pair(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values[0]), float(values[1])
