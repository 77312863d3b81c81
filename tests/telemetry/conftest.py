"""Telemetry with a clock that a test moves and a board that a test describes."""

from __future__ import annotations

import pytest

from edge_runtime.telemetry.board import BoardFacts, ThrottleFlags, Throttling
from edge_runtime.telemetry.process import ProcessFacts
from edge_runtime.telemetry.report import Telemetry

MS = 1_000_000
STAGES_NS = {"wait": 300_000, "preprocess": 200_000, "invoke": 13_000_000, "decode": 100_000}


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 10**12

    def __call__(self):
        return self.now

    def pass_ms(self, milliseconds):
        self.now += int(milliseconds * MS)


class FakeProcessProbe:
    """A process of 94 MiB."""

    def read(self):
        return ProcessFacts(94 * 1024**2, 96 * 1024**2, 112.3, 9, 14)

    def read_run(self):
        return ProcessFacts(94 * 1024**2, 96 * 1024**2, 101.0, 9, 14)


class FakeBoardProbe:
    """A Pi 5 whose supply was weak once."""

    facts = BoardFacts(
        61.2,
        2_400_000_000,
        Throttling(ThrottleFlags(False, False, True, False), ThrottleFlags(True, False, True, False)),
    )

    def model(self):
        return "Raspberry Pi 5 Model B Rev 1.0"

    def read(self):
        return self.facts


class BareBoardProbe(FakeBoardProbe):
    """A container: nothing is told."""

    facts = BoardFacts(None, None, None)

    def model(self):
        return "x86_64"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make_telemetry(clock):
    """Return a function that makes a Telemetry on this clock."""

    def make(*, is_bare=False):
        board = BareBoardProbe() if is_bare else FakeBoardProbe()
        return Telemetry(clock=clock, wall_clock=lambda: 1_769_860_800.25, process=FakeProcessProbe(), board=board)

    return make


@pytest.fixture
def run_frames(clock):
    """Return a function that lets so many frames come, each with a result after `latency_ms`."""

    def run(telemetry, count, *, every_ms=40.0, latency_ms=20.0):
        for _ in range(count):
            telemetry.captured()
            clock.pass_ms(latency_ms)
            telemetry.result(STAGES_NS, int(latency_ms * MS))
            clock.pass_ms(every_ms - latency_ms)

    return run
