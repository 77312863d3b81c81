"""The numbers of a log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.clock import rfc3339
from edge_runtime.logbook.reading import Line
from edge_runtime.logbook.stats import Percentiles, gather


def frame(seconds: float, *labels: str, ms: float = 10.0, source: str = "/dev/video0") -> dict:
    return {"schema": 1, "type": "detections", "time": rfc3339(1_700_000_000 + seconds), "source": source,
            "sequence": 0, "latency_ms": {"capture_to_result": ms},
            "detections": [{"label": label} for label in labels]}  # fmt: skip


def lines(*records: dict | None) -> list[Line]:
    return [Line(n, b"", one, None if one else "no JSON") for n, one in enumerate(records, 1)]


def test_frames_labels_and_damage_are_counted():
    found = gather(lines(frame(0, "person", "person"), None, frame(1), frame(2, "car")))
    assert (found.lines, found.damaged, found.records["detections"]) == (4, 1, 3)
    assert found.frames_with_detections == 2
    assert found.labels == {"person": 2, "car": 1}
    assert (found.first_s, found.last_s) == (1_700_000_000, 1_700_000_002)


def test_a_pause_counts_as_a_gap_and_a_clock_set_back_does_not():
    """A Pi without a battery for its clock starts in the past and jumps when the network comes."""
    found = gather(lines(frame(0), frame(5), frame(25), frame(-1000), frame(-999)))
    assert (found.gaps, found.longest_gap_s, found.clock_jumps_back) == (1, 20, 1)


def test_a_folder_of_pictures_is_one_source():
    found = gather(lines(*(frame(n, source=f"photos/{n}.jpg") for n in range(50)), frame(60, source="/dev/video0")))
    assert found.sources == {"photos/": 50, "/dev/video0": 1}


def test_videos_keep_their_names():
    found = gather(lines(frame(0, source="a.mp4"), frame(1, source="b.mp4"), frame(2, source="1.jpg")))
    assert found.sources == {"a.mp4": 1, "b.mp4": 1, "1.jpg": 1}


@given(st.lists(st.floats(0.01, 1e5), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_percentiles_are_right_to_one_percent(values, share):
    """The bins keep the memory small; what they cost in exactness is promised."""
    found = Percentiles()
    for value in values:
        found.add(value)
    exact = sorted(values)[max(1, -(-len(values) * share // 1).__int__()) - 1]
    assert found.at(share) == pytest.approx(exact, rel=0.0101)


def test_percentiles_of_nothing_are_none():
    assert Percentiles().at(0.5) is None
