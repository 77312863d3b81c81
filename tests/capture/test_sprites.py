"""The shapes of drawn scenes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_runtime.capture.sprites import SHAPES, STYLES, outline, paint_sprite, pick_colour

RED = np.array([20, 30, 220], np.float32)


@pytest.mark.parametrize(
    ("shape", "corners", "area"),
    [
        ("circle", 48, np.pi),
        ("square", 4, 2.0),
        ("triangle", 3, 3 * np.sqrt(3) / 4),
        ("star", 10, 10 * 0.5 * 0.45 * np.sin(np.pi / 5)),
        ("hexagon", 6, 3 * np.sqrt(3) / 2),
        ("cross", 12, 8 * 0.32 * np.sqrt(1 - 0.32**2) - 4 * 0.32**2),
    ],
)
def test_an_outline_is_the_shape_its_name_says(shape: str, corners: int, area: float) -> None:
    """By number of corners and area, inside a circle of radius 1."""
    points = outline(shape)

    assert points.shape == (corners, 2)
    assert np.linalg.norm(points, axis=1).max() == pytest.approx(1)
    assert cv2.contourArea(points.astype(np.float32)) == pytest.approx(area, rel=0.01)


def test_an_unknown_shape_is_refused_with_the_choices() -> None:
    """They are the classes of the model."""
    with pytest.raises(ValueError, match="'blob' is unknown; choose from circle, square"):
        outline("blob")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("style", STYLES)
def test_a_sprite_shows_its_shape_and_hides_at_least_what_the_shape_covers(shape: str, style: str) -> None:
    """The mask makes the truth, the cover makes the picture: they must agree."""
    for seed in range(4):
        sprite = paint_sprite(shape, style, 30.0, RED, np.random.default_rng(seed))
        area = np.count_nonzero(sprite.mask > 127)
        points = (outline(shape) * 30).astype(np.float32)
        full, border = cv2.contourArea(points), cv2.arcLength(points, True)

        assert sprite.colour.shape == (*sprite.mask.shape, 3)
        assert sprite.middle == (sprite.mask.shape[0] - 1) / 2
        assert np.all(sprite.cover >= sprite.mask)
        assert not sprite.colour[sprite.cover == 0].any()
        if style == "outlined":
            assert 0.2 * full < area < 0.9 * (full + border)
            assert sprite.mask.any(axis=0).sum() > 35
        else:
            assert full < area < full + border  # OpenCV paints the pixels on the border too


def test_shadows_darken_beside_the_shape_and_are_no_part_of_it() -> None:
    """A box around the shadow would be a wrong truth."""
    sprites = [paint_sprite("square", "filled", 30.0, RED, np.random.default_rng(seed)) for seed in range(12)]
    shadowed = [sprite for sprite in sprites if np.any(sprite.cover[sprite.mask == 0] > 40)]

    assert 0 < len(shadowed) < len(sprites)
    for sprite in shadowed:
        beside = (sprite.mask == 0) & (sprite.cover > 40)
        assert not sprite.colour[beside].any()


@pytest.mark.parametrize("background", [(0, 0, 0), (128, 128, 128), (255, 255, 255), (60, 90, 40)])
def test_a_shape_stands_out_from_its_background(background: tuple[int, int, int]) -> None:
    """What nobody can see must not be in the truth."""
    behind = np.array(background, np.float32)

    distances = [np.linalg.norm(pick_colour(behind, np.random.default_rng(seed)) - behind) for seed in range(60)]

    assert min(distances) > 60
    assert np.mean(np.array(distances) > 110) > 0.9
