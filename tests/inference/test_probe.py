"""The child process that a model is tried in first."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from edge_runtime.errors import BackendError, ModelError
from edge_runtime.inference.engine import load_engine
from edge_runtime.inference.probe import COMMAND, probe, probe_once
from tests.factory.broken import write_broken
from tests.factory.models import write_echo

ENGINE = load_engine()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.tflite"
    path.write_bytes(b"not opened by the children of these tests")
    return path


def child(code: str, *arguments: object) -> list[str]:
    """Return a command that runs this code; model, engine and seconds come after the arguments."""
    return [sys.executable, "-c", code, *map(str, arguments)]


def dying_of(number: int) -> list[str]:
    return child(
        f"import os, resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.kill(os.getpid(), {number})"
    )


@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGSEGV, "SIGSEGV"), (signal.SIGABRT, "SIGABRT"), (40, "signal 40")]
)
def test_a_child_that_dies_names_the_signal_and_the_file(model: Path, number: int, name: str) -> None:
    """The engine's crash becomes an error like any other, instead of the end of the service."""
    with pytest.raises(ModelError, match=rf"crashes the engine tflite-runtime \({name}\)") as caught:
        probe(model, "tflite-runtime", command=dying_of(number))
    assert str(caught.value).startswith(f"{model}: ")
    assert "\n" not in str(caught.value)


def test_a_child_that_is_killed_is_told_from_one_that_crashes(model: Path) -> None:
    """On a small board that is the kernel short of memory: a sound file is not to be called damaged."""
    with pytest.raises(ModelError, match="lack of memory"):
        probe(model, "litert", command=dying_of(signal.SIGKILL))


def test_a_hang_ends_after_the_timeout_and_so_does_the_child(model: Path) -> None:
    """A damaged file may send the engine into a loop that no signal of Python's gets through to."""
    before = psutil.Process().children()
    with pytest.raises(ModelError, match=r"m\.tflite: opening it took more than 0\.2 s"):
        probe(model, "litert", timeout_s=0.2, command=child("import time; time.sleep(60)"))
    assert psutil.Process().children() == before


def test_ctrl_c_during_the_probe_leaves_no_child_behind(tmp_path: Path) -> None:
    """The terminal's Ctrl-C does not reach the child, which has a session of its own: we must end it."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    hanging = "import os, sys, time; open(sys.argv[1], 'w').write(f'{os.getpid()}'); time.sleep(60)"
    asking = (
        "import pathlib, sys; from edge_runtime.inference.probe import probe;"
        f"probe(pathlib.Path('m'), 'litert', command=[sys.executable, '-c', {hanging!r}, sys.argv[1]])"
    )
    parent = subprocess.Popen(child(asking, fifo), stderr=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert select.select([reading], [], [], 30)[0]
    pid = int(os.read(reading, 20))
    os.close(reading)
    assert os.getsid(pid) == pid
    its_end = os.pidfd_open(pid)
    parent.send_signal(signal.SIGINT)
    _, said = parent.communicate(timeout=30)
    assert parent.returncode == -signal.SIGINT
    assert b"KeyboardInterrupt" in said
    assert select.select([its_end], [], [], 30)[0]  # it was told to end, and a busy system takes its time
    os.close(its_end)


def test_the_child_does_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    """Nobody is left to end it then, and a native call that hangs listens to nothing else than an alarm."""
    fifo = tmp_path / "fifo.tflite"
    os.mkfifo(fifo)  # opening it to read waits for a writer who never comes
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [*COMMAND, str(fifo), ENGINE.name, "-4"]
    done = subprocess.run(command, timeout=30, check=False, env=environment)
    assert done.returncode == -signal.SIGALRM


def test_a_good_model_passes(model: Path) -> None:
    probe(write_echo(model), ENGINE.name)


def test_a_model_the_engine_refuses_is_refused_with_the_engines_reason(model: Path) -> None:
    """The child's error is passed on as it would have been raised here."""
    write_broken("unknown-custom-op", model)
    with pytest.raises(ModelError, match=r"m\.tflite: .*unresolved custom op: fake-op-double") as caught:
        probe(model, ENGINE.name)
    assert "\n" not in str(caught.value)


def test_a_child_that_fails_before_the_model_does_not_blame_the_model(model: Path) -> None:
    """A broken installation must not send people to convert their model again."""
    with pytest.raises(BackendError, match="tries the model first failed: ImportError: no such thing"):
        probe(model, "litert", command=child("raise ImportError('no such thing')"))
    with pytest.raises(BackendError, match="failed: exit status 3"):
        probe(model, "litert", command=child("raise SystemExit(3)"))
    with pytest.raises(BackendError, match="cannot start a process"):
        probe(model, "litert", command=["/nonexistent/python"])


def test_the_child_finds_what_we_have_found(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that was set up by hand, in a script or by a test runner, is not inherited by itself."""
    (tmp_path / "only_on_our_path.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    probe(model, "litert", command=child("import only_on_our_path"))


COUNTING = "import sys; open(sys.argv[1], 'a').write('x')"


def test_a_model_that_passed_is_not_tried_again_until_it_changes(model: Path, tmp_path: Path) -> None:
    """A probe costs each start a second on a small board."""
    runs, cache = tmp_path / "runs", tmp_path / "cache"
    for _ in range(2):
        probe_once(model, ENGINE, cache, command=child(COUNTING, runs))
    assert runs.read_text() == "x"
    model.write_bytes(b"another")
    probe_once(model, ENGINE, cache, command=child(COUNTING, runs))
    assert runs.read_text() == "xx"


def test_a_model_that_failed_is_tried_again(model: Path, tmp_path: Path) -> None:
    """Memory was short, the file was still being copied: what failed once is no verdict."""
    runs, cache = tmp_path / "runs", tmp_path / "cache"
    with pytest.raises(ModelError):
        probe_once(model, ENGINE, cache, command=dying_of(signal.SIGSEGV))
    probe_once(model, ENGINE, cache, command=child(COUNTING, runs))
    assert runs.read_text() == "x"


def test_without_a_folder_to_remember_in_each_start_probes(model: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for _ in range(2):
        probe_once(model, ENGINE, None, command=child(COUNTING, runs))
    assert runs.read_text() == "xx"
