"""Finding an interpreter package."""

from __future__ import annotations

import logging
import os
import sys

import pytest

from edge_runtime.errors import BackendMissingError, ConfigError
from edge_runtime.inference.engine import ENGINES, is_installed, load_engine, one_line, quiet_stderr, refuse_numpy_2


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


def test_a_long_message_is_cut_to_its_first_line() -> None:
    assert one_line("\n first \n second") == "first"
    assert one_line(ValueError()) == "ValueError"
