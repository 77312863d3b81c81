"""Every way a child may end becomes an answer or one error that says what happened."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge_runtime.compare import isolate
from edge_runtime.compare.isolate import ask
from edge_runtime.errors import BackendError, ModelError
from tests.compare.made import write_finder
from tests.factory.models import write_echo

MODEL = Path("m.tflite")


def script(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"import os, signal, sys\n{code}")


def test_the_answer_is_the_last_line_whatever_the_engine_prints() -> None:
    """Native code greets on stdout where it likes."""
    assert ask("x", MODEL, patience_s=60, command=script("print('INFO: hello'); print('{\"a\": 1}')")) == {"a": 1}


def test_a_reason_of_the_child_is_passed_on() -> None:
    with pytest.raises(ModelError, match=r"^too large$"):
        ask("x", MODEL, patience_s=60, command=script('print(\'{"error": "too large"}\')'))


@pytest.mark.parametrize(
    ("code", "said"),
    [("os.kill(os.getpid(), signal.SIGSEGV)", "crashes the engine .SIGSEGV"),
     ("os.kill(os.getpid(), signal.SIGKILL)", "killed .SIGKILL., most likely for lack of memory")],
)  # fmt: skip
def test_a_signal_is_named_as_a_fault_of_the_model(code: str, said: str) -> None:
    with pytest.raises(ModelError, match=f"m.tflite: .*{said}"):
        ask("x", MODEL, patience_s=60, command=script(code))


def test_a_child_that_falls_over_is_no_fault_of_the_model() -> None:
    with pytest.raises(BackendError, match="boom"):
        ask("x", MODEL, patience_s=60, command=script("sys.exit('boom')"))
    with pytest.raises(BackendError, match="cannot be started"):
        ask("x", MODEL, patience_s=60, command=("/nowhere/python",))


def test_a_model_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolate, "START_S", 0.2)
    with pytest.raises(ModelError, match="no answer within"):
        ask("x", MODEL, patience_s=0.3, command=script("signal.pause()"))


def test_the_real_child_measures_memory_and_times(tmp_path: Path) -> None:
    model = write_echo(tmp_path / "m.tflite")
    found = ask("invoke_times", model, patience_s=60, engine="auto", threads=[1, 2], num_runs=3, max_secs=5)
    assert set(found["times"]) == {"1", "2"}
    assert found["times"]["1"]["runs"] == 3
    assert 0 < found["times"]["1"]["median_ms"] <= found["times"]["1"]["p90_ms"]
    assert 10_000_000 < found["rss_bytes"] < 500_000_000
    assert found["backend"].startswith("cpu on ")


def test_the_real_child_runs_the_whole_pipeline(tmp_path: Path) -> None:
    """The rate a service reaches is not that of the invoke alone."""
    found = ask("pipeline_rate", write_finder(tmp_path / "m.tflite"), patience_s=60, engine="auto", backend="cpu",
                num_threads=1, labels=None, max_frames=8, max_secs=20)  # fmt: skip
    assert found["fps"] > 0
    assert found["rss_bytes"] > 10_000_000


def test_the_real_child_says_what_is_wrong_with_a_model(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"no model")
    with pytest.raises(ModelError, match="is not a TFLite model"):
        ask("invoke_times", tmp_path / "m.tflite", patience_s=60, engine="auto", threads=[1], num_runs=1, max_secs=1)
