"""Frames and the moment they were taken."""

from __future__ import annotations

import time

import numpy as np
import pytest

from edge_runtime.capture.stamp import sensor_ns, stamped
from edge_runtime.clock import now_ns
from edge_runtime.errors import CaptureError


def test_a_frame_cannot_be_written_to() -> None:
    """Everybody shares the one array; who draws into it would change what others still look at."""
    frame = stamped(np.zeros((4, 6, 3), np.uint8), sequence=3, captured_ns=now_ns(), source="here")

    assert (frame.sequence, frame.source, frame.size_wh) == (3, "here", (6, 4))
    with pytest.raises(ValueError, match="read-only"):
        frame.image[0, 0, 0] = 1


def test_a_frame_is_contiguous_even_if_the_image_was_not() -> None:
    """OpenCV copies what is not contiguous, at every use."""
    wide = np.arange(4 * 12 * 3, dtype=np.uint8).reshape(4, 12, 3)

    frame = stamped(wide[:, ::2], sequence=0, captured_ns=now_ns(), source="here")

    assert frame.image.flags.c_contiguous
    np.testing.assert_array_equal(frame.image, wide[:, ::2])


def test_wall_time_is_that_of_the_capture_and_not_of_the_call() -> None:
    """A frame taken ten seconds ago must not be written down as one of now."""
    frame = stamped(np.zeros((2, 2, 3), np.uint8), sequence=0, captured_ns=now_ns() - 10_000_000_000, source="here")

    assert 9.5 < time.time() - frame.wall_time < 60


@pytest.mark.parametrize("array", [np.zeros((4, 6), np.uint8), np.zeros((4, 6, 4), np.uint8), np.zeros((4, 6, 3))])
def test_what_is_no_bgr_picture_is_refused(array: np.ndarray) -> None:
    """A grey or 16-bit camera would otherwise fail much later, in the middle of the model's input."""
    with pytest.raises(CaptureError, match=r"expected uint8 \(H, W, 3\)"):
        stamped(array, sequence=0, captured_ns=0, source="here")


@pytest.mark.parametrize(
    ("reported_ns", "expected"),
    [
        (4_980_000_000, 4_980_000_000),
        (5_000_000_000, 5_000_000_000),
        (0, 5_000_000_000),
        (5_000_000_001, 5_000_000_000),
    ],
)
def test_the_drivers_time_counts_only_if_it_lies_within_the_last_second(reported_ns: int, expected: int) -> None:
    """Drivers without a clock say 0, some use the wall clock: latency would be off by decades."""
    assert sensor_ns(reported_ns, 5_000_000_000) == expected
