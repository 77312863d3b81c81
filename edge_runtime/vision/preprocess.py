"""From a frame to the model's input tensor, at model size and in one reused buffer.

The frame is resized first and its colours converted after that: a 1280x720 frame has ten times the pixels of a
300x300 input. These are two steps, because two threads do them: whoever captured the frame has it in its core's cache
and shrinks it there, and only the small picture goes to the core that runs the model. What a pixel becomes is a table
of 256 values made once, with rounding, for every tensor type; the two maps that nearly all quantised models have
(x and x - 128) need no table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from edge_runtime.vision.letterbox import Letterbox, fit

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class InputFormat:
    """What the model wants of its input."""

    size_wh: tuple[int, int]
    dtype: np.dtype[Any]  # uint8, int8, int16, float16 or float32
    is_nchw: bool = False
    color: str = "rgb"  # or "bgr"
    mean: Triple | None = None  # per channel in the order of `color`; None: pixels go in straight
    std: Triple | None = None
    scale: float | None = None  # quantisation of the tensor; None for float
    zero_point: int = 0
    fit: str = "stretch"
    fill: Triple = (0.0, 0.0, 0.0)  # 0 to 255, in the frame's order (BGR)


def pixel_table(wanted: InputFormat) -> NDArray[Any] | None:
    """Return (256, 3), what each pixel value becomes in each channel of the tensor; None where it stays as it is.

    ``real = (pixel - mean) / std``, and for integer tensors ``stored = round(real / scale) + zero_point``, clipped.
    Without a mean, integers of 8 bits take the pixel straight: x for uint8, x - 128 for int8.
    """
    pixels = np.arange(256, dtype=np.float64)[:, None]
    if wanted.mean is None or wanted.std is None:
        if wanted.dtype == np.uint8:
            return None
        return _as_type(np.repeat(pixels - (128 if wanted.dtype == np.int8 else 0), 3, axis=1), wanted.dtype)
    real = (pixels - np.array(wanted.mean)) / np.array(wanted.std)
    if wanted.scale is None:
        return _as_type(real, wanted.dtype)
    limits = np.iinfo(wanted.dtype)
    stored = np.rint(real / wanted.scale) + wanted.zero_point
    return _as_type(np.clip(stored, limits.min, limits.max), wanted.dtype)


def _as_type(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.asarray(values, dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Shrunk:
    """A frame at the size of the model's input."""

    picture: NDArray[np.uint8]  # (H, W, 3) BGR, with the borders of the letterbox
    letterbox: Letterbox


class Preprocessor:
    """Makes tensors of frames. Each of its two steps is for one thread."""

    def __init__(self, wanted: InputFormat) -> None:
        width, height = wanted.size_wh
        shape = (1, 3, height, width) if wanted.is_nchw else (1, height, width, 3)
        self._wanted = wanted
        self._fill = np.array(wanted.fill, np.uint8)
        self._tensor = np.zeros(shape, wanted.dtype)
        self._colored = np.empty((height, width, 3), np.uint8)
        self._write = _writer(wanted, self._tensor)
        self._letterbox: Letterbox | None = None

    def shrink(self, image: NDArray[np.uint8]) -> Shrunk:
        """Return the frame at model size, in an array of its own.

        Args:
            image: (H, W, 3) BGR. Its size may change from call to call.
        """
        frame_wh = (image.shape[1], image.shape[0])
        if self._letterbox is None or self._letterbox.frame_wh != frame_wh:
            self._letterbox = fit(frame_wh, self._wanted.size_wh, self._wanted.fit)
        letterbox = self._letterbox
        picture = np.empty(self._colored.shape, np.uint8)
        x, y = letterbox.offset_xy
        width, height = letterbox.content_wh
        if letterbox.content_wh != letterbox.model_wh:
            picture[:] = self._fill
        cv2.resize(image, (width, height), dst=picture[y : y + height, x : x + width])
        return Shrunk(picture, letterbox)

    def convert(self, picture: NDArray[np.uint8]) -> NDArray[Any]:
        """Return the tensor of a picture from `shrink`; the next call overwrites it."""
        if self._wanted.color == "rgb":
            cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=self._colored)
            picture = self._colored
        self._write(picture)
        return self._tensor


def _writer(wanted: InputFormat, tensor: NDArray[Any]) -> Any:
    """Return the function that puts a (H, W, 3) uint8 picture into the tensor."""
    table = pixel_table(wanted)
    height, width = wanted.size_wh[1], wanted.size_wh[0]
    pixels = np.empty((height, width, 3), wanted.dtype) if wanted.is_nchw else tensor[0]
    convert = _converter(table, pixels, wanted.dtype)
    if not wanted.is_nchw:
        return convert

    def write_planes(picture: NDArray[np.uint8]) -> None:
        convert(picture)
        tensor[0] = pixels.transpose(2, 0, 1)

    return write_planes


def _converter(table: NDArray[Any] | None, out: NDArray[Any], dtype: DTypeLike) -> Any:
    """Return the function that writes what the table says of a picture to `out`, by the quickest exact way."""
    if table is None:
        return lambda picture: np.copyto(out, picture)
    if dtype == np.int8 and np.array_equal(table[:, 0], np.arange(-128, 128)) and (table == table[:, :1]).all():
        # Flipping the top bit of x is x - 128 in two's complement.
        return lambda picture: np.bitwise_xor(picture, np.uint8(128), out=out.view(np.uint8))
    if dtype == np.float16:  # cv2.LUT knows no 16-bit floats
        return lambda picture: np.copyto(out, table[picture, np.arange(3)])
    per_channel = np.ascontiguousarray(table[None])  # cv2.LUT wants (1, 256, channels)
    return lambda picture: cv2.LUT(picture, per_channel, dst=out)
