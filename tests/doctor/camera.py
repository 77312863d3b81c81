"""A V4L2 driver made of bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from edge_runtime.doctor.v4l2 import ENUM_FMT, ENUM_FRAMESIZES, QUERYCAP

CAPTURE, MPLANE, META, DEVICE_CAPS = 0x1, 0x1000, 0x0080_0000, 0x8000_0000
Sizes = Sequence[tuple[int, ...]]


class Driver:
    """Answers the three questions as linux/videodev2.h lays them out.

    Args:
        whole: the capabilities of the hardware.
        node: those of this node.
        formats: fourcc -> description and sizes; (w, h), or (least w, least h, most w, most h) for a range.
        is_endless: ignore the index, and never say that a list is over.
    """

    def __init__(
        self,
        *,
        whole: int = DEVICE_CAPS | CAPTURE | META,
        node: int = CAPTURE,
        formats: Mapping[int, tuple[str, Sizes]] | None = None,
        is_endless: bool = False,
    ) -> None:
        self._words = (whole, node)
        self._formats = dict(formats or {})
        self._is_endless = is_endless
        self.asked: list[tuple[int, int]] = []

    def ask(self, request: int, data: bytes) -> bytes | None:
        index, second = struct.unpack_from("=2I", data)
        self.asked.append((request, second))
        if request == QUERYCAP:
            return struct.pack("=16s32s32sIII3I", b"uvcvideo", b"HD Pro Webcam C920", b"usb-1.2", 0x060C00,
                               *self._words, 0, 0, 0)  # fmt: skip
        if self._is_endless:
            index = 0
        if request == ENUM_FMT and index < len(self._formats):
            fourcc, (description, _) = list(self._formats.items())[index]
            return struct.pack("=3I32s5I", index, second, 0, description.encode(), fourcc, 0, 0, 0, 0)
        if request == ENUM_FRAMESIZES and index < len(self._formats[second][1]):
            size = self._formats[second][1][index]
            if len(size) == 2:
                return struct.pack("=3I8I", index, second, 1, *size, *[0] * 6)
            low_w, low_h, high_w, high_h = size
            return struct.pack("=3I8I", index, second, 3, low_w, high_w, 2, low_h, high_h, 2, 0, 0)
        return None


def opens(drivers: Mapping[str, Driver]) -> Callable[[Path], object]:
    """Return what opens these devices by the names of their nodes; any other is gone."""

    @contextmanager
    def open_device(path: Path) -> Iterator[Callable[[int, bytes], bytes | None]]:
        if path.name not in drivers:
            raise OSError(19, "No such device", str(path))
        yield drivers[path.name].ask

    return open_device
