"""Look-alikes of devices: OpenCV's capture, picamera2, and a clock that moves only when told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import cv2
import numpy as np


def image(value: int = 128, size_wh: tuple[int, int] = (64, 48)) -> np.ndarray:
    return np.full((size_wh[1], size_wh[0], 3), value, np.uint8)


class Clock:
    """Monotonic nanoseconds under the test's control; `pause` moves them on and remembers that it was called."""

    def __init__(self, ns: int = 5_000_000_000) -> None:
        self.ns = ns
        self.pauses: list[float] = []

    def __call__(self) -> int:
        return self.ns

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.ns += round(seconds * 1e9)


class FakeCapture:
    """The calls of ``cv2.VideoCapture`` over a script.

    Each item of the script is one grab: an image, None (the grab fails), "damaged" (it cannot be decoded), or a
    function that is called and returns one of these. After the script every grab fails.
    """

    def __init__(self, script: Iterable[Any] = (), *, opened: bool = True, properties: dict[int, float] | None = None):
        self._script = iter(script)
        self._grabbed: Any = None
        self.opened = opened
        self.properties = {cv2.CAP_PROP_FPS: 30.0, **(properties or {})}
        self.asked: dict[int, float] = {}
        self.released = 0

    def isOpened(self) -> bool:  # OpenCV names it so
        return self.opened

    def grab(self) -> bool:
        assert not self.released, "grab after release crashes OpenCV"
        item = next(self._script, None)
        self._grabbed = item() if callable(item) else item
        return self._grabbed is not None

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        if isinstance(self._grabbed, str):
            return False, None
        if isinstance(self._grabbed, Exception):
            raise self._grabbed
        return True, self._grabbed.copy()

    def set(self, prop: int, value: float) -> bool:
        self.asked[prop] = value
        return True

    def get(self, prop: int) -> float:
        return self.properties.get(prop, 0.0)

    def release(self) -> None:
        self.released += 1


class FakeRequest:
    """A completed request of picamera2: it must be given back."""

    def __init__(self, array: np.ndarray, metadata: dict[str, Any]) -> None:
        self._array, self._metadata = array, metadata
        self.released = 0

    def get_metadata(self) -> dict[str, Any]:
        return self._metadata

    def make_array(self, name: str) -> np.ndarray:
        assert name == "main"
        assert not self.released
        return self._array.copy()

    def release(self) -> None:
        self.released += 1


class FakePicamera2:
    """The calls of ``picamera2.Picamera2`` that a source makes, over a script of (array, metadata) or exceptions."""

    def __init__(self, script: Iterable[Any], *, controls: tuple[str, ...] = ("FrameDurationLimits",)) -> None:
        self._script = iter(script)
        self.camera_controls = dict.fromkeys(controls)
        self.requests: list[FakeRequest] = []
        self.waits: list[float] = []
        self.calls: list[str] = []
        self.config: dict[str, Any] = {}
        self.refuses: Callable[[], None] | None = None

    def create_video_configuration(
        self, main: dict[str, Any], controls: dict[str, Any], buffer_count: int, queue: bool
    ):
        merged = {"FrameDurationLimits": (33333, 33333)} | controls if self.camera_controls else controls
        return {"main": dict(main), "controls": merged, "buffer_count": buffer_count, "queue": queue}

    def configure(self, config: dict[str, Any]) -> None:
        self.calls.append("configure")
        if self.refuses:
            self.refuses()
        self.config = config

    def camera_configuration(self) -> dict[str, Any]:
        return self.config

    def start(self) -> None:
        self.calls.append("start")

    def capture_request(self, wait: float) -> FakeRequest:
        self.waits.append(wait)
        item = next(self._script)
        if isinstance(item, Exception):
            raise item
        self.requests.append(FakeRequest(*item))
        return self.requests[-1]

    def cancel_all_and_flush(self) -> None:
        self.calls.append("cancel_all_and_flush")

    def close(self) -> None:
        self.calls.append("close")
