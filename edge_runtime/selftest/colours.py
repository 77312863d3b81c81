"""Which colour order a picture and a model's input really have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.detector import Detector
from edge_runtime.inference import BackendInfo, TensorSpec
from edge_runtime.selftest.card import colours

_MIDDLE = 0.3  # the part of a box's side that lies inside every shape
_LEAST_COLOUR = 25.0  # channels closer together than that, of 255, are grey
_RED = (0, 0, 255)  # BGR


def measure(image: NDArray[np.uint8], boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the colour in the middle of each box, (n, 3) RGB 0 to 255 if the picture is BGR as it should be."""
    found = np.zeros((len(boxes), 3))
    for row, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        half_x, half_y = (x2 - x1) * _MIDDLE / 2, (y2 - y1) * _MIDDLE / 2
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        top, left = max(0, round(y - half_y)), max(0, round(x - half_x))
        patch = image[top : max(top + 1, round(y + half_y)), left : max(left + 1, round(x + half_x))]
        if patch.size:
            found[row] = np.median(patch.reshape(-1, 3), axis=0)[::-1]
    return found


def nearest(measured: NDArray[np.float64], *, is_swapped: bool = False) -> NDArray[np.intp]:
    """Return which colour of the card each measured one is, (n,) indices into SHAPES, -1 for a grey.

    Args:
        measured: (n, 3) RGB, 0 to 255.
        is_swapped: take red and blue of the measured ones for each other.
    """
    hues, known = _hues(measured[:, ::-1] if is_swapped else measured), _hues(colours())
    best = np.argmax(hues @ known.T, axis=1)
    return np.where(np.ptp(measured, axis=1) < _LEAST_COLOUR, -1, best)


def _hues(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the direction of each colour from grey, (n, 3) of length 1; (0, 0, 0) for a grey."""
    away = rgb - rgb.mean(axis=1, keepdims=True)
    length = np.linalg.norm(away, axis=1, keepdims=True)
    hues: NDArray[np.float64] = np.divide(away, length, out=np.zeros_like(away), where=length > 0)
    return hues


def red_blue_order(measured: NDArray[np.float64], places: NDArray[np.intp]) -> float | None:
    """Return 1 if red is red and blue is blue, -1 if they are swapped, what lies between for less sure ones.

    Shapes that should have more red than blue are compared with those that should have more blue, so that the tint
    of the light, which all of them share, does not count. None where one of the two kinds is missing.

    Args:
        measured: (n, 3) RGB, 0 to 255.
        places: (n,), which shape of the card each one is, an index into SHAPES.
    """
    lean = measured[:, 0] - measured[:, 2]
    should = (colours()[:, 0] - colours()[:, 2])[places]
    warm, cold = lean[should > 100], lean[should < -100]
    if not (warm.size and cold.size):
        return None
    brightest = max(float(np.ptp(measured, axis=1).max()), 1.0)
    return float(np.clip((warm.mean() - cold.mean()) / (2 * brightest), -1, 1))


class _Listener:
    """Stands in for a backend and keeps what the preprocessing hands to it."""

    outputs: tuple[TensorSpec, ...] = ()

    def __init__(self, inputs: tuple[TensorSpec, ...], info: BackendInfo) -> None:
        self.inputs, self._info = inputs, info
        self.heard: list[NDArray[Any]] = []

    def invoke(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        self.heard = [tensor.copy() for tensor in inputs]
        return []

    def describe(self) -> BackendInfo:
        return self._info

    def close(self) -> None:
        """Nothing to free."""


def red_channel(detector: Detector) -> int | None:
    """Return the channel of the model's input in which a red picture is red; None where it is in no single one.

    The picture goes the way of every frame, up to the model itself.
    """
    width, height = detector.spec.size_wh
    image = np.full((height, width, 3), _RED, np.uint8)
    backend = detector.backend
    listener = _Listener(backend.inputs, backend.describe())
    detector.backend = listener
    try:
        detector.invoke(detector.shrink(np.zeros_like(image)))  # what black is depends on the model's scaling
        black = listener.heard[0]
        detector.invoke(detector.shrink(image))
        red = listener.heard[0]
    finally:
        detector.backend = backend
    planes = (red.astype(np.float64) - black)[0]
    means = planes.mean(axis=(1, 2) if detector.spec.is_nchw else (0, 1))
    bright = np.flatnonzero(np.abs(means) > 0.5 * np.abs(means).max()) if means.any() else np.array([])
    return int(bright[0]) if len(bright) == 1 else None
