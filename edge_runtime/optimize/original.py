"""The model that is converted, running in its own framework, and what it is tried with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.capture.scene import make_scene, render
from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.optimize.modelfile import brief

Array = NDArray[np.float32]
Image = NDArray[np.uint8]
Shape = tuple[int, ...]

_CHANNELS = (1, 3, 4)
_PICTURES, _SCENE_SEEDS = 2, 5  # the seeds of training, evaluation and calibration are others


@dataclass(frozen=True, slots=True)
class Original:
    """A model of another framework."""

    framework: str  # what runs it, for messages
    converter: str  # what makes a .tflite of it
    input_name: str
    input_shape: Shape
    output_names: tuple[str, ...] | None  # None where they are not told apart by names
    answer: Callable[[Array], list[Array]]  # to one input
    convert: Callable[[Path], bytes]  # given a folder for what is not finished


def fixed_shape(source: Path, name: str, found: Sequence[Any], given: Shape | None) -> Shape:
    """Return the shape of the input, every side a number.

    Args:
        source: for messages.
        name: of the input.
        found: what the source says; anything but a positive number is an open side.
        given: by the user.

    Raises:
        ConfigError: a side is open and none was given, or what was given contradicts the source.
        ModelError: it is not the shape of one picture.
    """
    sides = [side if isinstance(side, int) and side > 0 else None for side in found]
    listed = f"[{', '.join('?' if side is None else str(side) for side in sides)}]"
    if given is None and None in sides:
        raise ConfigError(
            f"{source}: input {brief(name)} has the shape {listed}, and open sides cannot be converted; say what they "
            "are, such as --input-shape 1,3,416,416"
        )
    shape = given or tuple(side for side in sides if side is not None)
    if len(shape) != len(sides) or any(side not in (None, one) for side, one in zip(sides, shape, strict=True)):
        raise ConfigError(f"--input-shape: {','.join(map(str, shape))} does not fit {source}, whose input is {listed}")
    if len(shape) != 4 or shape[0] != 1 or not (is_channels_first(shape) or shape[3] in _CHANNELS):
        raise ModelError(
            f"{source}: input {brief(name)} has the shape {list(shape)}; needed is one picture, [1, 3, height, width] "
            "or [1, height, width, 3]"
        )
    return shape


def is_channels_first(shape: Shape) -> bool:
    """Return whether the shape of a picture is [1, channels, height, width]."""
    return shape[1] in _CHANNELS and shape[3] not in _CHANNELS


def samples(shape: Shape, readers: Sequence[Callable[[], Image]]) -> list[Array]:
    """Return what to try a model with: noise and pictures, each from 0 to 1 and from 0 to 255.

    Args:
        shape: of the input.
        readers: of pictures, BGR; drawn ones where there are none.
    """
    first = is_channels_first(shape)
    channels, height, width = shape[1:] if first else (shape[3], *shape[1:3])
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    shown = list(readers[:_PICTURES]) or [partial(_scene, number) for number in range(_PICTURES)]
    found = []
    for image in (noise, *(cv2.resize(read(), (width, height)) for read in shown)):
        planes = np.resize(image.transpose(2, 0, 1), (channels, height, width))[None]
        laid = np.ascontiguousarray(planes if first else planes.transpose(0, 2, 3, 1), np.float32)
        found += [laid / np.float32(255), laid]
    return found


def _scene(number: int) -> Image:
    return render(make_scene((160, 160), (_SCENE_SEEDS, number)), 0.0)[0]
