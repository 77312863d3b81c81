"""The measurements of a period and of a run."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from edge_runtime.telemetry.report import Telemetry

MS = 1_000_000
SCHEMA = Path(__file__).resolve().parents[2] / "edge_runtime/outputs/schema-1.json"


def test_a_record_holds_everything_the_design_lists(make_telemetry, run_frames):
    """Dashboards are built on these keys and units."""
    telemetry = make_telemetry()
    run_frames(telemetry, 25)
    telemetry.dropped(3)
    assert telemetry.snapshot() == {
        "schema": 1,
        "type": "telemetry",
        "time": "2026-01-31T12:00:00.250Z",
        "scope": "period",
        "window_s": 1.0,
        "fps": {"capture": 24.0, "inference": 25.0},
        "frames": {"captured": 25, "dropped": 3, "processed": 25},
        "stages_ms": {
            stage: {"p50": ms, "p90": ms, "p95": ms, "p99": ms, "max": ms}
            for stage, ms in (("wait", 0.3), ("preprocess", 0.2), ("invoke", 13.0), ("decode", 0.1))
        },
        "latency_ms": {"p50": 20.0, "p90": 20.0, "p95": 20.0, "p99": 20.0, "max": 20.0},
        "rss_bytes": 94 * 1024**2,
        "peak_rss_bytes": 96 * 1024**2,
        "cpu_percent": 112.3,
        "threads": 9,
        "open_fds": 14,
        "board": "Raspberry Pi 5 Model B Rev 1.0",
        "temperature_celsius": 61.2,
        "frequency_hz": 2_400_000_000,
        "throttled": {
            "now": {
                "under_voltage": False, "frequency_capped": False, "throttled": True, "soft_temperature_limit": False,
            },
            "since_boot": {
                "under_voltage": True, "frequency_capped": False, "throttled": True, "soft_temperature_limit": False,
            },
        },
    }  # fmt: skip


@pytest.mark.parametrize("is_bare", [True, False])
def test_records_fit_the_schema_at_every_moment_of_a_run(make_telemetry, run_frames, clock, is_bare):
    """Before the first frame, within, without any, at the end: all are written to the same file."""
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    telemetry = make_telemetry(is_bare=is_bare)
    records = [telemetry.final(), telemetry.snapshot()]
    telemetry.captured()
    records += [telemetry.final(), telemetry.snapshot()]
    run_frames(telemetry, 5)
    records.append(telemetry.snapshot())
    clock.pass_ms(1000)
    records += [telemetry.snapshot(), telemetry.final()]
    for record in records:
        validator.validate(json.loads(json.dumps(record, allow_nan=False)))


def test_a_period_counts_only_what_was_in_it(make_telemetry, run_frames):
    """A stall must show in its own report and in no other."""
    telemetry = make_telemetry()
    run_frames(telemetry, 10, latency_ms=30.0)
    telemetry.snapshot()
    run_frames(telemetry, 5, every_ms=200.0, latency_ms=20.0)
    record = telemetry.snapshot()
    assert record["frames"] == {"captured": 5, "dropped": 0, "processed": 5}
    assert record["fps"] == {"capture": 5.0, "inference": 5.0}
    assert record["window_s"] == 1.0
    assert record["latency_ms"]["max"] == 20.0


def test_a_period_without_a_frame_has_a_rate_of_zero_and_no_durations(make_telemetry, run_frames, clock):
    """The camera is away: zero frames a second is measured, a latency is not."""
    telemetry = make_telemetry()
    run_frames(telemetry, 2)
    telemetry.snapshot()
    clock.pass_ms(500)
    record = telemetry.snapshot()
    assert record["fps"] == {"capture": 0.0, "inference": 0.0}
    assert record["latency_ms"] is None
    assert set(record["stages_ms"].values()) == {None}


def test_the_first_period_begins_with_the_first_frame(make_telemetry, run_frames, clock):
    """Opening a camera takes seconds, which are no part of its rate."""
    telemetry = make_telemetry()
    clock.pass_ms(3000)
    run_frames(telemetry, 25)
    record = telemetry.snapshot()
    assert record["window_s"] == 1.0
    assert record["fps"]["inference"] == 25.0


def test_a_period_before_any_frame_says_zero(make_telemetry, clock):
    """The camera has been absent from the start."""
    telemetry = make_telemetry()
    clock.pass_ms(10_000)
    record = telemetry.snapshot()
    assert record["window_s"] == 10.0
    assert record["fps"] == {"capture": 0.0, "inference": 0.0}


def test_the_run_goes_from_the_first_frame_to_the_last_result(make_telemetry, run_frames, clock):
    """Neither loading before nor closing files after it may spoil the rate of a short run."""
    telemetry = make_telemetry()
    clock.pass_ms(5000)
    run_frames(telemetry, 11, every_ms=100.0, latency_ms=20.0)
    telemetry.snapshot()
    clock.pass_ms(5000)
    record = telemetry.final()
    assert record["scope"] == "run"
    assert record["window_s"] == 1.02
    assert record["frames"]["processed"] == 11
    assert record["fps"] == {"capture": 10.0, "inference": 10.78}
    assert record["latency_ms"]["p50"] == pytest.approx(20.0, rel=0.008)
    assert record["cpu_percent"] == 101.0


def test_a_single_frame_has_no_rate_of_capture(make_telemetry, run_frames):
    """One picture has no interval; a number would be invented."""
    telemetry = make_telemetry()
    run_frames(telemetry, 1, latency_ms=20.0)
    assert telemetry.final()["fps"] == {"capture": None, "inference": 50.0}


def test_a_run_without_a_frame_has_no_rates(make_telemetry):
    """The camera never opened."""
    record = make_telemetry().final()
    assert record["window_s"] == 0
    assert record["fps"] == {"capture": None, "inference": None}
    assert record["stages_ms"] == {}
    assert record["latency_ms"] is None


def test_the_overlay_says_rate_and_p95_of_the_last_seconds(make_telemetry, run_frames):
    """What a person at the window wants to know is now, not the mean since morning."""
    telemetry = make_telemetry()
    assert telemetry.overlay() is None
    run_frames(telemetry, 100, every_ms=40.0, latency_ms=40.0)
    run_frames(telemetry, 60, every_ms=50.0, latency_ms=33.0)
    assert telemetry.overlay() == "20.0 FPS | p95 33 ms"


def test_the_overlay_is_renewed_twice_a_second(make_telemetry, run_frames, clock):
    """Numbers that change with every frame cannot be read, and sorting for each frame costs."""
    telemetry = make_telemetry()
    run_frames(telemetry, 50, every_ms=50.0)
    first = telemetry.overlay()
    run_frames(telemetry, 4, every_ms=100.0)
    assert telemetry.overlay() == first
    clock.pass_ms(200)
    assert telemetry.overlay() != first


def test_the_overlay_outlives_the_end_of_a_period(make_telemetry, run_frames):
    """It must not go blank every ten seconds."""
    telemetry = make_telemetry()
    run_frames(telemetry, 50, every_ms=50.0, latency_ms=20.0)
    telemetry.snapshot()
    assert telemetry.overlay() == "20.0 FPS | p95 20 ms"


def test_a_board_slower_than_the_window_has_an_overlay_too(make_telemetry, run_frames):
    """One frame in three seconds is a rate as well."""
    telemetry = make_telemetry()
    run_frames(telemetry, 3, every_ms=3000.0, latency_ms=2500.0)
    assert telemetry.overlay() == "0.3 FPS | p95 2500 ms"


def test_telemetry_of_this_very_machine_is_a_record(clock):
    """The real probes together; none of their values can be known here, all keys can."""
    telemetry = Telemetry()
    telemetry.captured()
    telemetry.result({"invoke": 5 * MS}, 7 * MS)
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    for record in (telemetry.snapshot(), telemetry.final()):
        validator.validate(record)
        assert record["frames"] == {"captured": 1, "dropped": 0, "processed": 1}
