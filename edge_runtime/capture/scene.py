"""Drawn scenes with known truth: moving shapes over textured backgrounds, the same pixels for the same seed.

For a first run without a camera, for tests that know what must be found, and as pictures to train a detector on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.capture.sprites import SHAPES
from edge_runtime.capture.stage import GRAIN_MARGIN, SHOT_S, Bar, Effects, Mover, Scene, make_scene
from edge_runtime.capture.stamp import stamped
from edge_runtime.clock import now_ns
from edge_runtime.detections import Detections
from edge_runtime.errors import ConfigError
from edge_runtime.frame import Frame

__all__ = ["SHAPES", "Effects", "Scene", "SceneFrame", "SceneSource", "make_scene", "render"]

_MIN_VISIBLE = 0.4  # of a shape's area; one that would be hidden more is not drawn at all


@dataclass(frozen=True, slots=True, eq=False)
class SceneFrame(Frame):
    """A drawn frame and what is in it."""

    truth: Detections  # tight boxes of what is visible, score 1.0, class index into SHAPES


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """A shape where it is at one moment: its own rectangle, and the part of it inside the frame."""

    mover: Mover
    box: tuple[int, int, int, int]  # x, y, width, height of the rectangle, which may leave the frame
    to_box: NDArray[np.float64]  # (3, 3), from the sprite's pixels to the rectangle's
    mask: NDArray[np.uint8]  # (height, width), 255 where the shape is

    def inside(self, size_wh: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Return the rows and columns inside the frame, of the frame and of the rectangle."""
        x, y, width, height = self.box
        left, top = max(0, x), max(0, y)
        right, bottom = max(left, min(size_wh[0], x + width)), max(top, min(size_wh[1], y + height))
        of_frame = (slice(top, bottom), slice(left, right))
        return of_frame, (slice(top - y, bottom - y), slice(left - x, right - x))


class SceneSource:
    """Frames of drawn scenes with their truth, one after the other as fast as they are taken; a cut now and then.

    Not live: `PacedSource` makes a camera of it. Nothing is held between frames but the scene in play, so the same
    frame number always has the same pixels.

    Args:
        size_wh: width and height.
        fps: frames per second of the scene's own time.
        seed: what everything is drawn from.
        frames: how many; None never ends.
        effects: blur, exposure and noise of a camera.
        jpeg: with `effects`, compress half of the scenes.

    Raises:
        ConfigError: a size, rate or number out of range.
    """

    is_live = False

    def __init__(
        self,
        size_wh: tuple[int, int] = (640, 480),
        fps: float = 30.0,
        seed: int = 0,
        frames: int | None = None,
        *,
        effects: bool = True,
        jpeg: bool = False,
    ) -> None:
        if min(size_wh) < 32 or not 0 < fps <= 1000 or seed < 0:
            raise ConfigError(
                f"scene: size {size_wh[0]}x{size_wh[1]}, {fps} frames a second, seed {seed}; allowed are sizes from "
                "32x32, rates above 0 up to 1000 and seeds from 0"
            )
        self.name = f"scene:{seed}"
        self.resolution: tuple[int, int] | None = size_wh
        self.fps: float | None = fps
        self._size_wh, self._fps, self._seed, self._frames = size_wh, fps, seed, frames
        self._effects, self._jpeg = effects, jpeg

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to free."""

    def __iter__(self) -> Iterator[SceneFrame]:
        shot, scene = -1, None
        for sequence in itertools.count() if self._frames is None else range(self._frames):
            t = sequence / self._fps
            if scene is None or int(t // SHOT_S) != shot:
                shot = int(t // SHOT_S)
                scene = make_scene(self._size_wh, (self._seed, shot), effects=self._effects, jpeg=self._jpeg)
            image, truth = render(scene, t - shot * SHOT_S)
            frame = stamped(image, sequence=sequence, captured_ns=now_ns(), source=self.name)
            yield SceneFrame(frame.image, sequence, frame.captured_ns, frame.wall_time, self.name, truth)


def render(scene: Scene, t: float) -> tuple[NDArray[np.uint8], Detections]:
    """Return what the scene looks like after t seconds, (H, W, 3) uint8 BGR, and what is in it.

    The truth holds a tight box around the visible part of every shape; a shape of which less than 40 % would be
    visible is not drawn. The same scene and time give the same pixels.
    """
    placed, truth = _arrange(scene, [_put(mover, t) for mover in scene.movers])
    image = _wandering(scene, t)
    for shape in placed:
        _blend(image, shape)
    for bar in scene.bars:
        cv2.fillPoly(image, [bar.corners], bar.colour, cv2.LINE_AA, 4)
    return _through_camera(image, scene, t), truth


def _put(mover: Mover, t: float) -> _Placed:
    sprite = mover.sprite
    to_frame = mover.homography(t)
    reach = sprite.corners * 1.25  # with the shadow
    corners = np.column_stack([reach, np.ones(len(reach))]) @ to_frame.T
    corners = corners[:, :2] / corners[:, 2:]
    x, y = np.floor(corners.min(axis=0)).astype(int) - 2
    width, height = np.ceil(corners.max(axis=0)).astype(int) + 3 - (x, y)
    middle = sprite.middle
    shift = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]], np.float64)
    to_box = shift @ to_frame @ np.array([[1, 0, -middle], [0, 1, -middle], [0, 0, 1]])
    mask = cv2.warpPerspective(sprite.mask, to_box, (int(width), int(height)), flags=cv2.INTER_LINEAR)
    return _Placed(mover, (int(x), int(y), int(width), int(height)), to_box, cv2.compare(mask, 127, cv2.CMP_GT))


def _arrange(scene: Scene, placed: list[_Placed]) -> tuple[list[_Placed], Detections]:
    """Return the shapes that are visible enough, and their truth; leaving one out may uncover another."""
    while placed:
        owners = _owners(scene.size_wh, placed, scene.bars)
        shares, boxes = [], []
        for number, shape in enumerate(placed, 1):
            of_frame, _ = shape.inside(scene.size_wh)
            visible = cv2.compare(owners[of_frame], number, cv2.CMP_EQ) if owners[of_frame].size else None
            count = 0 if visible is None else cv2.countNonZero(visible)
            shares.append(count / max(1, cv2.countNonZero(shape.mask)))
            x, y, width, height = (0, 0, 0, 0) if visible is None else cv2.boundingRect(visible)
            boxes.append((of_frame[1].start + x, of_frame[0].start + y, width, height))
        worst = int(np.argmin(shares))
        if shares[worst] >= _MIN_VISIBLE:
            return placed, _truth(placed, np.array(boxes, np.float32))
        placed = placed[:worst] + placed[worst + 1 :]
    return [], Detections.empty()


def _owners(size_wh: tuple[int, int], placed: list[_Placed], bars: tuple[Bar, ...]) -> NDArray[np.uint8]:
    """Return which shape each pixel shows, (H, W) uint8: 0 none, 1 the first, 255 a beam."""
    owners = np.zeros((size_wh[1], size_wh[0]), np.uint8)
    for number, shape in enumerate(placed, 1):
        of_frame, of_box = shape.inside(size_wh)
        owners[of_frame][shape.mask[of_box] > 0] = number
    for bar in bars:
        cv2.fillPoly(owners, [bar.corners], 255, cv2.LINE_8, 4)
    return owners


def _truth(placed: list[_Placed], boxes_xywh: NDArray[np.float32]) -> Detections:
    boxes = np.concatenate([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], axis=1)
    class_ids = np.array([shape.mover.class_id for shape in placed], np.int32)
    return Detections(boxes, np.ones(len(placed), np.float32), class_ids)


def _wandering(scene: Scene, t: float) -> NDArray[np.uint8]:
    """Return the part of the background that shows at this time, a copy."""
    width, height = scene.size_wh
    room = scene.backdrop.shape[1] - width, scene.backdrop.shape[0] - height
    x = round(room[0] * (0.5 + 0.5 * math.sin(0.23 * t)))
    y = round(room[1] * (0.5 + 0.5 * math.sin(0.31 * t + 1)))
    return scene.backdrop[y : y + height, x : x + width].copy()


def _blend(image: NDArray[np.uint8], shape: _Placed) -> None:
    of_frame, of_box = shape.inside((image.shape[1], image.shape[0]))
    size_wh = shape.box[2:]
    colour = cv2.warpPerspective(shape.mover.sprite.colour, shape.to_box, size_wh, flags=cv2.INTER_LINEAR)[of_box]
    cover = cv2.warpPerspective(shape.mover.sprite.cover, shape.to_box, size_wh, flags=cv2.INTER_LINEAR)[of_box]
    behind = cv2.multiply(image[of_frame], cv2.merge([cv2.bitwise_not(cover)] * 3), scale=1 / 255)
    image[of_frame] = cv2.add(behind, colour)


def _through_camera(image: NDArray[np.uint8], scene: Scene, t: float) -> NDArray[np.uint8]:
    """Return the picture as the scene's camera takes it: blurred, exposed, noisy, compressed."""
    effects = scene.effects
    if effects.blur_px > 0:
        image = cv2.GaussianBlur(image, (0, 0), effects.blur_px)
    if (effects.gain, effects.gamma) != (1.0, 1.0):
        levels = np.linspace(0, 1, 256)
        image = cv2.LUT(image, np.clip(255 * effects.gain * levels**effects.gamma, 0, 255).astype(np.uint8))
    if scene.grain.size:
        step = round(t * 1000)
        x, y = step * 7 % GRAIN_MARGIN, step * 13 % GRAIN_MARGIN
        grain = scene.grain[y : y + image.shape[0], x : x + image.shape[1]]
        image = cv2.add(image, grain, dtype=cv2.CV_8U)
    if effects.jpeg_quality is not None:
        _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, effects.jpeg_quality])
        unpacked = cv2.imdecode(packed, cv2.IMREAD_COLOR)
        assert unpacked is not None, "it was packed a line above"
        image = unpacked
    return image
