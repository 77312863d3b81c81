"""The pictures of a log; what they are drawn from is checked, not their pixels."""

from __future__ import annotations

import itertools
import math

import pytest

pytest.importorskip("matplotlib", reason="the extra [evaluate] is not installed")

import cv2
import numpy as np

from edge_runtime.clock import rfc3339
from edge_runtime.errors import ConfigError
from edge_runtime.logbook.reading import Line
from edge_runtime.logbook.report import MOST_POINTS, Points, _broken, html_report, png_report, read_history

T0 = 1_700_000_000
FLAGS = dict.fromkeys(("under_voltage", "frequency_capped", "throttled", "soft_temperature_limit"), False)


def telemetry(seconds: float, *, throttled: bool = False) -> dict:
    return {"schema": 1, "type": "telemetry", "time": rfc3339(T0 + seconds), "scope": "period", "window_s": 10,
            "fps": {"inference": 9.5}, "frames": {"dropped": 0}, "latency_ms": {"p50": 90.0, "p95": 120.0},
            "rss_bytes": 90 * 2**20, "temperature_celsius": 61.5,
            "throttled": {"now": FLAGS | {"throttled": throttled}}}  # fmt: skip


def state(seconds: float, before: str, after: str, part: str = "camera") -> dict:
    return {"schema": 1, "type": "state", "time": rfc3339(T0 + seconds), "part": part, "from": before, "to": after,
            "reason": "<because>"}  # fmt: skip


def lines(*records: dict) -> list[Line]:
    return [Line(n, b"", one, None) for n, one in enumerate(records, 1)]


def test_an_outage_lasts_until_the_part_is_well_again():
    found, _ = read_history(
        lines(telemetry(0), state(5, "ok", "lost"), state(8, "lost", "waiting"), state(20, "x", "ok"))
    )
    assert found.outages == [(T0 + 5, T0 + 8, "camera: lost"), (T0 + 8, T0 + 20, "camera: waiting")]


def test_an_outage_that_never_ended_stays_open():
    assert read_history(lines(state(5, "ok", "lost")))[0].outages == [(T0 + 5, None, "camera: lost")]


def test_throttling_without_a_pause_is_one_stretch():
    found, _ = read_history(lines(*(telemetry(n * 10, throttled=n != 30) for n in range(60))))
    assert found.throttled == [(T0 - 10, T0 + 590)]


def test_a_year_takes_no_more_points_than_a_day():
    points = Points()
    for second in range(10 * MOST_POINTS):
        points.add(second, second % 2)
    assert len(points.times) <= MOST_POINTS
    assert points.times == sorted(points.times)
    assert set(points.values) == {0.5}


def test_the_line_is_broken_where_nothing_was_measured():
    """A line across an outage would show frames that never were."""
    points = Points()
    for second in itertools.chain(range(10), range(100, 110)):
        points.add(second, 1.0)
    assert [math.isnan(value) for value in _broken(points)[1]].index(True) == 10


def test_the_page_has_the_picture_and_the_states_and_needs_no_other_file():
    page = html_report(lines(telemetry(0), state(5, "ok", "lost"), telemetry(10))).decode()
    assert "data:image/png;base64," in page
    assert "&lt;because&gt;" in page
    assert "http" not in page
    assert "telemetry 2, state 1" in page


def test_the_picture_grows_with_what_there_is_to_draw():
    def height(*records: dict) -> int:
        return cv2.imdecode(np.frombuffer(png_report(lines(*records)), np.uint8), cv2.IMREAD_COLOR).shape[0]

    frame = {"schema": 1, "type": "detections", "time": rfc3339(T0), "source": "x",
             "latency_ms": {"capture_to_result": 9.5}, "detections": [{"label": "x"}]}  # fmt: skip
    assert height(frame) < height(frame, telemetry(0), telemetry(10))


def test_nothing_to_draw_is_said():
    with pytest.raises(ConfigError, match="neither frames nor telemetry"):
        png_report(lines(state(0, "ok", "lost")))
