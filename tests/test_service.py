"""What a service says of each period."""

from __future__ import annotations

import logging

import pytest

from edge_runtime.notify import Heartbeat
from edge_runtime.service import Reports
from edge_runtime.telemetry.report import Telemetry


def test_a_camera_that_never_comes_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Every ten seconds the same line for months wears a card out; the telemetry file gets each record all the same."""
    telemetry, written = Telemetry(), []
    report = Reports(written.append, Heartbeat({}))
    caplog.set_level(logging.DEBUG, "edge_runtime")
    for frames in (0, 0, 0, 1, 0, 0):
        for _ in range(frames):
            telemetry.captured()
        report(telemetry.snapshot())
    levels = [one.levelname for one in caplog.records if one.message.startswith("summary ")]
    assert levels == ["INFO", "DEBUG", "DEBUG", "INFO", "INFO", "DEBUG"]
    assert [one["frames"]["captured"] for one in written] == [0, 0, 0, 1, 0, 0]
