"""NVIDIA Triton itself, from the wheel of nvidia-pytriton, with models that are a few lines of Python."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.inference import TensorSpec
from edge_runtime.inference.remote_tensors import DATATYPES

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
READY, LONGEST_S = "Started GRPCInferenceService", 90.0
CONSTANTS = """
from pathlib import Path
import numpy
import triton_python_backend_utils as triton

class TritonPythonModel:
    def initialize(self, args):
        self.found = dict(numpy.load(Path(__file__).with_name("found.npz")))

    def execute(self, requests):
        answer = [triton.Tensor(name, values) for name, values in self.found.items()]
        return [triton.InferenceResponse(answer) for _ in requests]
"""
ONNX = """
from pathlib import Path
import onnxruntime
import triton_python_backend_utils as triton

class TritonPythonModel:
    def initialize(self, args):
        self.session = onnxruntime.InferenceSession(
            str(Path(__file__).with_name("model.onnx")), providers=["CPUExecutionProvider"])

    def execute(self, requests):
        answers = []
        for request in requests:
            sent = {one.name: triton.get_input_tensor_by_name(request, one.name).as_numpy()
                    for one in self.session.get_inputs()}
            found = zip(self.session.get_outputs(), self.session.run(None, sent))
            answers.append(triton.InferenceResponse([triton.Tensor(one.name, values) for one, values in found]))
        return answers
"""
_TYPES = {"float16": "FP16", "float32": "FP32", "float64": "FP64"}


def write_constants(repository: Path, name: str, inputs: Any, outputs: Any, found: Mapping[str, NDArray[Any]]) -> None:
    """Put a model into the repository that answers with these values."""
    folder = _write(repository, name, inputs, outputs, CONSTANTS)
    np.savez(folder / "found.npz", **found)


def write_session(repository: Path, name: str, inputs: Any, outputs: Any, model: Path) -> None:
    """Put an .onnx file into the repository that ONNX Runtime runs there."""
    shutil.copy(model, _write(repository, name, inputs, outputs, ONNX) / "model.onnx")


def _write(repository: Path, name: str, inputs: Any, outputs: Any, code: str) -> Path:
    folder = repository / name / "1"
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(code)
    (folder.parent / "config.pbtxt").write_text(
        f'backend: "python"\nmax_batch_size: 0\ninstance_group [{{ kind: KIND_CPU }}]\n'
        f"input [{_ends(inputs)}]\noutput [{_ends(outputs)}]\n"
    )
    return folder


def _ends(tensors: list[TensorSpec]) -> str:
    kinds = {name: _TYPES.get(name, datatype) for datatype, name in DATATYPES.items()}
    return ", ".join(
        f'{{ name: "{one.name}" data_type: TYPE_{kinds[one.dtype.name]} dims: {list(one.shape)} }}' for one in tensors
    )


class Triton:
    """The server of a repository; `kill` and `start` make it go away and come back on its port."""

    def __init__(self, repository: Path, work: Path) -> None:
        found = find_spec("pytriton")
        if found is None or found.origin is None:
            pytest.skip("nvidia-pytriton is not installed; it is in the extra [test-remote]")
        self._home = Path(found.origin).parent / "tritonserver"
        stub = self._home / "python_backend_stubs" / PYTHON / "triton_python_backend_stub"
        libraries = [self._home.parents[1] / "nvidia_pytriton.libs", Path(sysconfig.get_config_var("LIBDIR"))]
        self._environment = {
            **os.environ,
            "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
            "PYTHONPATH": sysconfig.get_path("purelib"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        if not stub.is_file() or "not found" in self._listed(stub):
            pytest.skip(f"Triton's Python backend needs the library libpython{PYTHON} (Debian: libpython{PYTHON})")
        self._backends = work / "backends"
        shutil.copytree(self._home / "backends" / "python", self._backends / "python")
        shutil.copy(stub, self._backends / "python")
        self._repository, self.port = repository, free_port()

    def _listed(self, program: Path) -> str:
        return subprocess.run(["ldd", str(program)], capture_output=True, text=True, env=self._environment).stdout

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                str(self._home / "bin" / "tritonserver"), f"--model-repository={self._repository}",
                f"--backend-directory={self._backends}", "--grpc-address=127.0.0.1", f"--grpc-port={self.port}",
                "--allow-http=false", "--allow-metrics=false", "--exit-timeout-secs=1", "--id=triton",
            ],
            env=self._environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        limit = threading.Timer(LONGEST_S, self._process.kill)
        limit.start()
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line)
            if READY in line:
                break
        limit.cancel()
        assert READY in said[-1], "".join(said[-40:])
        # What it says later must not fill the pipe.
        self._reader = threading.Thread(target=_read_on, args=(self._process.stdout,), name="triton-words")
        self._reader.start()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join()

    def address(self, model: str) -> str:
        return f"grpc://127.0.0.1:{self.port}/{model}"


def _read_on(words: IO[str]) -> None:
    with words:
        words.read()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
