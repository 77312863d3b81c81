"""An even video from the uneven frames of a live source."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.outputs.beat import Beat, live_fps, playable_fps

MS = 1_000_000


def pictures(fps, times_ms):
    beat = Beat(fps)
    return [beat.pictures_until(time_ms * MS) for time_ms in times_ms]


def test_frames_on_the_beat_are_written_once():
    """The usual case must neither repeat nor lose anything."""
    assert pictures(10, [0, 100, 200, 300]) == [1, 1, 1, 1]


def test_frames_a_little_early_or_late_still_count_once():
    """Cameras jitter by some milliseconds."""
    assert pictures(10, [0, 104, 196, 303]) == [1, 1, 1, 1]


def test_a_missed_moment_is_filled_by_one_more_picture():
    """Else the video would run faster than the world."""
    assert pictures(10, [0, 100, 400, 500]) == [1, 1, 3, 1]


def test_a_frame_too_early_for_the_next_picture_is_left_out():
    """Else the video would run slower than the world."""
    assert pictures(10, [0, 20, 40, 100]) == [1, 0, 0, 1]


def test_a_gap_of_more_than_a_second_is_a_cut():
    """A camera that was away for an hour must not be an hour of a picture that looks like an observation."""
    assert pictures(10, [0, 100, 3_600_100, 3_600_200, 3_600_300]) == [1, 1, 11, 1, 1]


@given(st.floats(0.1, 120), st.lists(st.integers(0, 900), min_size=1, max_size=200))
def test_the_video_lasts_as_long_as_the_world_did(fps, steps_ms):
    """With gaps under a second, the number of pictures follows the clock to within one."""
    times_ms = [0]
    for step_ms in steps_ms:
        times_ms.append(times_ms[-1] + step_ms)
    assert abs(sum(pictures(fps, times_ms)) - 1 - times_ms[-1] / 1000 * fps) <= 1.01


def test_a_live_video_takes_the_rate_of_the_closest_frames():
    """Detection may be slower than the camera, and encoding every picture six times costs a small board dear."""
    assert live_fps([0, 200 * MS, 300 * MS, 500 * MS], 30.0) == 10.0


def test_a_live_video_is_never_faster_than_its_source():
    """Two frames may leave a queue at once."""
    assert live_fps([0, 1, 33 * MS], 30.0) == 30.0
    assert live_fps([0, 1, 33 * MS], None) == 30.0


def test_one_frame_alone_takes_the_rate_of_the_source():
    """There is nothing to measure then."""
    assert live_fps([0], 15.0) == 15.0
    assert live_fps([5, 5], None) == 30.0


@pytest.mark.parametrize(
    ("fps", "playable"),
    [(29.97002997, 29.97), (59.94, 59.94), (333.333, 240.0), (119.88, 120.0), (0.001, 0.1), (25, 25)],
)
def test_rates_mpeg4_cannot_say_become_the_nearest_it_can(fps, playable):
    """Its encoder refuses to open at 333.333."""
    assert playable_fps(fps) == playable
