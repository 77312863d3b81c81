"""A ``cv2.VideoCapture`` that one thread may read while another lets it go."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Any

import cv2
from numpy.typing import NDArray

from edge_runtime.clock import now_ns

log = logging.getLogger(__name__)


class Handle:
    """An open capture. Releasing waits for a read under way: OpenCV crashes when it is freed during one.

    The wait is bounded by the capture's own time-out: V4L2's select, FFmpeg's read time-out.
    """

    def __init__(self, capture: Any, *, clock: Callable[[], int] = now_ns) -> None:
        self._capture = capture
        self._clock = clock
        self._lock = threading.Lock()
        self.is_released = False

    def read(self) -> tuple[NDArray[Any] | None, int]:
        """Return the next image, or None, and the monotonic moment at which ``grab`` returned.

        The image is an array of its own. None: the device or the file gave nothing, what it gave could not be
        decoded, or the handle is released.
        """
        with self._lock:
            if self.is_released:
                return None, self._clock()
            grabbed = self._capture.grab()
            grabbed_ns = self._clock()
            return (self._retrieve() if grabbed else None), grabbed_ns

    def get(self, prop: int) -> float:
        """Return a ``CAP_PROP_*``; 0.0 once released."""
        with self._lock:
            return 0.0 if self.is_released else float(self._capture.get(prop))

    def release(self) -> None:
        """Free the device. Allowed more than once, and from any thread."""
        with self._lock:
            if not self.is_released:
                self.is_released = True
                self._capture.release()

    def _retrieve(self) -> NDArray[Any] | None:
        try:
            decoded, image = self._capture.retrieve()
        except cv2.error as error:  # a damaged frame; the caller decides how many of them are too many
            log.debug("frame not decoded error=%r", str(error))
            return None
        return image if decoded else None


def quieten() -> None:
    """Keep OpenCV and its FFmpeg from writing to stderr what our errors say better, at every retry.

    FFmpeg's lines could also hold an address with a password. Whoever has set ``OPENCV_LOG_LEVEL``,
    ``OPENCV_FFMPEG_LOGLEVEL`` or ``OPENCV_FFMPEG_DEBUG`` keeps what they asked for. FFmpeg's level is read once, by
    the first capture of the process.
    """
    if "OPENCV_FFMPEG_DEBUG" not in os.environ:
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    if "OPENCV_LOG_LEVEL" not in os.environ:
        _set_log_level(2)  # errors and worse


def _set_log_level(level: int) -> None:
    if hasattr(cv2, "setLogLevel"):
        cv2.setLogLevel(level)
    else:  # OpenCV 5
        cv2.utils.logging.setLogLevel(level)
