"""How a run ends when it is told to: Ctrl-C, systemd's SIGTERM, a reader that leaves."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.program import (
    LONG_FRAMES,
    PATIENCE_S,
    PROGRAM,
    VIDEO_FRAMES,
    Done,
    checked_records,
    frame_sizes,
    frames_of,
)

Start = Callable[..., subprocess.Popen[str]]
BEFORE = 20
"""Lines read before the signal: the run is well under way."""


def read_lines(process: subprocess.Popen[str], count: int) -> str:
    assert process.stdout is not None
    return "".join(process.stdout.readline() for _ in range(count))


def wait_until_stuck(process: subprocess.Popen[str]) -> None:
    """Return when the pipe behind stdout is full: what lies in it has not grown for a while."""
    assert process.stdout is not None
    waiting_bytes = [0]
    while not waiting_bytes[-1] or len(set(waiting_bytes[-5:])) > 1:
        assert process.poll() is None
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
        packed = fcntl.ioctl(process.stdout, termios.FIONREAD, b"1234")
        waiting_bytes.append(int.from_bytes(packed, sys.byteorder))


def interrupt(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of a process that got a signal in the middle of its work."""
    begun = read_lines(process, BEFORE)
    process.send_signal(number)
    # Not communicate(), which passes over what readline() has taken into its buffer.
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = process.stdout.read(), process.stderr.read()
    return process.wait(PATIENCE_S), begun + out, err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
@pytest.mark.parametrize("kind", ["scene", "video"])
def test_a_signal_ends_the_run_and_every_accepted_result_is_written(
    start: Start, model: Path, long_video: Path, tmp_path: Path, kind: str, number: signal.Signals, code: int
) -> None:
    """Nothing torn, nothing lost, and both files say the same number."""
    source = long_video if kind == "video" else kind
    process = start("--model", model, "--source", source, "--fps", "100", "--log", "-", "--telemetry", "t.jsonl")
    ended, out, err = interrupt(process, number)
    records = checked_records(out)
    last = checked_records((tmp_path / "t.jsonl").read_text())[-1]
    assert ended == code
    assert last["scope"] == "run"
    assert last["frames"]["processed"] == len(frames_of(records)) < LONG_FRAMES
    assert "Traceback" not in err
    assert "edge-runtime: error" not in err
    assert "capture to result" in err, "the table of a live run is shown at Ctrl-C or never"


def test_an_interrupt_while_the_model_is_loaded_is_an_interrupt(start: Start, model: Path) -> None:
    """Loading takes seconds on a small board. Native code would turn the exception into an error of its own."""
    process = start("--model", model, "--source", "scene", "--log", "-")
    assert process.stderr is not None
    assert "backend chosen" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 130
    assert "Traceback" not in process.stderr.read()


def test_a_terminated_run_that_still_loads_its_model_has_ended_in_order(start: Start, model: Path) -> None:
    """SIGTERM is how systemd stops a service, and it does so at any moment: 0, as once the run is under way."""
    process = start("--model", model, "--source", "scene", "--log", "-")
    assert process.stderr is not None
    assert "backend chosen" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert "Traceback" not in process.stderr.read()


def test_a_terminated_measurement_is_no_success(start: Start, model: Path) -> None:
    """Its answer has not been given; a script that waits for it must notice."""
    process = start("bench", "--model", model, "--num-runs", "1000000", "--max-secs", "600", "-v")
    assert process.stderr is not None
    assert "backend chosen" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == -signal.SIGTERM


INTERRUPT_AT_AN_IMPORT = """
import os, runpy, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "edge_runtime.cli":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
runpy.run_module("edge_runtime", run_name="__main__")
"""


def test_an_interrupt_while_the_program_itself_is_loaded_shows_no_traceback(edge: Callable[..., Done]) -> None:
    """The first 50 ms: a user who sees the wrong file name presses the keys at once."""
    done = edge("-c", INTERRUPT_AT_AN_IMPORT, program=[sys.executable])
    assert (done.code, done.out, done.err) == (130, "", "")


def test_an_interrupted_video_can_be_played(start: Start, model: Path, long_video: Path, tmp_path: Path) -> None:
    """A video gets its index at the end; without it no player opens the file."""
    process = start("--model", model, "--source", long_video, "--output", "a.mp4", "--log", "-", "-q")
    code, out, err = interrupt(process, signal.SIGINT)
    assert (code, err) == (130, "")
    assert len(frame_sizes(tmp_path / "a.mp4")) == len(frames_of(checked_records(out)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_second_interrupt_ends_at_once(start: Start, model: Path, long_video: Path) -> None:
    """Nobody reads stdout here, so the first one cannot finish; the user presses the keys again.

    A run that ends in order says what it left behind. This one has no time to say anything.
    """
    process = start("--model", model, "--source", long_video, "--log", "-", "-q")
    wait_until_stuck(process)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    assert process.stderr is not None
    assert (process.returncode, process.stderr.read()) == (130, "")


def test_a_reader_that_leaves_ends_the_run_quietly(start: Start, model: Path, long_video: Path) -> None:
    """``edge-runtime ... | head -1`` is no failure."""
    process = start("--model", model, "--source", long_video, "--log", "-", "-q")
    read_lines(process, 1)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(PATIENCE_S) == 0


def test_a_reader_that_leaves_does_not_stop_the_other_outputs(
    start: Start, model: Path, video: Path, tmp_path: Path
) -> None:
    process = start("--model", model, "--source", video, "--log", "-", "--output", "a.mp4", "-q")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read().splitlines()
    assert process.wait(PATIENCE_S) == 0
    assert len(said) == 1
    assert "nobody reads stdout any more" in said[0]
    assert len(frame_sizes(tmp_path / "a.mp4")) == VIDEO_FRAMES


@pytest.mark.parametrize("args", [("config",), ("--help",), ("run", "--help"), ("--version",)])
def test_a_reader_that_never_read_is_no_failure(start: Start, args: tuple[str, ...]) -> None:
    process = start(*args)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert (process.stderr.read(), process.wait(PATIENCE_S)) == ("", 0)


@pytest.mark.parametrize("command", ["run", "config", "--help"])
def test_a_full_disk_behind_stdout_is_one_line_and_exit_code_6(
    edge: Callable[..., Done], model: Path, pictures: Path, command: str
) -> None:
    """``edge-runtime ... > file`` on a full card."""
    args = ["run", "--model", str(model), "--source", str(pictures)] if command == "run" else [command]
    done = edge("-c", '"$@" > /dev/full', "sh", *PROGRAM, *args, "-q", program=["sh"])
    lines = done.err.splitlines()
    assert done.code == 6
    assert "No space left on device" in done.err
    assert lines[-1].startswith("edge-runtime: error: ")
    assert "Traceback" not in done.err
