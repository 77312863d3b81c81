"""Opens a model in a child process first, where the engine may die of a damaged file without taking us along.

tflite-runtime dies of one damaged file in six; LiteRT raises. ``python -m edge_runtime.inference.probe MODEL ENGINE``
is the child.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from edge_runtime.errors import EdgeRuntimeError, ModelError

TIMEOUT_S = 60.0


def probe(model: Path, engine: str, *, timeout_s: float = TIMEOUT_S) -> None:
    """Return when a child opened the model on the CPU and invoked it once.

    Raises:
        ModelError: the child died of it, hung, or the engine refuses the file.
    """
    command = [sys.executable, "-m", "edge_runtime.inference.probe", str(model.resolve()), engine]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise ModelError(f"{model}: opening it took more than {timeout_s:.0f} s; the file is damaged") from None
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        raise ModelError(
            f"{model}: crashes the engine {engine} ({name}); the file is damaged, copy or convert it again"
        )
    if child.returncode:
        said = child.stderr.strip().splitlines()
        raise ModelError(said[-1] if said else f"{model}: {engine} refuses it")


def _child(model: Path, engine: str) -> int:
    import numpy as np

    from edge_runtime.inference.tflite import open_cpu

    try:
        backend = open_cpu(model, engine=engine)
        backend.invoke([np.zeros(spec.shape, spec.dtype) for spec in backend.inputs])
    except EdgeRuntimeError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(_child(Path(sys.argv[1]), sys.argv[2]))
