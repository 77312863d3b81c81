"""The even beat of a video against the uneven times of a live source."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from edge_runtime.clock import NS_PER_S

LONGEST_REPEAT_S = 1.0
USUAL_FPS = 30.0


class Beat:
    """Says how often a frame goes into a video in which one second is one second of the world."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._start_ns: int | None = None
        self._last = 0  # number of the picture written last

    def pictures_until(self, captured_ns: int) -> int:
        """Return how many pictures to write now: 0 for a frame that came early, 2 if one before it was missed."""
        if self._start_ns is None:
            self._start_ns = captured_ns
            return 1
        number = round((captured_ns - self._start_ns) * self._fps / NS_PER_S)
        missed = number - self._last - 1
        allowed = int(self._fps * LONGEST_REPEAT_S)
        if missed > allowed:
            # A camera that was away is a cut in the video, not a standing picture that looks like an observation.
            self._start_ns += int((missed - allowed) * NS_PER_S / self._fps)
            number -= missed - allowed
        pictures = max(0, number - self._last)
        self._last += pictures
        return pictures


def live_fps(times_ns: Sequence[int], source_fps: float | None) -> float:
    """Return the rate for a live video: that of the shortest interval, at most what the source says.

    A rate too high repeats some pictures; one too low would lose some.
    """
    intervals_ns = [after - before for before, after in pairwise(times_ns) if after > before]
    highest = source_fps or USUAL_FPS
    return playable_fps(min(highest, NS_PER_S / min(intervals_ns)) if intervals_ns else highest)


def playable_fps(fps: float) -> float:
    """Return the nearest rate MPEG-4 can say: its clock has 16 bits, so thousandths only below 65 a second."""
    fps = min(max(fps, 0.1), 240.0)
    return round(fps, 3) if fps < 65 else float(round(fps))
