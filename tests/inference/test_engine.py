"""Finding an interpreter package."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest

from edge_runtime.errors import BackendMissingError, ConfigError
from edge_runtime.inference.engine import (
    ENGINES,
    MAX_MESSAGE,
    is_installed,
    load_engine,
    one_line,
    quiet_stderr,
    refuse_numpy_2,
    version_of,
)

ROOT = Path(__file__).parents[2]


def test_auto_takes_the_first_that_is_installed() -> None:
    """LiteRT where there is one, tflite-runtime on the boards that have nothing else."""
    present = [name for name in ENGINES if is_installed(name)]
    assert present, "the test environment holds an engine"
    if present == ["litert", "tflite-runtime"]:
        present.pop()
    assert load_engine("auto").name == present[0]
    assert load_engine(present[0]).version[0].isdigit()


def test_no_engine_at_all_gives_the_install_line() -> None:
    with pytest.raises(BackendMissingError, match="python -m pip install 'ai-edge-litert'"):
        load_engine("auto", installed=lambda name: False)


def test_a_named_engine_that_is_missing_is_not_replaced_by_the_other() -> None:
    """A silent change of engine is a ninefold change of speed."""
    with pytest.raises(BackendMissingError, match="tflite-runtime is not installed"):
        load_engine("tflite-runtime", installed=lambda name: name == "litert")


def test_an_unknown_engine_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="auto, litert, tflite-runtime"):
        load_engine("onnx")


def test_tflite_runtime_under_numpy_2_is_refused_before_it_dies() -> None:
    """It imports, and then takes the process down in its first interpreter."""
    refuse_numpy_2("1.26.4")
    with pytest.raises(BackendMissingError, match=r"needs numpy 1.26, found 2.4.6"):
        refuse_numpy_2("2.4.6")


def test_a_folder_left_over_of_an_engine_is_not_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip leaves one where a file in it was not its own; Python takes any folder for a package."""
    (tmp_path / "leftover_engine" / "__pycache__").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(ENGINES, "leftover", ("leftover-engine", "leftover_engine"))
    assert not is_installed("leftover")
    (tmp_path / "leftover_engine" / "__init__.py").touch()
    assert is_installed("leftover")


def test_an_engine_that_does_not_load_says_why_and_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an upgrade, or a library built for another machine."""
    package = tmp_path / "broken_engine"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "interpreter.py").write_text("raise ImportError('libx.so: wrong ELF class')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(ENGINES, "broken", ("broken-engine", "broken_engine"))
    with pytest.raises(BackendMissingError, match=r"wrong ELF class.*--force-reinstall 'broken-engine'"):
        load_engine("broken")


def test_the_version_is_that_of_the_code_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package from Debian or put on the path by hand has no record of its installer, or a wrong one."""
    module = ModuleType("some_engine")
    monkeypatch.setitem(sys.modules, "some_engine", module)
    assert version_of("no-such-package", "some_engine") == "unknown"
    assert version_of("pytest", "some_engine") == pytest.__version__
    module.__version__ = "7.8"  # type: ignore[attr-defined]
    assert version_of("pytest", "some_engine") == "7.8"


def test_what_native_code_prints_goes_to_the_debug_log(caplog: pytest.LogCaptureFixture) -> None:
    """The engines greet on file descriptor 2, past sys.stderr."""
    with caplog.at_level(logging.DEBUG, "edge_runtime.inference.engine"), quiet_stderr():
        os.write(2, b"INFO: hello from below\n")
    assert "hello from below" in caplog.text


def test_stderr_is_back_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), quiet_stderr():
        raise RuntimeError("no")
    sys.stderr.write("still here\n")
    assert "still here" in capfd.readouterr().err


def test_two_threads_that_open_at_once_do_not_lose_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    """Swapped crosswise, descriptor 2 would end in a pipe that nobody reads, and all later errors with it."""
    first_is_in, second_is_in, first_is_out = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with quiet_stderr():
            first_is_in.set()
            second_is_in.wait(0.2)  # in vain, if only one gets in at a time
        first_is_out.set()

    def second() -> None:
        first_is_in.wait()
        with quiet_stderr():
            second_is_in.set()
            first_is_out.wait()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    os.write(2, b"still here\n")
    assert capfd.readouterr().err == "still here\n"


def test_more_than_the_pipe_holds_is_dropped_and_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """Native code that prints without end must not hang the start."""
    with caplog.at_level(logging.DEBUG, "edge_runtime.inference.engine"), quiet_stderr():
        os.write(2, b"first\n")
        with contextlib.suppress(BlockingIOError):
            for _ in range(1000):
                os.write(2, b"x" * 4096)
    assert "first" in caplog.text
    assert len(caplog.text) < 1 << 20


def test_no_descriptor_is_left_open() -> None:
    """A service that opens its model again and again has a limit of them."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    with quiet_stderr():
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_process_without_stderr_opens_models_too() -> None:
    """Some supervisors start their children with descriptor 2 closed."""
    code = (
        "import os; os.close(2); from edge_runtime.inference.engine import quiet_stderr\n"
        "with quiet_stderr(): print('inside', end=' ')\n"
        "print('after')"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    assert done.stdout == "inside after\n"


def test_a_long_message_is_cut_to_its_first_line() -> None:
    assert one_line("\n first \n second") == "first"
    assert one_line(ValueError()) == "ValueError"
    assert len(one_line("x" * 5000)) == MAX_MESSAGE
