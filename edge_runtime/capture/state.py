"""Whether a camera is there and to be believed: a lost one is tried again, ever more slowly; one that hangs is told."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from edge_runtime.capture import FrameSource
from edge_runtime.capture.doubt import REASONS, PictureCheck, Suspicion
from edge_runtime.capture.paced import PacedSource
from edge_runtime.clock import NS_PER_S, now_ns
from edge_runtime.errors import CaptureError
from edge_runtime.frame import Frame
from edge_runtime.result import StateChange

log = logging.getLogger(__name__)

HANGS_READING_S = 20.0
"""Every source ends a read by itself after 2 to 6 s, with a frame or an error."""
HANGS_OPENING_S = 90.0
"""Two look-ups of a name with a dead name server take a minute."""


class CameraState:
    """One of "starting", "ok", "suspect" and "lost"; each change is told once.

    The capture thread reports what it gets, the thread that watches the run asks whether it still gets anything.
    """

    def __init__(
        self,
        source: FrameSource,
        delays_s: Sequence[float],
        tell: Callable[[StateChange], object],
        *,
        clock: Callable[[], int] = now_ns,
    ) -> None:
        """Begin with a camera that has not been opened.

        Args:
            source: whose name is told. The pictures of a film or a drawing are believed, and it never hangs.
            delays_s: waits between tries to open it again; the last one repeats.
            tell: gets each change; must not wait.
            clock: monotonic nanoseconds.
        """
        self._source = source
        self._delays_s = delays_s
        self._tell = tell
        self._clock = clock
        self._is_device = source.is_live and not isinstance(source, PacedSource)
        self._state = "starting"
        self._tries = 0
        self._hangs = False
        self._heard_ns: int | None = None  # until then nothing more was to be expected of the capture thread
        self._size_wh: tuple[int, int] | None = None
        self._check, self._suspicion = PictureCheck(), Suspicion()
        self._lock = threading.Lock()

    @property
    def hangs(self) -> bool:
        """True once the driver has not answered for so long that only a restart of the process gets the device back.

        A watchdog that is fed during other outages must not be fed during this one.
        """
        return self._hangs

    def delivers(self, frame: Frame) -> Frame:
        """Take note of a frame; return it, with the reason to doubt it if there is one."""
        with self._lock:
            self._heard_ns, self._hangs = self._clock(), False
            frame, cause = self._looked_at(frame) if self._is_device else (frame, None)
            if cause is not None:
                self._becomes("suspect", f"{self._source.name} {REASONS[cause]}")
            elif self._state == "suspect":
                self._becomes("ok", f"{self._source.name} sends good pictures again")
            else:
                self._becomes("ok", f"{self._source.name} delivers frames")
        return frame

    def lose(self, error: CaptureError) -> float:
        """Take note of a failure; return the seconds to wait before the next try."""
        with self._lock:
            self._tries = self._tries + 1 if self._state in ("starting", "lost") else 0
            delay_s = max(self._delays_s[min(self._tries, len(self._delays_s) - 1)], error.retry_after_s)
            if self._state != "lost":
                what = "not there yet" if self._state == "starting" else "lost"
                pace = f", every {delay_s:.0f} s as wrong tries may lock the account" if error.retry_after_s else ""
                log.warning("camera %s, trying again until it comes%s reason=%s", what, pace, error)
                self._becomes("lost", str(error))
            elif self._hangs:
                log.warning("camera answers again, with an error reason=%s", error)
            self._heard_ns, self._hangs = self._clock() + round(delay_s * NS_PER_S), False
            self._size_wh = None  # what comes after this is another stream
        return delay_s

    def watch(self) -> CaptureError | None:
        """Look whether the capture thread still comes back from the driver; return an error once when it does not."""
        with self._lock:
            now = self._clock()
            if self._heard_ns is None:
                self._heard_ns = now
            limit_s = HANGS_READING_S if self._state in ("ok", "suspect") else HANGS_OPENING_S
            if not self._is_device or self._hangs or now - self._heard_ns < limit_s * NS_PER_S:
                return None
            self._hangs = True
            error = CaptureError(
                f"{self._source.name} hangs in the driver, for {limit_s:.0f} s now; only a restart of this program, "
                "or of the board, gets the camera back"
            )
            log.error("camera hangs reason=%s", error)
            self._tell(StateChange("camera", self._state, "lost", str(error), time.time()))
            self._state = "lost"
            return error

    def _looked_at(self, frame: Frame) -> tuple[Frame, str | None]:
        """Return the frame with the reason to doubt it, and the cause for which the camera is suspect."""
        if frame.size_wh != self._size_wh:
            self._begin_stream(frame.size_wh)
        cause = self._check.cause(frame.image, frame.captured_ns)
        suspect = self._suspicion.update(cause, frame.captured_ns)
        doubt = suspect or cause
        return (frame if doubt is None else replace(frame, doubt=doubt)), suspect

    def _begin_stream(self, size_wh: tuple[int, int]) -> None:
        if self._size_wh is not None:
            log.warning(
                "camera changed its resolution name=%s before=%dx%d now=%dx%d",
                self._source.name, *self._size_wh, *size_wh,
            )  # fmt: skip
        self._size_wh = size_wh
        self._check, self._suspicion = PictureCheck(), Suspicion()

    def _becomes(self, state: str, reason: str) -> None:
        if state == self._state:
            return
        if self._state == "lost":
            log.warning("camera there source=%s", self._source.name)
        elif "suspect" in (self._state, state):
            log.warning("camera %s reason=%s", state, reason)
        self._tell(StateChange("camera", self._state, state, reason, time.time()))
        self._state = state
