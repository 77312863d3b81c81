"""A USB camera, or any other that Linux offers as /dev/videoN, through OpenCV."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
from numpy.typing import NDArray

from edge_runtime.capture.handle import Handle, quieten
from edge_runtime.capture.lasting import Lasting, cameras_beside, lasting_names
from edge_runtime.capture.stamp import live_frames, sensor_ns
from edge_runtime.capture.v4l import Nodes
from edge_runtime.clock import NS_PER_MS, NS_PER_S, now_ns
from edge_runtime.errors import CaptureError, FrameTimeoutError
from edge_runtime.frame import Frame

log = logging.getLogger(__name__)

_SELECT_TIMEOUT = "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"
_BUFFERS = 2
_PAUSE_S = 0.05


def open_v4l2(path: str) -> Any:
    """Return OpenCV's capture of this device; the caller checks ``isOpened()``."""
    return cv2.VideoCapture(path, cv2.CAP_V4L2)


class CameraSource:
    """A camera at /dev/videoN: live, newest frame, stamped by its driver.

    The thread that captures enters, iterates and leaves; nobody else does. Should another thread leave the block
    all the same, it waits until the read under way returns, about a second on a silent camera.

    Args:
        device: number N of /dev/videoN, or a path. A camera that was open once is found again under another number
            by its links in /dev/v4l; name it by one of them where numbers may change before the first time.
        size_wh: width and height to ask for; None takes the driver's 640x480.
        fps: frames per second to ask for; None takes the driver's.
        frame_timeout_s: seconds without a frame after which the camera counts as silent.
        opener: returns an object with the calls of ``cv2.VideoCapture`` for a path.
        nodes: where the kernel shows its devices.
        environ: the process environment.
        clock: monotonic nanoseconds.
        pause: waits so many seconds.
    """

    is_live = True

    def __init__(
        self,
        device: int | str,
        *,
        size_wh: tuple[int, int] | None = None,
        fps: float | None = None,
        frame_timeout_s: float = 5.0,
        opener: Callable[[str], Any] = open_v4l2,
        nodes: Nodes | None = None,
        environ: MutableMapping[str, str] = os.environ,
        clock: Callable[[], int] = now_ns,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._nodes = nodes or Nodes()
        self.name = str(self._nodes.dev / f"video{device}") if isinstance(device, int) else device
        self.resolution: tuple[int, int] | None = None
        self.fps: float | None = None
        self._asked_wh, self._asked_fps = size_wh, fps
        self._timeout_ns = round(frame_timeout_s * NS_PER_S)
        self._opener, self._environ, self._clock, self._pause = opener, environ, clock, pause
        self._handle: Handle | None = None
        self._path = self.name  # of the node, which changes its number
        self._identity: tuple[int, int] | None = None
        self._lasting: Lasting | None = None  # by what it is found again; None until it was open once
        self._others: frozenset[str] | None = None  # cameras that were there when this one failed
        self._first: tuple[NDArray[Any], int] | None = None

    def __enter__(self) -> Self:
        # OpenCV waits 10 s for a frame unless told otherwise, and reads this when the first camera is read.
        self._environ.setdefault(_SELECT_TIMEOUT, "1")
        quieten()
        self._path = self._find()
        self._identity = self._device_identity()
        if self._identity is None or not self._nodes.allows(self._path):
            raise CaptureError(f"camera {self.name}: {self._nodes.why_not(self._path)}")
        capture = self._opener(self._path)
        self._handle = Handle(capture, clock=self._clock)
        try:
            if not capture.isOpened():
                raise CaptureError(f"camera {self.name}: {self._nodes.why_not(self._path)}")
            self._ask(capture)
            # An opened device proves nothing: one that answers "no such device" opens as well.
            self._first = self._next_image()
        except BaseException:
            self._handle.release()
            raise
        self._note_what_the_driver_gave(self._first[0])
        self._lasting = lasting_names(self._nodes, self._path, self._lasting)
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

    def _find(self) -> str:
        """Return the path of the node to open: as it was named, then wherever the same camera is."""
        if self._lasting is None:
            return self.name
        # What has gone since and comes back into that socket may well be this camera.
        self._others = (self._others or frozenset()).intersection(self._nodes.all_links("by-path"))
        path = self._lasting.find(self._nodes, self._others)
        if path is None:
            name = Path(self._lasting.by_id or self._lasting.by_paths[0]).name
            raise CaptureError(f"camera {self.name}: {name} is not there; plug it in again; {self._nodes.cameras()}")
        if path != self._path:
            log.warning("camera has another number now name=%s before=%s now=%s", self.name, self._path, path)
        return path

    def _ask(self, capture: Any) -> None:
        # JPEG first: uncompressed, USB 2 has room for 640x480 at 30 frames a second and for nothing larger. A
        # camera without JPEG refuses and keeps its own format.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        if self._asked_wh is not None:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._asked_wh[0])
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._asked_wh[1])
        if self._asked_fps is not None:
            capture.set(cv2.CAP_PROP_FPS, self._asked_fps)
        # One buffer for the driver to fill while we decode the other. OpenCV's four would hold frames older than
        # the newest after a hiccup; a single one leaves the driver without a place while we decode, and it then
        # skips every second frame.
        capture.set(cv2.CAP_PROP_BUFFERSIZE, _BUFFERS)

    def _note_what_the_driver_gave(self, image: NDArray[Any]) -> None:
        assert self._handle is not None
        self.resolution = (image.shape[1], image.shape[0])
        fps = self._handle.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps < 1000 else None
        code = int(self._handle.get(cv2.CAP_PROP_FOURCC))
        fourcc = "".join(chr(code >> shift & 0xFF) for shift in (0, 8, 16, 24)) if code > 0 else "unknown"
        log.info("camera open name=%s size=%dx%d fps=%s fourcc=%s", self.name, *self.resolution, self.fps, fourcc)
        if self._asked_wh not in (None, self.resolution):
            log.warning(
                "camera size not available name=%s asked=%s given=%s", self.name, self._asked_wh, self.resolution
            )

    def _next_image(self) -> tuple[NDArray[Any], int]:
        """Return the next image and when it was taken, monotonic nanoseconds."""
        if self._handle is None:
            raise CaptureError(f"camera {self.name}: not open; enter the source before iterating")
        deadline_ns = self._clock() + self._timeout_ns
        while True:
            image, grabbed_ns = self._handle.read()
            if image is not None:
                self._others = None
                # For V4L2 the "position" is the driver's timestamp of the buffer.
                driver_ns = round(self._handle.get(cv2.CAP_PROP_POS_MSEC) * NS_PER_MS)
                return image, sensor_ns(driver_ns, grabbed_ns)
            self._check_there()
            if self._clock() >= deadline_ns:
                seconds, why = self._timeout_ns / NS_PER_S, self._nodes.why_silent(self._path)
                raise FrameTimeoutError(f"camera {self.name}: no frame for {seconds:.1f} s; {why}")
            self._pause(_PAUSE_S)  # a broken device answers at once, and would be asked thousands of times a second

    def _check_there(self) -> None:
        if self._handle is None or self._handle.is_released:
            raise CaptureError(f"camera {self.name}: closed while it was read")
        if self._lasting is not None and self._others is None:
            self._others = cameras_beside(self._nodes, self._lasting)  # at once: a new one may be ours, plugged in anew
        if self._device_identity() != self._identity:
            raise CaptureError(f"camera {self.name}: unplugged; {self._nodes.cameras()}")

    def _device_identity(self) -> tuple[int, int] | None:
        """Return what tells this device from one plugged in later under the same name; None if there is none."""
        try:
            status = Path(self._path).stat()
        except OSError:
            return None
        return status.st_rdev, status.st_ino
