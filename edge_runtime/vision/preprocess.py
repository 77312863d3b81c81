"""From a frame to the model's input tensor, at model size.

The frame is resized first and its colours converted after that: a 1280x720 frame has ten times the pixels of a
300x300 input. What a pixel becomes is a table of 256 values made once, with rounding, for every tensor type; the two
maps that nearly all quantised models have (x and x - 128) need no table.

Two threads share the work. Whoever captured the frame has it in its core's cache and makes it small there. Tensors of
8 bits are finished there, too; wider ones would be two or four times as much to carry to the other core, so they are
written there, into one reused buffer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.vision.letterbox import Letterbox, fit

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class InputFormat:
    """What the model wants of its input."""

    size_wh: tuple[int, int]
    dtype: np.dtype[Any]  # uint8, int8, int16, float16 or float32
    is_nchw: bool = False
    color: str = "rgb"  # or "bgr", or "grey" for an input of one channel
    mean: Triple | None = None  # per channel in the order of `color`; None: pixels go in straight
    std: Triple | None = None
    scale: float | None = None  # quantisation of the tensor; None for float
    zero_point: int = 0
    fit: str = "stretch"
    fill: Triple = (0.0, 0.0, 0.0)  # 0 to 255, in the frame's order (BGR)

    @property
    def channels(self) -> int:
        """How many numbers a pixel has in the tensor."""
        return 1 if self.color == "grey" else 3


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

    pixels: NDArray[Any]  # the tensor itself where that has 8 bits, else (H, W, channels) uint8 in its colour order
    letterbox: Letterbox


class Preprocessor:
    """Makes tensors of frames. Each of its two steps is for one thread."""

    def __init__(self, wanted: InputFormat) -> None:
        self._wanted = wanted
        self._fill = np.array(wanted.fill, np.uint8)
        self._canvas = np.empty((wanted.size_wh[1], wanted.size_wh[0], 3), np.uint8)
        self._is_narrow = wanted.dtype.itemsize == 1
        self._write = writer(wanted)
        self._tensor = None if self._is_narrow else empty_tensor(wanted)
        self._letterbox: Letterbox | None = None

    def shrink(self, image: NDArray[np.uint8]) -> Shrunk:
        """Return the frame at model size, in an array of its own.

        Args:
            image: (H, W, 3) BGR. Its size may change from call to call.
        """
        frame_wh = (image.shape[1], image.shape[0])
        if self._letterbox is None or self._letterbox.frame_wh != frame_wh:
            self._letterbox = fit(frame_wh, self._wanted.size_wh, self._wanted.fit)
            self._canvas[:] = self._fill
        x, y = self._letterbox.offset_xy
        width, height = self._letterbox.content_wh
        cv2.resize(image, (width, height), dst=self._canvas[y : y + height, x : x + width])
        picture = in_colors(self._canvas, self._wanted.color)
        if not self._is_narrow:
            return Shrunk(picture, self._letterbox)
        tensor = empty_tensor(self._wanted)
        self._write(picture, tensor)
        return Shrunk(tensor, self._letterbox)

    def finish(self, shrunk: Shrunk) -> NDArray[Any]:
        """Return the tensor, (1, H, W, channels) or (1, channels, H, W).

        One wider than 8 bits is overwritten by the next call.
        """
        if self._tensor is None:
            return shrunk.pixels
        self._write(shrunk.pixels, self._tensor)
        return self._tensor


def empty_tensor(wanted: InputFormat) -> NDArray[Any]:
    """Return an input tensor with nothing in it."""
    width, height = wanted.size_wh
    count = wanted.channels
    return np.empty((1, count, height, width) if wanted.is_nchw else (1, height, width, count), wanted.dtype)


def in_colors(image: NDArray[np.uint8], color: str) -> NDArray[np.uint8]:
    """Return a copy of (H, W, 3) BGR as (H, W, 3) in this order of colours or, for "grey", as (H, W, 1)."""
    if color == "bgr":
        return image.copy()
    if color == "grey":  # Source of the weights of the three colours: ITU-R BT.601, as OpenCV has them
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))[:, :, None]
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


Writer = Callable[[NDArray[np.uint8], NDArray[Any]], object]


def writer(wanted: InputFormat) -> Writer:
    """Return what puts a picture (H, W, channels) uint8, its colours in order, into a tensor, as fast as is exact."""
    table = pixel_table(wanted)
    convert = _converter(None if table is None else table[:, : wanted.channels], wanted.dtype)
    if not wanted.is_nchw:
        return lambda picture, tensor: convert(picture, tensor[0])
    pixels = np.empty((wanted.size_wh[1], wanted.size_wh[0], wanted.channels), wanted.dtype)

    def write_planes(picture: NDArray[np.uint8], tensor: NDArray[Any]) -> None:
        convert(picture, pixels)
        tensor[0] = pixels.transpose(2, 0, 1)

    return write_planes


def _converter(table: NDArray[Any] | None, dtype: np.dtype[Any]) -> Writer:
    """Return what writes the table's value of every pixel to an array of the same shape."""
    if table is None:
        return lambda picture, out: np.copyto(out, picture)
    if dtype == np.int8 and np.array_equal(table[:, 0], np.arange(-128, 128)) and (table == table[:, :1]).all():
        # Flipping the top bit of x is x - 128 in two's complement.
        return lambda picture, out: np.bitwise_xor(picture, np.uint8(128), out=out.view(np.uint8))
    if dtype == np.float16:  # cv2.LUT knows no 16-bit floats
        return lambda picture, out: np.copyto(out, table[picture, np.arange(table.shape[1])])
    per_channel = np.ascontiguousarray(table[None])  # cv2.LUT wants (1, 256, channels)
    return lambda picture, out: cv2.LUT(picture, per_channel, dst=out)
