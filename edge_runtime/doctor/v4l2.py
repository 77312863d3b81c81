"""What a video device says of itself: three questions of V4L2, none of which makes it stream.

Source: include/uapi/linux/videodev2.h of Linux. The structs hold no pointers, so they are the same on every board.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

_CAPABILITY = struct.Struct("=16s32s32s6I")  # driver, card, bus, version, capabilities, device_caps, reserved
_FORMAT = struct.Struct("=3I32s5I")  # index, type, flags, description, fourcc, media bus code, reserved
_SIZE = struct.Struct("=3I6I2I")  # index, fourcc, type, then width x height or the steps, reserved


def _request(direction: int, number: int, size_bytes: int) -> int:
    """Return the number of an ioctl of "V". Source: include/uapi/asm-generic/ioctl.h of Linux."""
    return direction << 30 | size_bytes << 16 | ord("V") << 8 | number


QUERYCAP = _request(2, 0, _CAPABILITY.size)
ENUM_FMT = _request(3, 2, _FORMAT.size)
ENUM_FRAMESIZES = _request(3, 74, _SIZE.size)

_CAPTURE, _CAPTURE_MPLANE = 0x1, 0x1000
_HAS_DEVICE_CAPS = 0x8000_0000
_KINDS = (
    (_CAPTURE | _CAPTURE_MPLANE, "camera"),
    (0x0080_0000, "metadata"),
    (0x8000 | 0x4000, "codec"),
    (0x2 | 0x2000, "output"),
)
_DISCRETE = 1
MOST = 64
"""Formats, and sizes of one format, that are asked for: a driver that never says "no more" must not hold us."""

Ask = Callable[[int, bytes], bytes | None]
"""Sends an ioctl with its struct and returns the struct as the driver left it; None if the driver refuses."""
OpenDevice = Callable[[Path], AbstractContextManager[Ask]]


@dataclass(frozen=True, slots=True)
class Capability:
    """Which device this is, and what it does."""

    driver: str
    card: str
    bus: str
    capabilities: int

    @property
    def kind(self) -> str:
        """What it is for: "camera", "metadata", "codec" (which captures, too), "output" or "other"."""
        if self.capabilities & (0x8000 | 0x4000):
            return "codec"
        return next((kind for bits, kind in _KINDS if self.capabilities & bits), "other")


@dataclass(frozen=True, slots=True)
class Format:
    """One pixel format with its picture sizes."""

    fourcc: str
    description: str
    sizes_wh: tuple[tuple[int, int], ...]  # of a range the smallest and the largest
    is_range: bool  # any size between the two

    @property
    def largest_wh(self) -> tuple[int, int] | None:
        """The size with the most pixels."""
        return max(self.sizes_wh, key=lambda wh: wh[0] * wh[1], default=None)

    def offers(self, size_wh: tuple[int, int]) -> bool:
        """Return whether the camera can send this size."""
        if self.is_range and len(self.sizes_wh) == 2:
            (least_w, least_h), (most_w, most_h) = self.sizes_wh
            return least_w <= size_wh[0] <= most_w and least_h <= size_wh[1] <= most_h
        return size_wh in self.sizes_wh


@contextmanager
def open_device(path: Path) -> Iterator[Ask]:
    """Give what asks the device; many programs may have it open, only one of them may make it stream.

    Raises:
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def ask(request: int, data: bytes) -> bytes | None:
        answer = bytearray(data)
        try:
            fcntl.ioctl(descriptor, request, answer, True)
        except OSError:  # EINVAL ends a list, ENOTTY is a device without this question
            return None
        return bytes(answer)

    try:
        yield ask
    finally:
        os.close(descriptor)


def query(ask: Ask) -> Capability | None:
    """Return what the device is; None if it is no V4L2 device."""
    answer = ask(QUERYCAP, bytes(_CAPABILITY.size))
    if answer is None:
        return None
    driver, card, bus, _, whole, node, *_ = _CAPABILITY.unpack(answer)
    # One piece of hardware may have several nodes; the second word is of this node alone, where the driver fills it.
    bits = node if whole & _HAS_DEVICE_CAPS else whole
    return Capability(_text(driver), _text(card), _text(bus), bits)


def formats(ask: Ask, capability: Capability) -> tuple[Format, ...]:
    """Return the pixel formats of a camera, in the driver's order."""
    kind = 1 if capability.capabilities & _CAPTURE else 9
    found = []
    for index in range(MOST):
        answer = ask(ENUM_FMT, _FORMAT.pack(index, kind, 0, b"", 0, 0, 0, 0, 0))
        if answer is None:
            break
        _, _, _, description, fourcc, *_ = _FORMAT.unpack(answer)
        sizes_wh, is_range = _sizes(ask, fourcc)
        found.append(Format(fourcc_text(fourcc), _text(description), sizes_wh, is_range))
    return tuple(found)


def _sizes(ask: Ask, fourcc: int) -> tuple[tuple[tuple[int, int], ...], bool]:
    sizes: list[tuple[int, int]] = []
    for index in range(MOST):
        answer = ask(ENUM_FRAMESIZES, _SIZE.pack(index, fourcc, 0, *[0] * 8))
        if answer is None:
            break
        _, _, kind, one, two, _, four, five, *_ = _SIZE.unpack(answer)
        if kind != _DISCRETE:  # minimum, maximum and step of the width, then of the height
            return ((one, four), (two, five)), True
        sizes.append((one, two))
    return tuple(sizes), False


def fourcc_text(code: int) -> str:
    """Return "MJPG" of the number that stands for it; the highest bit means big-endian and is left out."""
    letters = (code & 0x7FFF_FFFF).to_bytes(4, "little")
    return "".join(chr(one) if 32 < one < 127 else "?" if one != 32 else " " for one in letters).rstrip()


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("utf-8", "replace").strip()
