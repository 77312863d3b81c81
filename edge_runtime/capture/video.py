"""A video file: every frame, in order."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
from numpy.typing import NDArray

from edge_runtime.capture.handle import Handle, quieten
from edge_runtime.capture.stamp import stamped
from edge_runtime.errors import CaptureError
from edge_runtime.frame import Frame

log = logging.getLogger(__name__)


_DRAWN_TEXT = cv2.VideoWriter.fourcc(*"ansi")
"""What FFmpeg makes of a text file: a film of a terminal that shows it."""


def decode_threads() -> int:
    """Return how many threads FFmpeg gets: half the cores. With all of them it would push the model aside."""
    return max(1, len(os.sched_getaffinity(0)) // 2)


class VideoSource:
    """A video file, not live: no frame is lost, and a frame's time is the moment it was decoded.

    A film that a camera turned on its side comes upright, as its rotation note says. The thread that captures
    enters, iterates and leaves; nobody else does.

    Args:
        path: anything FFmpeg decodes.
    """

    is_live = False

    def __init__(self, path: str | Path) -> None:
        self.name = str(path)
        self.resolution: tuple[int, int] | None = None
        self.fps: float | None = None
        self._handle: Handle | None = None
        self._first: tuple[NDArray[Any], int] | None = None

    def __enter__(self) -> Self:
        quieten()
        if not Path(self.name).exists():
            raise CaptureError(f"video {self.name}: no such file")
        if not Path(self.name).is_file():
            raise CaptureError(f"video {self.name}: is no file one can read twice; copy the video to a file")
        if not os.access(self.name, os.R_OK):
            raise CaptureError(f"video {self.name}: permission denied; let this user read it")
        self._handle = Handle(cv2.VideoCapture(self.name, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, decode_threads()]))
        image, decoded_ns = self._handle.read()
        if image is None:
            self._handle.release()
            raise CaptureError(
                f"video {self.name}: not readable as a video, so damaged, cut off or of another kind; "
                "give one that a player plays, as .mp4, .mkv or .avi"
            )
        if int(self._handle.get(cv2.CAP_PROP_FOURCC)) == _DRAWN_TEXT:
            self._handle.release()
            raise CaptureError(f"video {self.name}: is a text; give a video, or a picture")
        self._first = image, decoded_ns
        self.resolution = (image.shape[1], image.shape[0])
        fps = self._handle.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps < 1000 else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            self._handle.release()
        self._first = None

    def __iter__(self) -> Iterator[Frame]:
        if self._handle is None or self._handle.is_released:
            raise CaptureError(f"video {self.name}: not open; enter the source before iterating")
        promised = round(self._handle.get(cv2.CAP_PROP_FRAME_COUNT))
        sequence = 0
        while True:
            image, decoded_ns = self._first or self._handle.read()
            self._first = None
            if image is None:
                break
            yield stamped(image, sequence=sequence, captured_ns=decoded_ns, source=self.name)
            del image  # its memory is free for the next one
            sequence += 1
        if sequence < promised and not self._handle.is_released:
            log.warning("video ended early name=%s frames=%d promised=%d", self.name, sequence, promised)
