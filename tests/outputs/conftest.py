"""Results and pictures for the tests of outputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edge_runtime.clock import NS_PER_MS
from edge_runtime.detections import Detections
from edge_runtime.frame import Frame
from edge_runtime.result import Result, StateChange

WALL_TIME = 1_769_860_800.25  # 2026-01-31T12:00:00.25Z


@pytest.fixture(scope="session")
def make_result() -> Callable[..., Result]:
    """Return a function that makes a result: `count` persons on a grey frame, captured at so many milliseconds."""

    def make(
        sequence: int = 0,
        *,
        count: int = 1,
        at_ms: float = 0.0,
        source: str = "camera 0",
        size_wh: tuple[int, int] = (64, 48),
        level: int = 90,
        tracked: bool = False,
    ) -> Result:
        image = np.full((size_wh[1], size_wh[0], 3), level, np.uint8)
        captured_ns = 5_000_000_000 + int(at_ms * NS_PER_MS)
        frame = Frame(image, sequence, captured_ns, WALL_TIME + at_ms / 1000, source)
        boxes = np.tile(np.array([[1.0, 2.0, 33.3333, 44.4444]], np.float32), (count, 1))
        found = Detections(
            boxes,
            np.linspace(0.87654321, 0.5, count, dtype=np.float32),
            np.zeros(count, np.int32),
            np.arange(count, dtype=np.int64) + 10 if tracked else None,
        )
        stages_ns = {"wait": 100_000, "preprocess": 200_400, "invoke": 13_000_000, "decode": 50_000}
        return Result(frame, found, ("person",) * count, stages_ns, captured_ns + 41_234_567)

    return make


@pytest.fixture
def change() -> StateChange:
    """Return a camera that was lost."""
    return StateChange("camera", "ok", "lost", "camera 0: unplugged", WALL_TIME)
