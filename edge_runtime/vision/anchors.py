"""The anchors of an SSD, made by the recipes that the published models were trained with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.vision.grid import count_cells, grid

_LEAST_SCALE, _MOST_SCALE = 0.2, 0.95
_SSD_STRIDES, _FPN_STRIDES = (16, 32, 64, 128, 256, 512), (8, 16, 32, 64, 128)
_RATIOS = (1.0, 2.0, 1 / 2, 3.0, 1 / 3)  # width to height
_FPN_RATIOS, _FPN_SCALE, _PER_OCTAVE = (1.0, 2.0, 1 / 2), 4.0, 2


@dataclass(frozen=True, slots=True)
class Recipe:
    """A way to lay anchors over an input."""

    count: Callable[[tuple[int, int]], int]  # of anchors, for an input (width, height)
    make: Callable[[tuple[int, int]], NDArray[np.float32]]


def fitting_recipes(size_wh: tuple[int, int], rows: int) -> list[str]:
    """Return the recipes that make so many anchors for an input of this size."""
    return [name for name, recipe in RECIPES.items() if recipe.count(size_wh) == rows]


def ssd_anchors(size_wh: tuple[int, int]) -> NDArray[np.float32]:
    """Return (n, 4) centre y, centre x, height, width, 0 to 1, for the SSDs on MobileNet and Inception.

    Six grids from stride 16 on, whose scale grows from 0.2 to 0.95 of the input. A cell of the first has three
    anchors, one of the others six: one for each ratio, and a square between this scale and the next.

    Source: Liu et al., SSD (2016), section 2.2; TensorFlow Object Detection API, multiple_grid_anchor_generator with
        the values of the ssd_mobilenet pipelines (reduce_boxes_in_lowest_layer).
    """
    scales = [*np.linspace(_LEAST_SCALE, _MOST_SCALE, len(_SSD_STRIDES)), 1.0]
    found = []
    for layer, stride in enumerate(_SSD_STRIDES):
        scale = scales[layer]
        if layer == 0:
            shapes = [(0.1, 1.0), (scale, 2.0), (scale, 1 / 2)]
        else:
            shapes = [(scale, ratio) for ratio in _RATIOS] + [(float(np.sqrt(scale * scales[layer + 1])), 1.0)]
        cells, _ = grid(size_wh, (stride,))
        columns_rows = cells.max(axis=0) + 1
        centres_yx = ((cells + 0.5) / columns_rows)[:, ::-1]
        heights_widths = np.array([(one / np.sqrt(ratio), one * np.sqrt(ratio)) for one, ratio in shapes])
        found.append(_at_each(centres_yx, heights_widths))
    return np.concatenate(found).astype(np.float32)


def fpn_anchors(size_wh: tuple[int, int]) -> NDArray[np.float32]:
    """Return (n, 4) centre y, centre x, height, width, 0 to 1, for the SSDs with a feature pyramid (FPN, FPNLite).

    Five grids from stride 8 on; a cell has anchors of four and of 5.7 times its side, each in three ratios. Where
    the stride does not divide the input, the cells are counted from their corner.

    Source: Lin et al., Focal Loss (2017), section 4; TensorFlow Object Detection API, multiscale_grid_anchor_generator
        with the values of the ssd_mobilenet_*_fpn pipelines.
    """
    size = np.array(size_wh[::-1], np.float64)
    scales = [2 ** (step / _PER_OCTAVE) for step in range(_PER_OCTAVE)]
    shapes = np.array(
        [(one / np.sqrt(ratio), one * np.sqrt(ratio)) for ratio in _FPN_RATIOS for one in scales], np.float64
    )
    found = []
    for stride in _FPN_STRIDES:
        cells, _ = grid(size_wh, (stride,))
        offset = np.where(size % stride == 0, stride / 2, 0)
        centres_yx = cells[:, ::-1] * stride + offset
        found.append(_at_each(centres_yx / size, shapes * _FPN_SCALE * stride / size))
    return np.concatenate(found).astype(np.float32)


def _at_each(centres_yx: NDArray[np.floating], heights_widths: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return (cells * shapes, 4): all shapes of the first cell, then all of the second."""
    middles = np.repeat(centres_yx, len(heights_widths), axis=0)
    return np.concatenate([middles, np.tile(heights_widths, (len(centres_yx), 1))], axis=1)


def _ssd_count(size_wh: tuple[int, int]) -> int:
    return 3 * count_cells(size_wh, _SSD_STRIDES[:1]) + 6 * count_cells(size_wh, _SSD_STRIDES[1:])


def _fpn_count(size_wh: tuple[int, int]) -> int:
    return len(_FPN_RATIOS) * _PER_OCTAVE * count_cells(size_wh, _FPN_STRIDES)


RECIPES: dict[str, Recipe] = {"ssd": Recipe(_ssd_count, ssd_anchors), "ssd_fpn": Recipe(_fpn_count, fpn_anchors)}


def make_anchors(recipe: str, size_wh: Sequence[int]) -> NDArray[np.float32]:
    """Return (n, 4) the anchors of a recipe for an input (width, height)."""
    return RECIPES[recipe].make((size_wh[0], size_wh[1]))
