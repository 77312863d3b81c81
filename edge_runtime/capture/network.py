"""A network camera: RTSP, or MJPEG over HTTP, through the FFmpeg inside OpenCV."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import cv2
from numpy.typing import NDArray

from edge_runtime.capture.handle import Handle, quieten
from edge_runtime.capture.knock import why_no_stream
from edge_runtime.capture.redact import redact
from edge_runtime.capture.stamp import live_frames
from edge_runtime.clock import NS_PER_S, now_ns
from edge_runtime.errors import CaptureError, FrameTimeoutError
from edge_runtime.frame import Frame

log = logging.getLogger(__name__)

_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
# Without these an RTSP stream opens after 2 s, with 2 s of old frames; with them after 0.3 s. TCP, because a lost
# UDP packet smears the picture until the next key frame.
_RTSP_OPTIONS = "rtsp_transport;tcp|fflags;nobuffer|analyzeduration;100000|probesize;65536"
_THREADS = "OPENCV_FFMPEG_THREADS"
# FFmpeg decodes on a thread per core and holds a frame back for each but the first: 120 ms with four cores at 25
# frames a second, which no timestamp shows. Two hold back one frame; one alone may be too slow for a large picture.
_environment_lock = threading.Lock()


def open_ffmpeg(url: str, parameters: Sequence[int]) -> Any:
    """Return OpenCV's capture of this address; `parameters` alternate ``CAP_PROP_*`` and value."""
    return cv2.VideoCapture(url, cv2.CAP_FFMPEG, list(parameters))


class NetworkSource:
    """A camera at a network address: live, newest frame, stamped when it arrived.

    After any failure the connection is dead for good; entering the source again makes a new one. The thread that
    captures enters, iterates and leaves; nobody else does. Should another thread leave the block all the same, it
    waits until the read under way returns, at most `frame_timeout_s`.

    Args:
        url: rtsp://, rtsps://, http:// or https://, with user and password if the camera wants them.
        frame_timeout_s: seconds without a frame after which the connection counts as lost.
        open_timeout_s: seconds the camera has to answer.
        opener: returns an object with the calls of ``cv2.VideoCapture`` for an address and open parameters.
        environ: the process environment.
        clock: monotonic nanoseconds.
    """

    is_live = True

    def __init__(
        self,
        url: str,
        *,
        frame_timeout_s: float = 2.0,
        open_timeout_s: float = 3.0,
        opener: Callable[[str, Sequence[int]], Any] = open_ffmpeg,
        environ: MutableMapping[str, str] = os.environ,
        clock: Callable[[], int] = now_ns,
    ) -> None:
        self._url = url
        self.name = redact(url)
        self.resolution: tuple[int, int] | None = None
        self.fps: float | None = None
        self._frame_timeout_s, self._open_timeout_s = frame_timeout_s, open_timeout_s
        self._opener, self._environ, self._clock = opener, environ, clock
        self._handle: Handle | None = None
        self._first: tuple[NDArray[Any], int] | None = None

    def __enter__(self) -> Self:
        quieten()
        with _ffmpeg_options(self._url, self._environ):
            capture = self._opener(self._url, self._parameters())
        self._handle = Handle(capture, clock=self._clock)
        try:
            if not capture.isOpened():
                raise why_no_stream(self._url, self._open_timeout_s)
            self._first = self._next_image()
        except BaseException:
            self._handle.release()
            raise
        image = self._first[0]
        self.resolution = (image.shape[1], image.shape[0])
        fps = self._handle.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps < 1000 else None  # FFmpeg says 90000 where a stream does not tell
        log.info("network camera open name=%s size=%dx%d fps=%s", self.name, *self.resolution, self.fps)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            self._handle.release()
        self._first = None

    def __iter__(self) -> Iterator[Frame]:
        first, self._first = self._first, None
        return live_frames(first, self._next_image, self.name)

    def _parameters(self) -> list[int]:
        return [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            round(self._open_timeout_s * 1000),
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            round(self._frame_timeout_s * 1000),
        ]

    def _next_image(self) -> tuple[NDArray[Any], int]:
        """Return the next image and when it arrived, monotonic nanoseconds."""
        if self._handle is None or self._handle.is_released:
            raise CaptureError(f"network camera {self.name}: not open; enter the source before iterating")
        started_ns = self._clock()
        image, grabbed_ns = self._handle.read()
        # A read that timed out may still report success, with whatever was in the decoder: only the time tells.
        if grabbed_ns - started_ns >= self._frame_timeout_s * NS_PER_S:
            self._handle.release()
            raise FrameTimeoutError(
                f"network camera {self.name}: no frame for {self._frame_timeout_s:.1f} s; "
                "check the camera and the network"
            )
        if image is None:
            self._handle.release()
            raise CaptureError(f"network camera {self.name}: the connection ended; check the camera and the network")
        return image, grabbed_ns


@contextmanager
def _ffmpeg_options(url: str, environ: MutableMapping[str, str]) -> Iterator[None]:
    """Set FFmpeg's options while an address is opened, those that the user has not set.

    OpenCV takes them from the environment alone, at every open, for files too: so they must not stay there.
    """
    wanted = {_THREADS: "2"}
    if url.lower().startswith("rtsp"):
        wanted[_OPTIONS] = _RTSP_OPTIONS
    with _environment_lock:
        ours = {key: value for key, value in wanted.items() if key not in environ}
        environ.update(ours)
        try:
            yield
        finally:
            for key in ours:
                del environ[key]
