"""ONNX files: run by ONNX Runtime, converted by onnx2tf.

onnx2tf needs Python 3.12 and other releases of numpy and of LiteRT than the quantiser, so it lives in an environment
of its own and is called as a program. Only its way straight to a .tflite file is used, which needs no TensorFlow.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.errors import ModelError, OptimizeError
from edge_runtime.inference.engine import one_line
from edge_runtime.model.flatbuffer import read_model
from edge_runtime.optimize.modelfile import brief, few
from edge_runtime.optimize.original import Array, Original, Shape, fixed_shape, is_channels_first

CONVERTER, VERSION = "onnx2tf", "2.6.9"
HOW_TO_GET_IT = (
    f"{CONVERTER} is not installed; it wants an environment of its own with Python 3.12 or later: "
    f"python3.12 -m venv ~/{CONVERTER} && ~/{CONVERTER}/bin/pip install {CONVERTER}=={VERSION}, then put "
    f"~/{CONVERTER}/bin into PATH (or: pipx install {CONVERTER}=={VERSION})"
)
_LONGEST_S = 1800
_KEPT_OUT = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])", re.DOTALL)  # TensorProto.external_data: key, value


def open_onnx(source: Path, shape: Shape | None) -> Original:
    """Return an .onnx file ready to run and to be converted.

    Raises:
        ConfigError: a side of its input is open, or `shape` does not fit.
        ModelError: it is no ONNX, cannot be run, or takes something else than one picture.
    """
    session = _session(source)
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)":
        listed = few([f"{brief(one.name)} {one.type}" for one in inputs])
        raise ModelError(f"{source}: its inputs are {listed}; needed is one of float, a picture")
    name = inputs[0].name
    fixed = fixed_shape(source, name, inputs[0].shape, shape)

    def answer(tensor: Array) -> list[Array]:
        try:
            return [np.asarray(one, np.float32) for one in session.run(None, {name: tensor})]
        except Exception as exc:  # its errors share no base class
            raise ModelError(
                f"{source}: ONNX Runtime cannot run it with the shape {list(fixed)} ({one_line(exc)})"
            ) from exc

    return Original(
        framework="ONNX Runtime",
        input_name=name,
        input_shape=fixed,
        output_names=tuple(one.name for one in session.get_outputs()),
        answer=answer,
        convert=lambda work: _convert(source, name, fixed, is_open=shape is not None, work=work),
        converter=CONVERTER,
    )


def _session(source: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # its errors share no base class
        raise ModelError(f"{source}: ONNX Runtime cannot load it ({one_line(exc)}); is it a whole .onnx file?") from exc


def find_converter() -> str | None:
    """Return the path of onnx2tf, from PATH or beside this Python; None where it is not installed."""
    return shutil.which(CONVERTER) or shutil.which(CONVERTER, path=str(Path(sys.executable).parent))


def _convert(source: Path, name: str, shape: Shape, *, is_open: bool, work: Path) -> bytes:
    """Return the .tflite that onnx2tf makes.

    Raises:
        OptimizeError: it is missing, fails, or leaves operators that no engine knows.
    """
    program = find_converter()
    if program is None:
        raise OptimizeError(f"{source}: {HOW_TO_GET_IT}")
    copy = copy_of(source, work)
    command = [program, "-i", copy.name, "-o", "converted", "-tb", "flatbuffer_direct"]
    if not is_channels_first(shape):
        command += ["-kat", name]
    if is_open:
        command += ["-ois", f"{name}:{','.join(map(str, shape))}"]
    try:
        done = subprocess.run(  # noqa: S603 (the converter is what the user installed under that name)
            command, cwd=work, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=_LONGEST_S, check=False,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise OptimizeError(f"{source}: {CONVERTER} did not finish ({one_line(exc)})") from exc
    made = work / "converted" / f"{copy.stem}_float32.tflite"
    if done.returncode or not made.is_file():
        raise OptimizeError(
            f"{source}: {CONVERTER} made no model, exit code {done.returncode} ({_reason(done.stdout)}); "
            f"run it by hand: {CONVERTER} -i {source} -o FOLDER"
        )
    _refuse_unknown_operators(source, made)
    return made.read_bytes()


def _refuse_unknown_operators(source: Path, made: Path) -> None:
    """Raise where it put a place-holder for what .tflite has no operator for: no engine runs that."""
    unknown = read_model(made).custom_operators
    if unknown:
        listed = ", ".join(name.removeprefix("ONNX_") for name in unknown)
        raise OptimizeError(
            f"{source}: .tflite has no operator for {listed}; export the model without it, such as without its "
            "post-processing"
        )


def copy_of(source: Path, work: Path) -> Path:
    """Return a copy under a plain name, with the weights that lie beside it: the program also writes to its input."""
    copy, data = work / "model.onnx", source.read_bytes()
    copy.write_bytes(data)
    for found in _KEPT_OUT.finditer(data):
        name = data[found.end() : found.end() + found[1][0]].decode("utf-8", "replace")
        beside, wanted = source.parent / name, work / name
        if beside.is_file() and wanted.resolve().is_relative_to(work.resolve()) and not wanted.exists():
            wanted.parent.mkdir(parents=True, exist_ok=True)
            wanted.symlink_to(beside.resolve())
    return copy


def _reason(text: str) -> str:
    """Return the line of a log that says what went wrong: the last of an error."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in text.splitlines()]
    said = [line for line in lines if re.search(r"error|not supported|unsupported", line, re.IGNORECASE)]
    return (said or [line for line in lines if line] or ["no word"])[-1][:300]
