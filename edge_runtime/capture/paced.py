"""A finite source played at its own pace, as if it were a camera."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Self

from edge_runtime.capture import FrameSource
from edge_runtime.clock import NS_PER_S, now_ns
from edge_runtime.errors import ConfigError
from edge_runtime.frame import Frame

log = logging.getLogger(__name__)

_LATE_IN_A_ROW = 10  # a single late frame is a hiccup, nobody needs to hear of it


class PacedSource:
    """Another source's frames, each at the moment it is due: live until the other source ends.

    A frame's `captured_ns` is the moment it was due, so that latency means what it means with a camera. A source
    too slow for its pace plays slower, which is said once; its frames keep the moment they came.

    Args:
        source: what to play; it must know its `fps` once entered, unless `fps` is given.
        fps: frames per second; None takes the source's own.
        clock: monotonic nanoseconds.
        wait: waits so many seconds and returns True if it was told to stop meanwhile; None waits for `close`.
    """

    is_live = True

    def __init__(
        self,
        source: FrameSource,
        *,
        fps: float | None = None,
        clock: Callable[[], int] = now_ns,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._source = source
        self._asked_fps = fps
        self._clock = clock
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def resolution(self) -> tuple[int, int] | None:
        return self._source.resolution

    @property
    def fps(self) -> float | None:
        return self._asked_fps or self._source.fps

    def __enter__(self) -> Self:
        self._closed.clear()
        self._source.__enter__()
        if not self.fps:
            self._source.__exit__(None, None, None)
            raise ConfigError(f"--realtime: {self.name} has no frame rate of its own; give one with --fps")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._source.__exit__(kind, error, trace)

    def close(self) -> None:
        """End the iteration at once, also when it is waiting; from any thread."""
        self._closed.set()

    def __iter__(self) -> Iterator[Frame]:
        assert self.fps, "entering has checked it"
        interval_ns = round(NS_PER_S / self.fps)
        due_ns: int | None = None
        late = 0
        for frame in self._source:
            now = self._clock()
            if due_ns is None:
                due_ns = now
            elif now - due_ns > interval_ns:
                # From here on anew: a backlog that only grows would be no latency anybody could trust.
                due_ns, late = now, late + 1
                if late == _LATE_IN_A_ROW:
                    log.warning("source slower than its pace name=%s fps=%s", self.name, self.fps)
            else:
                late = 0
                if now < due_ns and self._wait((due_ns - now) / NS_PER_S):
                    return
            if self._closed.is_set():
                return
            yield _as_of(frame, due_ns)
            del frame  # its memory is free for the next one
            due_ns += interval_ns


def _as_of(frame: Frame, due_ns: int) -> Frame:
    return replace(frame, captured_ns=due_ns, wall_time=frame.wall_time + (due_ns - frame.captured_ns) / NS_PER_S)
