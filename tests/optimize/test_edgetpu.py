"""The Edge TPU: whether it takes a model, and its compiler, which here is a script that says what a real one says."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("ai_edge_quantizer", reason="the extra [optimize] is not installed")

from edge_runtime.errors import OptimizeError
from edge_runtime.optimize.calibration import resolve_feed
from edge_runtime.optimize.edgetpu import check_edgetpu, compile_model, find_compiler
from edge_runtime.optimize.quantize import quantize
from edge_runtime.optimize.ranges import measure_ranges
from edge_runtime.optimize.rules import Scheme
from tests.optimize.material import picture, write_detector

SAYS = """Edge TPU Compiler version 16.0.384591198
Model successfully compiled but not all operations are supported by the Edge TPU.
Number of operations that will run on Edge TPU: 5
Number of operations that will run on CPU: 1
"""


def quantised(folder: Path, scheme: Scheme) -> Path:
    model = write_detector(folder / "m.tflite")
    feed = resolve_feed(model)
    target = folder / "q.tflite"
    quantize(model, target, scheme, ranges=measure_ranges(model, feed.tensors([lambda: picture(0)]), feed.span))
    return target


def write_compiler(folder: Path, body: str) -> str:
    """Write a program that is called as the compiler is: -s -o FOLDER MODEL."""
    program = folder / "edgetpu_compiler"
    program.write_text(f"#!/bin/sh\nname=$(basename $4 .tflite)\n{body}\n")
    program.chmod(0o755)
    return str(program)


def test_a_full_integer_model_is_taken(tmp_path: Path) -> None:
    assert check_edgetpu(quantised(tmp_path, Scheme("int8", "int8", "uint8"))) == ()


def test_a_float_model_is_refused_with_what_is_float(tmp_path: Path) -> None:
    said = check_edgetpu(write_detector(tmp_path / "m.tflite"))
    assert said == (
        "Edge TPU: input and outputs must be int8 or uint8, found float32",
        "Edge TPU: wants integers throughout, but these compute in float: 2 CONV_2D, 2 RESHAPE",
    )


def test_an_operator_it_does_not_know_is_named(tmp_path: Path) -> None:
    """From the first of them on, everything runs on the CPU."""
    said = check_edgetpu(quantised(tmp_path, Scheme("int8", "int8", "float")))
    assert any("does not take 2 DEQUANTIZE" in line for line in said)


def test_the_compiler_is_run_and_its_counts_are_read(tmp_path: Path) -> None:
    model = quantised(tmp_path, Scheme("int8", "int8", "uint8"))
    program = write_compiler(
        tmp_path, f"cat <<END\n{SAYS}END\ncp $4 $3/${{name}}_edgetpu.tflite; touch $3/${{name}}_edgetpu.log"
    )
    (tmp_path / "out").mkdir()
    found = compile_model(model, tmp_path / "out", program)
    assert (found.path, found.on_tpu, found.on_cpu) == (tmp_path / "out" / "q_edgetpu.tflite", 5, 1)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["q_edgetpu.tflite"]


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ("echo Starting; echo 'ERROR: Model not quantized' >&2; exit 1", "exit code 1 (ERROR: Model not quantized)"),
        ("exit 0", "exit code 0 (no word)"),
        ("kill -9 $$", "exit code -9"),
    ],
)
def test_a_compiler_that_makes_no_model_is_an_error_with_its_reason(tmp_path: Path, body: str, answer: str) -> None:
    with pytest.raises(OptimizeError) as caught:
        compile_model(tmp_path / "m.tflite", tmp_path, write_compiler(tmp_path, body))
    assert answer in str(caught.value)
    assert "run it by hand" in str(caught.value)


def test_a_compiler_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OptimizeError, match="did not finish"):
        compile_model(tmp_path / "m.tflite", tmp_path, str(tmp_path / "none"))


def test_the_compiler_is_looked_for_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_compiler() is None
    program = write_compiler(tmp_path, "exit 0")
    assert find_compiler() == program
