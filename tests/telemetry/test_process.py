"""What this process takes."""

from __future__ import annotations

import os
from contextlib import nullcontext
from types import SimpleNamespace

import psutil
import pytest

from edge_runtime.telemetry.process import ProcessFacts, ProcessProbe


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 1_000_000_000

    def __call__(self):
        return self.now


class FakeProcess:
    """What is asked of psutil.Process."""

    def oneshot(self):
        return nullcontext()

    def memory_info(self):
        return SimpleNamespace(rss=94 * 1024**2)

    def num_threads(self):
        return 7

    def num_fds(self):
        return 12


@pytest.fixture
def proc(tmp_path):
    folder = tmp_path / str(os.getpid())
    folder.mkdir()
    (folder / "status").write_text("Name:\tpython\nVmPeak:\t  900000 kB\nVmHWM:\t   98304 kB\nThreads:\t7\n")
    return tmp_path


def test_all_facts_come_in_base_units(proc):
    """Kilobytes of procfs must not be taken for bytes."""
    clock, cpu = Clock(), Clock()
    probe = ProcessProbe(proc_root=proc, clock=clock, cpu_clock=cpu, process=FakeProcess())
    clock.now += 2_000_000_000
    cpu.now += 3_000_000_000
    assert probe.read() == ProcessFacts(94 * 1024**2, 96 * 1024**2, 150.0, 7, 12)


def test_the_processor_share_is_that_since_the_last_look_and_the_runs_own(proc):
    """A report is about its period, the final table about the run."""
    clock, cpu = Clock(), Clock()
    probe = ProcessProbe(proc_root=proc, clock=clock, cpu_clock=cpu, process=FakeProcess())
    clock.now += 1_000_000_000
    cpu.now += 1_000_000_000
    assert probe.read().cpu_percent == 100.0
    clock.now += 1_000_000_000
    assert probe.read_run().cpu_percent == 50.0
    assert probe.read().cpu_percent == 0.0


def test_no_time_has_no_share(proc):
    """Nothing divided by nothing is not zero percent."""
    probe = ProcessProbe(proc_root=proc, clock=Clock(), cpu_clock=Clock(), process=FakeProcess())
    assert probe.read().cpu_percent is None


def test_a_system_that_hides_everything_gives_none(tmp_path):
    """Containers and hidepid do; a report must come all the same."""

    class Hidden(FakeProcess):
        def memory_info(self):
            raise psutil.AccessDenied(1)

    clock = Clock()
    probe = ProcessProbe(proc_root=tmp_path, clock=clock, cpu_clock=Clock(), process=Hidden())
    clock.now += 1
    assert probe.read() == ProcessFacts(None, None, 0.0, None, None)


def test_a_status_without_the_peak_gives_none(proc):
    """gVisor has the file and not the line."""
    (proc / str(os.getpid()) / "status").write_text("Name:\tpython\n")
    probe = ProcessProbe(proc_root=proc, clock=Clock(), cpu_clock=Clock(), process=FakeProcess())
    assert probe.read().peak_rss_bytes is None


def test_this_very_process_is_seen():
    """The real psutil and the real procfs, with sizes that any Python has."""
    probe = ProcessProbe()
    sum(range(200_000))
    facts = probe.read()
    assert facts.rss_bytes > 5 * 1024**2
    assert facts.peak_rss_bytes is None or facts.peak_rss_bytes >= facts.rss_bytes / 2
    assert facts.threads >= 1
    assert facts.open_fds >= 3
    assert facts.cpu_percent >= 0
