"""The cells that a detector without anchors looks at: one grid for each stride, laid over the model's input."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def count_cells(size_wh: tuple[int, int], strides: Sequence[int]) -> int:
    """Return how many cells the grids of these strides have on an input of this size."""
    return sum(columns * rows for columns, rows in (_sides(size_wh, stride) for stride in strides))


@lru_cache(maxsize=16)
def grid(size_wh: tuple[int, int], strides: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (n, 2) column and row of each cell and (n, 1) its stride; not to be written to.

    Grid after grid in the order of `strides`, each row by row. A grid covers the input: its last column and row may
    reach beyond.
    """
    corners, sizes = [], []
    for stride in strides:
        columns, rows = _sides(size_wh, stride)
        corners.append(np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2))
        sizes.append(np.full((columns * rows, 1), stride))
    cells, strides_of = np.concatenate(corners).astype(np.float32), np.concatenate(sizes).astype(np.float32)
    cells.setflags(write=False)
    strides_of.setflags(write=False)
    return cells, strides_of


def _sides(size_wh: tuple[int, int], stride: int) -> tuple[int, int]:
    return -(-size_wh[0] // stride), -(-size_wh[1] // stride)
