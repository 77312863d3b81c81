"""Is a model one the Edge TPU takes whole, and the compiler that makes it one, where that is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import OptimizeError
from edge_runtime.inference.engine import one_line
from edge_runtime.model.edgetpu_operators import CONDITIONS
from edge_runtime.model.flatbuffer import read_model
from edge_runtime.optimize import layers, modelfile

COMPILER = "edgetpu_compiler"
HOW_TO_GET_IT = (
    "edgetpu_compiler is not installed, so the model is checked and not compiled; it is a program for 64-bit x86 "
    "Debian from packages.cloud.google.com/apt coral-edgetpu-stable; then run: edgetpu_compiler -o FOLDER MODEL"
)

_TYPES = {"INT8", "UINT8", "INT16", "INT32", "INT64", "BOOL"}
_LONGEST_S = 600
_COUNTS = {
    "on_tpu": r"Number of operations that will run on Edge TPU:\s*(\d+)",
    "on_cpu": r"Number of operations that will run on CPU:\s*(\d+)",
}


@dataclass(frozen=True, slots=True)
class Compiled:
    """What the compiler made and said."""

    path: Path
    on_tpu: int | None  # operators; None where its log does not say
    on_cpu: int | None


def check_edgetpu(model: Path) -> tuple[str, ...]:
    """Return why the Edge TPU will not run all of this model, a line each; empty where it will."""
    file, loaded = read_model(model), modelfile.load(model)
    said = []
    ends = sorted({one.dtype.name for one in (*file.inputs, *file.outputs)} - {"int8", "uint8"})
    if ends:
        said.append(f"Edge TPU: input and outputs must be int8 or uint8, found {', '.join(ends)}")
    untaken = Counter(name for name in file.operators if name not in CONDITIONS)
    if untaken:
        listed = ", ".join(f"{count} {name}" for name, count in sorted(untaken.items()))
        said.append(f"Edge TPU: does not take {listed}; from the first of them on the model runs on the CPU")
    floats = Counter(
        layers.code_of(loaded, step)
        for step in layers.steps_of(loaded)
        for index in layers.indices(step.outputs)
        if layers.type_name(loaded.graph.tensors[index]) not in _TYPES
    )
    if floats:
        listed = ", ".join(f"{count} {name}" for name, count in sorted(floats.items()))
        said.append(f"Edge TPU: wants integers throughout, but these compute in float: {listed}")
    return tuple(said)


def find_compiler() -> str | None:
    """Return the path of the compiler; None where it is not installed."""
    return shutil.which(COMPILER)


def compiled_path(model: Path) -> Path:
    """Return the name the compiler gives what it makes of this model."""
    return model.with_name(f"{model.stem}_edgetpu.tflite")


def compile_model(model: Path, folder: Path, compiler: str) -> Compiled:
    """Return the compiled model, which the compiler writes to `folder` as ``<model>_edgetpu.tflite``.

    Raises:
        OptimizeError: the compiler fails, takes longer than ten minutes, or writes no model.
    """
    command = [compiler, "-s", "-o", str(folder), str(model)]
    try:
        done = subprocess.run(  # noqa: S603 (the compiler is what the user installed under that name)
            command, capture_output=True, text=True, errors="replace", timeout=_LONGEST_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise OptimizeError(
            f"{COMPILER}: did not finish ({one_line(exc)}); run it by hand: {' '.join(command)}"
        ) from exc
    path = compiled_path(folder / model.name)
    if done.returncode or not path.is_file():
        raise OptimizeError(
            f"{COMPILER}: made no model, exit code {done.returncode} ({_reason(done.stdout + done.stderr)}); "
            f"run it by hand: {' '.join(command)}"
        )
    log = folder / f"{model.stem}_edgetpu.log"
    text = done.stdout + (log.read_text(encoding="utf-8", errors="replace") if log.is_file() else "")
    log.unlink(missing_ok=True)
    return Compiled(path, _count(text, "on_tpu"), _count(text, "on_cpu"))


def _count(text: str, name: str) -> int | None:
    found = re.search(_COUNTS[name], text)
    return int(found[1]) if found else None


def _reason(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next(
        (line for line in lines if "error" in line.lower() or "invalid" in line.lower()), (lines or ["no word"])[-1]
    )
