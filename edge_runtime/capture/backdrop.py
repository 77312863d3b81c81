"""Backgrounds for drawn scenes: quiet colours, textures, and clutter that is none of the shapes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def draw_backdrop(size_wh: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a random background, (H, W, 3) uint8 BGR: a texture in two or three colours with clutter on it."""
    texture = _TEXTURES[rng.integers(len(_TEXTURES))](size_wh, rng)
    dark, light = _two_tones(rng)
    image = _between(dark, light, texture)
    _tint(image, rng)
    _scatter(image, rng)
    return image


def _two_tones(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return two related BGR colours, (2, 3) float32, with little colour in them."""
    hue = rng.uniform(0, 180)
    value = rng.uniform(50, 200)
    contrast = rng.uniform(20, 60)
    hsv = [
        [hue, rng.uniform(10, 110), value - contrast / 2],
        [hue + rng.uniform(-25, 25), rng.uniform(10, 90), value + contrast / 2],
    ]
    hsv8 = np.array([[[tone[0] % 180, tone[1], np.clip(tone[2], 10, 245)] for tone in hsv]], np.uint8)
    tones: NDArray[np.float32] = cv2.cvtColor(hsv8, cv2.COLOR_HSV2BGR)[0].astype(np.float32)
    return tones


def _between(dark: NDArray[np.float32], light: NDArray[np.float32], where: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the mix of two BGR colours: `where` (H, W) float32 is 0 for the first and 1 for the second."""
    levels = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
    table = np.clip(dark + (light - dark) * levels, 0, 255).astype(np.uint8)[None]
    index = cv2.convertScaleAbs(np.clip(where, 0, 1), alpha=255)
    mixed: NDArray[np.uint8] = cv2.LUT(cv2.cvtColor(index, cv2.COLOR_GRAY2BGR), table)
    return mixed


def _noise(size_wh: tuple[int, int], cells: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return smooth random hills, (H, W) float32 in 0..1, about `cells` of them along the shorter side."""
    shorter = min(size_wh)
    grid_wh = (max(2, cells * size_wh[0] // shorter), max(2, cells * size_wh[1] // shorter))
    small = rng.random((grid_wh[1], grid_wh[0]), dtype=np.float32)
    hills: NDArray[np.float32] = cv2.resize(small, size_wh, interpolation=cv2.INTER_CUBIC)
    return hills


def _slope(size_wh: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a ramp in a random direction, (H, W) float32 in 0..1."""
    corners = rng.random((2, 2), dtype=np.float32)
    ramp: NDArray[np.float32] = cv2.resize(corners, size_wh, interpolation=cv2.INTER_LINEAR)
    return ramp


def _clouds(size_wh: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    hills: NDArray[np.float32] = _noise(size_wh, 3, rng) * 0.55 + _noise(size_wh, 8, rng) * 0.3
    hills += _noise(size_wh, 24, rng) * 0.15
    return hills


def _ramp(size_wh: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    return _slope(size_wh, rng) * 0.85 + _noise(size_wh, 30, rng) * 0.15


def _planks(size_wh: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return boards side by side with grain along them."""
    width, height = size_wh
    count = int(rng.integers(4, 9))
    edges = np.linspace(0, count, height, endpoint=False, dtype=np.float32)
    tone = rng.uniform(0.2, 0.8, count + 1).astype(np.float32)[edges.astype(int)]
    tone -= 0.5 * np.exp(-(((edges % 1.0) * height / count / 2.0) ** 2))  # a dark gap between two boards
    grain = cv2.resize(rng.random((height // 2 + 1, 8), dtype=np.float32), size_wh, interpolation=cv2.INTER_CUBIC)
    boards: NDArray[np.float32] = np.repeat(tone[:, None], width, axis=1) + (grain - 0.5) * 0.35
    if rng.random() < 0.5:
        boards = cv2.resize(np.ascontiguousarray(boards.T), size_wh)
    return boards


def _tiles(size_wh: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a tiled floor, each tile of its own tone, with joints."""
    side = min(size_wh) // int(rng.integers(4, 9))
    columns, rows = size_wh[0] // side + 2, size_wh[1] // side + 2
    tone = rng.uniform(0.35, 0.8, (rows, columns)).astype(np.float32)
    floor = np.repeat(np.repeat(tone, side, axis=0), side, axis=1)
    joint = max(1, side // 24)
    for offset in range(joint):
        floor[offset::side] = 0.1
        floor[:, offset::side] = 0.1
    x, y = int(rng.integers(side)), int(rng.integers(side))
    return floor[y : y + size_wh[1], x : x + size_wh[0]] + (_noise(size_wh, 40, rng) - 0.5) * 0.2


_TEXTURES = (_clouds, _ramp, _planks, _tiles)


def _tint(image: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Light the picture unevenly, as a lamp at one side does."""
    height, width = image.shape[:2]
    lamp = 0.75 + 0.4 * _slope((width, height), rng)
    cv2.multiply(image, cv2.merge([lamp] * 3), dst=image, dtype=cv2.CV_8U)


def _scatter(image: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Draw thin lines, open curves and specks: things that are there and are none of the shapes."""
    height, width = image.shape[:2]
    unit = min(height, width) / 160
    layer = image.copy()
    for _ in range(rng.integers(0, 7)):
        colour = [int(value) for value in rng.integers(30, 225, 3)]
        thickness = max(1, round(rng.uniform(0.5, 2.0) * unit))
        cv2.polylines(layer, [_curve(width, height, rng)], False, colour, thickness, cv2.LINE_AA, 4)
    for x, y, radius in rng.random((int(rng.integers(0, 40)), 3)):
        colour = [int(value) for value in rng.integers(30, 225, 3)]
        centre = (int(x * width * 16), int(y * height * 16))
        cv2.circle(layer, centre, int((0.4 + 0.9 * radius) * unit * 16), colour, -1, cv2.LINE_AA, 4)
    strength = float(rng.uniform(0.4, 0.9))
    cv2.addWeighted(layer, strength, image, 1 - strength, 0, dst=image)


def _curve(width: int, height: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Return an open curve through the picture, (n, 1, 2) int32 in 1/16 pixels: a straight line, or a bent one."""
    start, end = rng.uniform(-0.1, 1.1, 2), rng.uniform(-0.1, 1.1, 2)
    bend = (start + end) / 2 + rng.normal(0, 0.25, 2) * (rng.random() < 0.6)
    t = np.linspace(0, 1, 24)[:, None]
    points = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
    return np.round(points * (width, height) * 16).astype(np.int32)[:, None]
