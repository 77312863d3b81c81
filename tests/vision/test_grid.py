"""The cells of heads without anchors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from edge_runtime.vision.grid import count_cells, grid

sizes = st.tuples(st.integers(1, 300), st.integers(1, 300))
strides = st.lists(st.sampled_from([4, 8, 16, 32, 64]), min_size=1, max_size=4)


@given(sizes, strides)
def test_every_cell_begins_inside_the_input_and_is_counted(size_wh: tuple[int, int], steps: list[int]) -> None:
    """A grid that is one row short shifts every box behind it."""
    cells, stride = grid(size_wh, tuple(steps))
    assert len(cells) == len(stride) == count_cells(size_wh, steps)
    corners = cells * stride
    assert (corners < np.array(size_wh)).all()
    assert len(np.unique(np.concatenate([cells, stride], axis=1), axis=0)) == count_cells(size_wh, set(steps))


def test_cells_run_along_rows_and_the_grids_follow_one_another() -> None:
    """The order is the order of the outputs: nothing else says which row belongs where."""
    cells, stride = grid((24, 16), (8, 16))
    assert_array_equal(cells, [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1], [0, 0], [1, 0]])
    assert_array_equal(stride[:, 0], [8] * 6 + [16] * 2)


def test_a_grid_reaches_beyond_an_input_that_is_no_multiple() -> None:
    """Networks pad: 100 pixels at stride 32 are 4 cells."""
    assert count_cells((100, 32), [32]) == 4


def test_a_grid_is_made_once_and_cannot_be_written_to() -> None:
    """It is the same array for every frame."""
    cells, stride = grid((64, 64), (8,))
    assert grid((64, 64), (8,))[0] is cells
    for one in (cells, stride):
        with pytest.raises(ValueError, match="read-only"):
            one[0] = 5
