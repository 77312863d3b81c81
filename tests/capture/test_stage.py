"""What is random about a scene."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edge_runtime.capture.sprites import SHAPES
from edge_runtime.capture.stage import GRAIN_MARGIN, SHOT_S, Effects, Way, make_scene

SIZE = (160, 120)


def test_a_way_swings_around_its_anchor() -> None:
    """At a quarter of its period it is furthest out."""
    way = Way(anchor=(50.0, 40.0), swing=(10.0, 0.0), speed=(np.pi / 2, 1.0), phase=(0.0, 0.0))

    np.testing.assert_allclose(way.at(np.array([0.0, 1.0, 3.0])), [[50, 40], [60, 40], [40, 40]], atol=1e-9)


@pytest.mark.parametrize("seed", range(30))
def test_a_scene_has_one_to_six_shapes_that_stay_apart_and_mostly_inside(seed: int) -> None:
    """So that nothing disappears behind another shape in the middle of the picture."""
    scene = make_scene(SIZE, seed)
    times = np.linspace(0, SHOT_S, 60)
    ways = [(mover.way.at(times), mover.sprite.radius_px) for mover in scene.movers]

    assert 1 <= len(scene.movers) <= 6
    assert all(0 <= mover.class_id < len(SHAPES) for mover in scene.movers)
    for positions, radius in ways:
        assert 10 * 120 / 160 <= radius <= 46 * 120 / 160
        assert np.all(positions >= 0.39 * radius)
        assert np.all(positions <= np.array(SIZE) - 0.39 * radius)
    for (a, radius_a), (b, radius_b) in itertools.combinations(ways, 2):
        assert np.linalg.norm(a - b, axis=1).min() > 0.7 * (radius_a + radius_b)


def test_scenes_are_as_varied_as_training_needs() -> None:
    """All classes, all counts, small and large, with and without beams, blur, noise and JPEG."""
    scenes = [make_scene(SIZE, seed, jpeg=True) for seed in range(150)]
    movers = [mover for scene in scenes for mover in scene.movers]

    assert {len(scene.movers) for scene in scenes} >= {1, 2, 3, 4, 5}
    assert {mover.class_id for mover in movers} == set(range(len(SHAPES)))
    radii = np.array([mover.sprite.radius_px for mover in movers])
    assert np.percentile(radii, 90) / np.percentile(radii, 10) > 2.5
    assert {len(scene.bars) for scene in scenes} == {0, 1, 2}
    assert {scene.effects.jpeg_quality is None for scene in scenes} == {True, False}
    assert {scene.effects.blur_px > 0 for scene in scenes} == {True, False}
    assert {scene.grain.size > 0 for scene in scenes} == {True, False}


def test_without_effects_the_camera_is_perfect() -> None:
    """The switch for those who want to see the drawing itself."""
    scene = make_scene(SIZE, 3, effects=False)

    assert scene.effects == Effects()
    assert scene.grain.shape == (0, 0, 3)


def test_compression_is_left_to_those_who_ask_for_it() -> None:
    """It costs more than all the rest, and the board has better things to do."""
    assert all(make_scene(SIZE, seed).effects.jpeg_quality is None for seed in range(20))


def test_the_noise_has_the_strength_the_scene_says() -> None:
    """Its layer is larger than the frame, so that every frame shows another part."""
    scene = next(scene for scene in (make_scene((200, 180), seed) for seed in range(20)) if scene.grain.size)

    assert scene.grain.shape == (180 + GRAIN_MARGIN, 200 + GRAIN_MARGIN, 3)
    assert scene.grain.std() == pytest.approx(scene.effects.noise, rel=0.15)


def test_a_frame_too_small_to_show_anything_is_refused() -> None:
    """The smallest shape would be a speck of four pixels."""
    with pytest.raises(ValueError, match="size 31x64 is too small"):
        make_scene((31, 64), 0)
