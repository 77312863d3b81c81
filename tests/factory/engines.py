"""The interpreter that is installed, for tests that open what the factory writes."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


def interpreter_module() -> str:
    """Return the module that holds `Interpreter`; skips the test where no engine is installed."""
    for package in ("ai_edge_litert", "tflite_runtime"):
        if find_spec(package) is not None:
            return f"{package}.interpreter"
    pytest.skip("no TFLite engine is installed")


def open_interpreter(path: Path) -> Any:
    """Return an interpreter of the model with its tensors allocated."""
    interpreter = import_module(interpreter_module()).Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def run_once(path: Path, *pictures: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the outputs of one invoke, in the order of the file."""
    interpreter = open_interpreter(path)
    for detail, picture in zip(interpreter.get_input_details(), pictures, strict=True):
        interpreter.set_tensor(detail["index"], picture)
    interpreter.invoke()
    return [np.array(interpreter.get_tensor(detail["index"])) for detail in interpreter.get_output_details()]
