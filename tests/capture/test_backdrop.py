"""Backgrounds of drawn scenes."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.capture.backdrop import _TEXTURES, draw_backdrop


def test_the_same_seed_draws_the_same_background() -> None:
    """A scene is told by its seed alone."""
    first, again, other = (draw_backdrop((120, 90), np.random.default_rng(seed)) for seed in (4, 4, 5))

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("size_wh", [(160, 160), (97, 41), (32, 200)])
def test_backgrounds_are_pictures_of_any_size_and_neither_black_nor_white(seed: int, size_wh: tuple[int, int]) -> None:
    """A flat background would make every shape easy."""
    image = draw_backdrop(size_wh, np.random.default_rng(seed))

    assert (image.shape, image.dtype) == ((size_wh[1], size_wh[0], 3), np.uint8)
    assert 5 < image.mean() < 250
    assert image.std() > 1.5


@pytest.mark.parametrize("texture", _TEXTURES)
def test_every_texture_fills_the_picture_with_levels_around_zero_to_one(texture: object) -> None:
    """They index a table of colours."""
    for seed in range(8):
        levels = texture((80, 60), np.random.default_rng(seed))  # type: ignore[operator]
        assert (levels.shape, levels.dtype) == ((60, 80), np.float32)
        assert -1 < levels.min() < levels.max() < 2
