"""Drawn scenes and their truth."""

from __future__ import annotations

import dataclasses
import itertools

import cv2
import numpy as np
import pytest

from edge_runtime.capture.scene import SHAPES, Effects, Scene, SceneFrame, SceneSource, make_scene, render
from edge_runtime.capture.sprites import paint_sprite
from edge_runtime.capture.stage import SHOT_S, Bar, Mover, Way
from edge_runtime.errors import ConfigError

WHITE = np.array([255, 255, 255], np.float32)
FLAT = (1.0, 1.0, 0.0, 0.0)  # not tilted


def still(
    *shapes: tuple[str, float, float, float], size_wh: tuple[int, int] = (160, 120), bars: tuple[Bar, ...] = ()
) -> Scene:
    """Return a scene of white shapes on black, each (shape, x, y, radius), not moving, not turned."""
    movers = []
    for shape, x, y, radius in shapes:
        sprite = paint_sprite(shape, "filled", radius, WHITE, np.random.default_rng(11))
        sprite = dataclasses.replace(sprite, cover=sprite.mask, colour=cv2.merge([sprite.mask] * 3))
        way = Way((x, y), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
        movers.append(Mover(SHAPES.index(shape), sprite, way, (0.0, 0.0), FLAT))
    backdrop = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    return Scene(size_wh, backdrop, tuple(movers), bars, Effects(), np.zeros((0, 0, 3), np.int16))


def upright_bar(left: float, right: float, height: int = 120) -> Bar:
    corners = np.array([[left, -5], [right, -5], [right, height + 5], [left, height + 5]])
    return Bar(np.round(corners * 16).astype(np.int32), (90, 90, 90))


def test_the_box_of_a_shape_is_tight_around_its_pixels() -> None:
    """The square of radius 30 has sides of 42.4 pixels."""
    image, truth = render(still(("square", 80, 60, 30)), 0.0)

    lit = cv2.boundingRect((image[..., 0] > 127).astype(np.uint8))
    x1, y1, x2, y2 = truth.boxes[0]
    assert (x1, y1, x2 - x1, y2 - y1) == lit
    np.testing.assert_allclose(truth.boxes[0], [80 - 21.2, 60 - 21.2, 80 + 21.2, 60 + 21.2], atol=1.1)
    assert truth.class_ids.tolist() == [SHAPES.index("square")]
    assert truth.scores.tolist() == [1.0]


def test_a_shape_that_leaves_the_frame_has_a_box_that_ends_with_the_frame() -> None:
    """Detectors are trained and measured on what is in the picture."""
    _, truth = render(still(("circle", 150, 60, 25)), 0.0)

    np.testing.assert_allclose(truth.boxes[0], [125, 35, 160, 85], atol=1.1)


def test_a_shape_of_which_too_little_is_inside_is_not_drawn() -> None:
    """A stump nobody can name must be neither in the truth nor in the picture."""
    image, truth = render(still(("circle", 160, 60, 25)), 0.0)
    assert len(truth) == 1

    image, truth = render(still(("circle", 168, 60, 25)), 0.0)
    assert len(truth) == 0
    assert not image.any()


@pytest.mark.parametrize(("x", "y"), [(-200.0, 60.0), (80.0, 400.0), (500.0, -500.0)])
def test_a_shape_far_outside_is_not_drawn(x: float, y: float) -> None:
    """Whoever moves shapes by hand may send them anywhere."""
    image, truth = render(still(("star", x, y, 25)), 0.0)

    assert len(truth) == 0
    assert not image.any()


def test_a_box_shrinks_to_what_a_beam_leaves_visible() -> None:
    """Tight around what can be seen, not around what is known to be behind."""
    scene = still(("square", 80, 60, 30), bars=(upright_bar(50, 80),))

    _, truth = render(scene, 0.0)

    np.testing.assert_allclose(truth.boxes[0], [81, 60 - 21.2, 80 + 21.2, 60 + 21.2], atol=1.1)


def test_a_shape_hidden_by_another_is_left_out_and_the_other_stays_whole() -> None:
    """The one in front is the last in the order of painting."""
    image, truth = render(still(("circle", 80, 60, 15), ("square", 80, 60, 35)), 0.0)

    assert truth.class_ids.tolist() == [SHAPES.index("square")]
    assert image.any()


def test_leaving_one_shape_out_brings_back_what_it_had_hidden() -> None:
    """A beam hides the middle shape, which alone hid the back one."""
    scene = still(("hexagon", 60, 60, 20), ("circle", 74, 60, 20), bars=(upright_bar(62, 110),))

    _, truth = render(scene, 0.0)

    assert truth.class_ids.tolist() == [SHAPES.index("hexagon")]


@pytest.mark.parametrize("seed", range(25))
def test_every_box_holds_pixels_that_differ_from_the_empty_scene(seed: int) -> None:
    """The truth is of the picture: inside each box something was painted, outside all of them nothing but shadows."""
    scene = dataclasses.replace(make_scene((160, 160), seed, effects=False), bars=())
    image, truth = render(scene, 2.5)
    empty, _ = render(dataclasses.replace(scene, movers=()), 2.5)
    changed = np.abs(image.astype(int) - empty).max(axis=2)

    outside = np.ones(changed.shape, bool)
    for x1, y1, x2, y2 in truth.boxes.astype(int):
        assert 0 <= x1 < x2 <= 160
        assert 0 <= y1 < y2 <= 160
        assert np.count_nonzero(changed[y1:y2, x1:x2] > 25) > 0.15 * (x2 - x1) * (y2 - y1)
        reach = 2 + max(x2 - x1, y2 - y1) // 3  # shadows leave the box; no painted pixel does
        outside[max(0, y1 - reach) : y2 + reach, max(0, x1 - reach) : x2 + reach] = False
    assert not np.any(changed[outside] > 25)


def test_the_same_seed_gives_the_same_pixels_and_another_one_does_not() -> None:
    """Numbers measured with it can be repeated by anybody."""

    def frames(seed: int) -> list[SceneFrame]:
        return list(SceneSource((96, 80), seed=seed, frames=3))

    first, again, other = frames(1), frames(1), frames(2)

    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.truth.boxes, b.truth.boxes)
    assert not np.array_equal(first[0].image, other[0].image)


def test_rendering_changes_nothing_about_the_scene() -> None:
    """It is a pure function: order and repetition do not matter."""
    scene = make_scene((96, 80), 6)

    early, late, again = render(scene, 0.0)[0], render(scene, 3.0)[0], render(scene, 0.0)[0]

    np.testing.assert_array_equal(early, again)
    assert not np.array_equal(early, late)


def test_effects_change_the_picture_and_never_the_truth() -> None:
    """Blur and noise are the camera's, the shapes are where they are."""
    scene = next(make_scene((96, 80), seed) for seed in itertools.count() if make_scene((96, 80), seed).grain.size)
    camera = Effects(blur_px=1.0, gain=1.1, gamma=0.8, noise=scene.effects.noise, jpeg_quality=50)

    clean = render(dataclasses.replace(scene, effects=Effects(), grain=scene.grain[:0, :0]), 1.0)
    taken = render(dataclasses.replace(scene, effects=camera), 1.0)

    np.testing.assert_array_equal(clean[1].boxes, taken[1].boxes)
    assert taken[0].shape == clean[0].shape
    assert np.abs(clean[0].astype(int) - taken[0]).mean() > 2


def test_a_source_gives_read_only_frames_with_truth_in_order() -> None:
    """A frame of the scene is a frame like any other, and knows more."""
    source = SceneSource((96, 80), fps=10.0, seed=4, frames=5)

    with source:
        frames = list(source)

    assert (source.is_live, source.resolution, source.fps, source.name) == (False, (96, 80), 10.0, "scene:4")
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3, 4]
    assert {frame.source for frame in frames} == {"scene:4"}
    assert not any(frame.image.flags.writeable for frame in frames)
    assert all(frame.size_wh == (96, 80) for frame in frames)
    times = [frame.captured_ns for frame in frames]
    assert times == sorted(times)


def test_a_source_without_an_end_cuts_to_another_scene_now_and_then() -> None:
    """The same six shapes for a month would tell little."""
    shot = int(SHOT_S)
    frames = list(itertools.islice(SceneSource((64, 64), fps=1.0, effects=False), shot + 1))

    before, cut = frames[shot - 2 : shot], frames[shot]
    moved = np.abs(before[0].image.astype(int) - before[1].image).mean()
    assert np.abs(before[1].image.astype(int) - cut.image).mean() > moved


@pytest.mark.parametrize(("size_wh", "fps", "seed"), [((16, 64), 30.0, 0), ((64, 64), 0.0, 0), ((64, 64), 30.0, -1)])
def test_settings_out_of_range_are_refused_at_once(size_wh: tuple[int, int], fps: float, seed: int) -> None:
    """They come from the command line."""
    with pytest.raises(ConfigError, match="allowed are sizes from 32x32"):
        SceneSource(size_wh, fps, seed)
