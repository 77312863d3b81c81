"""What is seen of a long command: lines in a log, a bar on a terminal, a last word at Ctrl-C."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys

import pytest

from edge_runtime.cli.progress import PACE_S, Lines, interruptible, progress
from tests.cli.program import PATIENCE_S, ROOT


def test_each_step_is_one_line_however_many_parts_it_has() -> None:
    """The log of a build must show that the program lives, and stay readable."""
    said: list[str] = []
    lines = Lines(said.append, clock=lambda: 0.0)
    for done in range(100):
        lines("calibrating", done, 100)
    lines("int8", 0, 0)
    assert said == ["[0/100] calibrating", "int8"]


def test_a_long_step_says_from_time_to_time_how_far_it_is() -> None:
    said: list[str] = []
    now_s = 0.0
    lines = Lines(said.append, clock=lambda: now_s)
    for done in range(5):
        lines("accuracy: int8", done, 5)
        now_s += PACE_S / 2
    assert said == ["[0/5] accuracy: int8", "[2/5] accuracy: int8", "[4/5] accuracy: int8"]


def test_a_pipe_gets_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(quiet=False) as tick:
        tick("times: int8", 1, 2)
    assert capsys.readouterr() == ("", "[1/2] times: int8\n")


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(quiet=True) as tick:
        tick("times: int8", 1, 2)
    assert capsys.readouterr() == ("", "")


ON_A_TERMINAL = """
from edge_runtime.cli.progress import progress
with progress(quiet=False) as tick:
    tick("times: [int8]", 1, 2)
    tick("times: [int8]", 2, 2)
"""


def test_a_terminal_gets_a_bar_that_goes_in_the_end() -> None:
    """Names in brackets are names and no colours."""
    pytest.importorskip("rich", reason="the bar of a terminal needs the extra evaluate")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"}
    subprocess.run([sys.executable, "-c", ON_A_TERMINAL], stderr=theirs, check=True, timeout=PATIENCE_S,
                   env=environment)  # fmt: skip
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "times: [int8]" in shown
    assert "2/2" in shown
    assert shown.rstrip().endswith("\x1b[2K"), "the last thing is to wipe the line"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_has_a_last_word_and_handlers_come_back(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interruptible(lambda: "interrupted; two of three are kept"):
        signal.raise_signal(number)
    assert signal.getsignal(number) is before
    assert capsys.readouterr().err == "interrupted; two of three are kept\n"


def test_work_that_ends_by_itself_has_no_last_word(capsys: pytest.CaptureFixture[str]) -> None:
    with interruptible(lambda: "interrupted"):
        pass
    assert capsys.readouterr().err == ""
