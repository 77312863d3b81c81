"""A camera on the Pi's own connector (CSI), through picamera2 and libcamera."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

from edge_runtime.capture.holders import holders
from edge_runtime.capture.stamp import live_frames, sensor_ns
from edge_runtime.clock import now_ns
from edge_runtime.errors import CaptureError, ConfigError, FrameTimeoutError
from edge_runtime.frame import Frame
from edge_runtime.openfiles import PROC

log = logging.getLogger(__name__)

_BUFFERS = 4  # one at the sensor, one in the image processor, one done, one being copied by us
_INSTALL = (
    "run `sudo apt install python3-picamera2` and make the virtual environment with "
    "`python3 -m venv --system-site-packages`"
)


def open_picamera2(number: int) -> Any:
    """Return picamera2's object for the camera of this number.

    Raises:
        ConfigError: picamera2 is not installed, or does not fit to the numpy of this environment.
    """
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        raise ConfigError(f"picamera: picamera2 cannot be imported ({error}); {_INSTALL}") from error
    except ValueError as error:  # "numpy.dtype size changed": apt's modules were built for another numpy
        raise ConfigError(
            f"picamera: picamera2 does not work with this environment's numpy ({error}); install the numpy that apt has"
        ) from error
    return Picamera2(number)


def suspended_ns() -> int:
    """Return how long the machine has been suspended: the boot clock counts it, the monotonic one does not."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class PicameraSource:
    """A CSI camera: live, newest frame, stamped by the sensor.

    The thread that captures enters, iterates and leaves; nobody else does. Should another thread leave the block
    all the same, it waits until the capture under way returns, at most `frame_timeout_s`.

    Args:
        number: which camera, on boards with two connectors.
        size_wh: width and height, both even.
        fps: frames per second; None takes picamera2's 30.
        frame_timeout_s: seconds without a frame after which the camera counts as silent, above 0.
        opener: returns an object with the calls of ``picamera2.Picamera2`` for a camera number.
        clock: monotonic nanoseconds.
        proc: where the kernel shows processes.
    """

    is_live = True

    def __init__(
        self,
        number: int = 0,
        *,
        size_wh: tuple[int, int] | None = None,
        fps: float | None = None,
        frame_timeout_s: float = 5.0,
        opener: Callable[[int], Any] = open_picamera2,
        clock: Callable[[], int] = now_ns,
        proc: Path = PROC,
    ) -> None:
        self.name = "picamera" if number == 0 else f"picamera:{number}"
        self.resolution: tuple[int, int] | None = None
        self.fps: float | None = None
        self._number, self._asked_wh, self._asked_fps = number, size_wh or (640, 480), fps
        self._timeout_s, self._opener, self._clock, self._proc = frame_timeout_s, opener, clock, proc
        self._camera: Any = None
        self._first: tuple[NDArray[Any], int] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        try:
            self._camera = self._opener(self._number)
        except IndexError as error:
            raise CaptureError(
                f"{self.name}: no camera number {self._number} at the connector; check the ribbon cable, power off "
                "before touching it; `rpicam-hello --list-cameras` lists what is found"
            ) from error
        except (RuntimeError, OSError) as error:
            programs = holders(lambda target: target.startswith("/dev/media"), self._proc)
            by = f"in use by {programs}" if programs else "probably in use by another program"
            raise CaptureError(f"{self.name}: cannot be opened, {by} ({error})") from error
        try:
            self._start()
            self._first = self._next_image()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        self._first = None

    def __iter__(self) -> Iterator[Frame]:
        first, self._first = self._first, None
        return live_frames(first, self._next_image, self.name)

    def _start(self) -> None:
        try:
            limits = {}
            if self._asked_fps and "FrameDurationLimits" in self._camera.camera_controls:
                microseconds = round(1_000_000 / self._asked_fps)
                limits = {"FrameDurationLimits": (microseconds, microseconds)}
            config = self._camera.create_video_configuration(
                main={"format": "RGB888", "size": self._asked_wh},  # libcamera's RGB888 is B, G, R in memory
                controls=limits,
                buffer_count=_BUFFERS,
                queue=False,  # hand out the next frame, not one that lies there since the last request
            )
            self._camera.configure(config)
            self._camera.start()
            given = self._camera.camera_configuration()
        except (RuntimeError, ValueError, OSError) as error:
            raise CaptureError(f"{self.name}: does not start with size {self._asked_wh} ({error})") from error
        self.resolution = tuple(given["main"]["size"])
        duration = given.get("controls", {}).get("FrameDurationLimits")
        self.fps = 1_000_000 / duration[1] if duration else None
        log.info("camera open name=%s size=%dx%d fps=%s", self.name, *self.resolution, self.fps)

    def _next_image(self) -> tuple[NDArray[Any], int]:
        """Return the next image and when the sensor began to read it out, monotonic nanoseconds."""
        with self._lock:
            if self._camera is None:
                raise CaptureError(f"{self.name}: not open; enter the source before iterating")
            try:
                request = self._camera.capture_request(wait=self._timeout_s)
            except TimeoutError as error:
                self._give_up_waiting()
                raise FrameTimeoutError(
                    f"{self.name}: no frame for {self._timeout_s:.1f} s; "
                    "check the ribbon cable, power off before touching it"
                ) from error
            except (RuntimeError, OSError) as error:
                raise CaptureError(f"{self.name}: lost ({error})") from error
            now = self._clock()
            try:
                reported_ns = int(request.get_metadata().get("SensorTimestamp", 0))
                image = request.make_array("main")  # a copy: the camera's own buffer goes back at once
            finally:
                request.release()
        return image, _captured_ns(reported_ns, now)

    def _close(self) -> None:
        with self._lock:
            camera, self._camera = self._camera, None
            if camera is None:
                return
            try:
                camera.close()
            except (RuntimeError, OSError) as error:  # it is let go of because it is broken; that has been said
                log.warning("camera not closed name=%s reason=%s", self.name, error)

    def _give_up_waiting(self) -> None:
        """Call the request back: closing would wait for the frame that never came."""
        try:
            self._camera.cancel_all_and_flush()
        except (RuntimeError, OSError) as error:
            log.warning("requests not called back name=%s reason=%s", self.name, error)


def _captured_ns(reported_ns: int, now: int) -> int:
    # libcamera documents the boot clock; the Pi's driver stamps with the monotonic one. They differ after a suspend.
    as_monotonic = sensor_ns(reported_ns, now)
    return as_monotonic if as_monotonic != now else sensor_ns(reported_ns - suspended_ns(), now)
