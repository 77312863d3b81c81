"""Telemetry as text."""

from __future__ import annotations

import pytest

from edge_runtime.telemetry.report import final_table, summary_line
from edge_runtime.telemetry.summary import status_line


def test_the_log_line_has_keys_and_values_and_nothing_unmeasured(make_telemetry, run_frames):
    """One line a period is all a service writes; grep and awk read it."""
    telemetry = make_telemetry()
    run_frames(telemetry, 25)
    assert summary_line(telemetry.snapshot()) == (
        "summary window_s=1.0 captured=25 dropped=0 processed=25 capture_fps=24.0 inference_fps=25.0 "
        "latency_p50_ms=20.0 latency_p95_ms=20.0 latency_p99_ms=20.0 invoke_p50_ms=13.0 rss_bytes=98566144 "
        "cpu_percent=112.3 temperature_celsius=61.2 frequency_hz=2400000000 throttled=throttled "
        "throttled_since_boot=under_voltage,throttled"
    )


def test_a_container_without_a_frame_has_a_short_line(make_telemetry, clock):
    """What is not known is left out, not written as zero."""
    telemetry = make_telemetry(is_bare=True)
    clock.pass_ms(10_000)
    assert summary_line(telemetry.snapshot()) == (
        "summary window_s=10.0 captured=0 dropped=0 processed=0 capture_fps=0.0 inference_fps=0.0 "
        "rss_bytes=98566144 cpu_percent=112.3"
    )


def test_the_line_for_a_service_has_what_one_looks_for(make_telemetry, run_frames):
    """systemctl status shows it: is it running, is it late, is it hot, does it get its power?"""
    telemetry = make_telemetry()
    run_frames(telemetry, 25)
    assert status_line(telemetry.snapshot()) == "25.0 FPS, p95 20 ms, 61 °C, throttled"
    assert status_line(make_telemetry(is_bare=True).snapshot()) == "no frames"


def test_the_table_of_a_run(make_telemetry, run_frames):
    """What a person sees at the end, to the letter."""
    telemetry = make_telemetry()
    run_frames(telemetry, 1500)
    telemetry.dropped(45)
    assert final_table(telemetry.final()).splitlines() == [
        "run of 60.0 s on Raspberry Pi 5 Model B Rev 1.0",
        "",
        "frames      captured 1,500, processed 1,500, dropped 45 (3.0 %)",
        "per second  capture 25.0, inference 25.0",
        "memory      now 94.0 MiB, peak 96.0 MiB",
        "processor   101 % of one core",
        "board       61.2 °C, 2.40 GHz, throttled now, earlier under voltage",
        "",
        "milliseconds                 p50         p90         p95         p99         max",
        "wait                        0.30        0.30        0.30        0.30        0.30",
        "preprocess                  0.20        0.20        0.20        0.20        0.20",
        "invoke                     13.00       13.00       13.00       13.00       13.00",
        "decode                      0.10        0.10        0.10        0.10        0.10",
        "capture to result          20.00       20.00       20.00       20.00       20.00",
    ]


@pytest.mark.parametrize(("more", "said"), [(1, "1 more was on the way"), (3, "3 more were on the way"), (0, None)])
def test_frames_that_a_stop_caught_on_their_way_are_named(make_telemetry, run_frames, more, said):
    """Captured, and neither processed nor dropped: who adds up the line above must not find frames missing."""
    telemetry = make_telemetry()
    run_frames(telemetry, 10)
    for _ in range(more):
        telemetry.captured()
    lines = final_table(telemetry.final()).splitlines()
    assert lines[2] == f"frames      captured {10 + more}, processed 10, dropped 0"
    assert (lines[3] == f"{'':12}{said} to the model when the run ended") if said else lines[3].startswith("per second")


def test_frames_under_way_at_the_end_of_a_period_are_not_named(make_telemetry, run_frames):
    """They belong to the next one."""
    telemetry = make_telemetry()
    run_frames(telemetry, 10)
    telemetry.captured()
    assert "on the way" not in final_table(telemetry.snapshot())


def test_the_table_fits_a_terminal_whatever_it_holds(make_telemetry, clock):
    """80 columns, also after a month with durations of minutes and a stage with a long name."""
    telemetry = make_telemetry()
    for _ in range(3):
        telemetry.captured()
        clock.pass_ms(900_000_000)
        telemetry.result({"a stage with a name nobody expected": 90 * 10**9, "invoke": 3_600 * 10**9}, 5_000 * 10**9)
    telemetry.dropped(77_000_000)
    lines = final_table(telemetry.final()).splitlines()
    assert max(map(len, lines)) <= 80
    assert "3,600,000.00" in "".join(lines)


def test_the_table_of_a_run_without_a_frame_is_short(make_telemetry):
    """The camera never opened; there is nothing to be proud of."""
    assert final_table(make_telemetry(is_bare=True).final()).splitlines() == [
        "run of 0.0 s on x86_64",
        "",
        "frames      captured 0, processed 0, dropped 0",
        "memory      now 94.0 MiB, peak 96.0 MiB",
        "processor   101 % of one core",
    ]


def test_a_board_in_good_health_says_so(make_telemetry, run_frames):
    """No news would leave people guessing."""
    record = make_telemetry().final()
    for flags in record["throttled"].values():
        flags.update(dict.fromkeys(flags, False))
    assert "not throttled now" in final_table(record)
    assert "throttled=no" in summary_line(record)
    assert "since_boot" not in summary_line(record)
