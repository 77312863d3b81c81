"""A captured image and its time become a frame."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.clock import NS_PER_S, now_ns
from edge_runtime.errors import CaptureError
from edge_runtime.frame import Frame

Taken = tuple[NDArray[Any], int]


def stamped(image: NDArray[Any], *, sequence: int, captured_ns: int, source: str) -> Frame:
    """Return the image as a frame nobody can write to.

    Args:
        image: (H, W, 3) uint8, BGR, an array of its own: nobody else may hold it.
        sequence: number of the frame, from 0.
        captured_ns: monotonic clock, the moment it was taken.
        source: where it came from, without credentials.

    Raises:
        CaptureError: the array is no BGR picture.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise CaptureError(
            f"{source}: got an image of type {image.dtype} and shape {image.shape}, expected uint8 (H, W, 3); "
            "set the device to a colour format"
        )
    image = np.ascontiguousarray(image)
    image.flags.writeable = False
    age_s = (now_ns() - captured_ns) / NS_PER_S
    return Frame(image, sequence, captured_ns, time.time() - age_s, source)


def sensor_ns(reported_ns: int, now: int) -> int:
    """Return the device's own timestamp if it can be believed, else `now`, both on the monotonic clock.

    Drivers stamp a buffer when the sensor begins to send it, which is 10 to 40 ms before a program gets it. Most
    use the monotonic clock; a stamp of another clock (wall time, or zero from a driver that has none) lies far off.
    """
    return reported_ns if 0 <= now - reported_ns <= NS_PER_S else now


def live_frames(first: Taken | None, take: Callable[[], Taken], source: str) -> Iterator[Frame]:
    """Return the frames of a device: the image read when it was opened, then what `take` returns, without end.

    Args:
        first: an image (H, W, 3) uint8 BGR and the monotonic nanoseconds when it was taken; None if none was read.
        take: waits for the next, or raises.
        source: where they come from, without credentials.
    """
    taken: Taken | None = first or take()
    del first
    for sequence in itertools.count():
        assert taken is not None
        frame = stamped(taken[0], sequence=sequence, captured_ns=taken[1], source=source)
        taken = None
        yield frame
        del frame  # two images in memory would be one too many
        taken = take()
