"""The test card: six shapes in known colours at known places, as polygons and lines of text on an A4 sheet.

Lengths are millimetres from the upper left corner of the sheet, y pointing down. Colours are RGB, 0 to 255.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.capture.sprites import SHAPES, outline

SHEET_WH = (297.0, 210.0)
PITCH_WH = (93.0, 78.0)
"""From the middle of a shape to that of its neighbour."""
RADIUS = 33.0
PAPER = (196, 196, 196)
INK = (45, 45, 45)

# Red and blue changed places, which also changes yellow and cyan, must not look like the card mirrored or turned:
# hence no simple order of the spectrum.
_COLOURS = {
    "circle": ("red", (215, 25, 25)),
    "square": ("blue", (30, 50, 205)),
    "triangle": ("green", (20, 150, 40)),
    "star": ("yellow", (250, 225, 20)),
    "hexagon": ("magenta", (205, 30, 170)),
    "cross": ("cyan", (20, 185, 220)),
}


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """A polygon of one colour."""

    corners: NDArray[np.float64]  # (n, 2)
    colour: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text, its middle at x and its baseline at y."""

    text: str
    x: float
    y: float
    height: float  # of a capital letter
    colour: tuple[int, int, int] = INK


def colour_names() -> tuple[str, ...]:
    """Return the name of the colour of each shape, in the order of SHAPES."""
    return tuple(_COLOURS[shape][0] for shape in SHAPES)


def colours() -> NDArray[np.float64]:
    """Return the colour of each shape, (6, 3) RGB 0 to 255, in the order of SHAPES."""
    return np.array([_COLOURS[shape][1] for shape in SHAPES], np.float64)


def places() -> NDArray[np.float64]:
    """Return the middle of the box around each shape, (6, 2), in the order of SHAPES."""
    low, high = (np.array([side(corners, axis=0) for corners in shape_outlines()]) for side in (np.min, np.max))
    middles: NDArray[np.float64] = (low + high) / 2
    return middles


def shape_outlines() -> list[NDArray[np.float64]]:
    """Return the corners (n, 2) of each shape, in the order of SHAPES: two rows of three."""
    first = np.array(SHEET_WH) / 2 - np.array((PITCH_WH[0], PITCH_WH[1] / 2 - 1.0))
    return [
        first + np.array((number % 3, number // 3)) * PITCH_WH + RADIUS * outline(shape)
        for number, shape in enumerate(SHAPES)
    ]


def drawing() -> tuple[list[Area], list[Line]]:
    """Return all that is on the sheet, from back to front: the areas, then the text."""
    width, height = SHEET_WH
    middle = width / 2
    sheet = np.array([(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)])
    shapes = [Area(corners, _COLOURS[shape][1]) for shape, corners in zip(SHAPES, shape_outlines(), strict=True)]
    lines = [
        Line("THIS SIDE UP", middle, 16.5, 6.0),
        Line("edge-runtime test card: hold it upright, 30 to 40 cm from the camera, filling the picture",
             middle, height - 8.0, 3.2),
    ]  # fmt: skip
    return [Area(sheet, PAPER), *shapes, _arrow(middle - 46, 13.5), _arrow(middle + 46, 13.5)], lines


def _arrow(x: float, y: float) -> Area:
    """Return an arrow that points up, its middle at (x, y)."""
    corners = np.array([(0, -5.5), (5, 0), (1.8, 0), (1.8, 5.5), (-1.8, 5.5), (-1.8, 0), (-5, 0)], np.float64)
    return Area(corners + np.array((x, y)), INK)
