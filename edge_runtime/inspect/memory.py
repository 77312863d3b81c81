"""What the engine takes to run a model: asked of a child process, which a bad file may bring down.

``python -m edge_runtime.inspect.memory REQUEST SECONDS`` is the child.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.compare.isolate import ask
from edge_runtime.errors import EdgeRuntimeError

COMMAND = (sys.executable, "-P", "-m", "edge_runtime.inspect.memory")
PATIENCE_S = 60.0
_NO_DEFAULT_DELEGATES = "BUILTIN_WITHOUT_DEFAULT_DELEGATES"


@dataclass(frozen=True, slots=True)
class Memory:
    """What one engine took on this machine."""

    engine: str  # name and version
    arena_bytes: int  # what its plain kernels need for the tensors it computes, without scratch space of kernels
    process_bytes: int  # what a process grows by: opened as for a run, and run once


def measure_memory(model: Path, *, command: Sequence[str] = COMMAND) -> Memory:
    """Return what the model takes on the engine of this machine.

    Raises:
        ModelError: the engine refuses the model, dies of it, or does not come to an end.
        BackendError: there is no engine.
    """
    answer = ask("memory", model, patience_s=PATIENCE_S, command=command)
    return Memory(str(answer["engine"]), int(answer["arena_bytes"]), int(answer["process_bytes"]))


def covered(spans: Iterable[tuple[int, int]]) -> int:
    """Return how many bytes lie in at least one of these spans (address, size): tensors share memory in turns."""
    total = end = 0
    for start, size in sorted(spans):
        total += max(0, start + size - max(start, end))
        end = max(end, start + size)
    return total


def _child(model: Path) -> dict[str, Any]:
    import numpy as np

    from edge_runtime.inference.engine import load_engine
    from edge_runtime.inference.tflite import open_cpu

    engine = load_engine()
    before = _resident()
    backend = open_cpu(model)
    backend.invoke([np.zeros(spec.shape, spec.dtype) for spec in backend.inputs])
    grown = _resident() - before
    backend.close()
    return {
        "engine": f"{engine.name} {engine.version}",
        "arena_bytes": _arena(model, engine),
        "process_bytes": max(0, grown),
    }


def _arena(model: Path, engine: Any) -> int:
    """Return what the tensors take that the plain kernels compute: a delegate keeps its own out of sight."""
    from edge_runtime.inspect.graph import read_graph
    from edge_runtime.model.flatbuffer import read_model

    kinds = sys.modules[engine.interpreter.__module__].OpResolverType
    interpreter = engine.interpreter(
        model_path=str(model), num_threads=1, experimental_op_resolver_type=getattr(kinds, _NO_DEFAULT_DELEGATES)
    )
    interpreter.allocate_tensors()
    spans = []
    for index, tensor in enumerate(read_graph(read_model(model)).tensors):
        if not tensor.is_constant and tensor.is_shape_known:
            view = _view(interpreter, index)
            if view is not None and view.nbytes:
                spans.append((int(view.__array_interface__["data"][0]), int(view.nbytes)))
    return covered(spans)


def _view(interpreter: Any, index: int) -> Any:
    """Return a tensor where it lies; None for one that got no memory before the first invoke."""
    try:
        return interpreter.tensor(index)()
    except (ValueError, RuntimeError):
        return None


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _main(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return _child(Path(request["arguments"]["model"]))
    except (EdgeRuntimeError, ValueError, RuntimeError) as exc:
        return {"error": str(exc)}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected here and worth no space on a card
    signal.alarm(int(sys.argv[2]))  # should nobody be left to kill us
    answer = _main(json.loads(sys.argv[1]))
    sys.stdout.write(f"\n{json.dumps(answer)}\n")
