"""What systemd hears, on a socket of the same kind and with a clock of our own."""

from __future__ import annotations

import os
import socket

import pytest

from edge_runtime.clock import NS_PER_S
from edge_runtime.notify import Heartbeat, notify_systemd, watchdog_s


class Run:
    """A run with a clock: what it tells systemd is kept."""

    def __init__(self, watchdog_s: int | None = 40) -> None:
        self.said: list[str] = []
        self.now_ns = 0
        environment = {} if watchdog_s is None else {"WATCHDOG_USEC": str(watchdog_s * 10**6)}
        self.beat = Heartbeat(environment, self.said.append, lambda: self.now_ns)

    def after(self, seconds: float, processed: int, trouble: str | None = None) -> list[str]:
        """Let time pass and look once; return what was said then."""
        self.now_ns += int(seconds * NS_PER_S)
        before = len(self.said)
        self.beat.tick(processed, trouble)
        return self.said[before:]


def test_ready_is_said_once_with_the_first_frame():
    run = Run()
    assert run.after(1, 0) == []
    assert run.after(1, 1) == ["READY=1"]
    assert run.after(1, 2) == []


def test_a_camera_that_is_absent_does_not_hold_up_the_boot():
    """systemd would wait for READY, and with it everything that waits for the service."""
    run = Run()
    assert run.after(1, 0, "camera: lost") == ["READY=1", "STATUS=camera: lost, waiting"]


def test_an_outage_and_its_end_are_shown():
    run = Run(watchdog_s=None)
    said = [run.after(1, 1), run.after(1, 1, "camera: lost"), run.after(1, 1, "camera: lost"), run.after(1, 2)]
    assert said == [["READY=1"], ["STATUS=camera: lost, waiting"], [], ["STATUS=running"]]


def test_the_watchdog_is_fed_while_frames_flow():
    run = Run(watchdog_s=40)
    run.after(0, 1)
    fed = [bool(run.after(1, 2 + second)) for second in range(30)]
    assert [at for at, one in enumerate(fed, 1) if one] == [10, 20, 30]


def test_a_run_that_hangs_is_left_to_the_watchdog():
    """That is what it is for: nothing comes through the model, and nobody said why."""
    run = Run()
    run.after(0, 5)
    run.after(10, 6)
    assert [said for _ in range(20) for said in run.after(10, 6)] == []


def test_a_declared_outage_is_no_reason_to_be_killed():
    run = Run()
    run.after(0, 5)
    said = [said for _ in range(3) for said in run.after(10, 5, "camera: lost")]
    assert said.count("WATCHDOG=1") == 3


def test_frames_that_come_again_feed_again():
    run = Run()
    run.after(10, 5)
    assert run.after(15, 5) == []
    assert run.after(5, 6) == ["WATCHDOG=1"]


def test_without_a_watchdog_nothing_is_fed():
    run = Run(watchdog_s=None)
    run.after(0, 1)
    assert run.after(1000, 2) == []


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_the_watchdog_counts_only_where_it_is_meant_for_this_process(variables, seconds):
    """A child inherits the variables of its parent."""
    assert watchdog_s(variables) == seconds


@pytest.mark.parametrize("is_abstract", [False, True])
def test_the_message_arrives_on_the_socket(tmp_path, is_abstract):
    name = f"\0edge-runtime-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name)
        listener.settimeout(5)
        assert notify_systemd("READY=1", {"NOTIFY_SOCKET": name.replace("\0", "@")})
        assert listener.recv(100) == b"READY=1"


def test_a_status_is_one_line(tmp_path):
    """A line break would begin another message, such as STOPPING=1."""
    run = Run()
    run.beat.say("camera: lost\nSTOPPING=1")
    assert run.said == ["STATUS=camera: lost STOPPING=1"]


def test_nobody_listening_is_no_trouble(caplog):
    assert not notify_systemd("READY=1", {})
    assert not notify_systemd("READY=1", {"NOTIFY_SOCKET": "/nosuch/socket"})
    assert "could not be told" in caplog.text
