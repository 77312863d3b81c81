"""What the inference thread hands to the outputs for one frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edge_runtime.detections import Detections
from edge_runtime.frame import Frame


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A frame, what was found in it, and how long each stage took."""

    frame: Frame
    detections: Detections
    labels: tuple[str, ...]  # (n,), the name of each detection, in the order of the detections
    stages_ns: Mapping[str, int]  # nanoseconds of "wait", "preprocess", "invoke" and "decode"
    finished_ns: int  # monotonic clock, the moment the detections were ready
    task: str = "detect"  # or "classify": the labels are of the whole frame

    @property
    def latency_ns(self) -> int:
        """Nanoseconds from capture to result."""
        return self.finished_ns - self.frame.captured_ns

    def without_image(self) -> Result:
        """Return the same with an image of no rows."""
        return replace(self, frame=self.frame.without_image())


@dataclass(frozen=True, slots=True)
class StateChange:
    """A part of the runtime went from one state to another, and why."""

    part: str  # "camera", "backend", "output:video", ...
    before: str
    after: str
    reason: str
    wall_time: float  # seconds since 1970, UTC
