"""The TFLite interpreter as a backend, plain on the CPU or with a delegate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import InvokeError, ModelError
from edge_runtime.inference import BackendInfo, Quantization, TensorSpec
from edge_runtime.inference.agreement import Ranked
from edge_runtime.inference.checks import check_call
from edge_runtime.inference.edgetpu_runtime import newer_runtime_in
from edge_runtime.inference.engine import Engine, load_engine, one_line, quiet_stderr
from edge_runtime.inference.nodes import Node, count_nodes, list_nodes

NOT_ON_CPU = (
    "cannot run on the CPU; plug one in and use --backend edgetpu, or give the model from before edgetpu_compiler"
)
NOT_TAKEN = "its delegate does not take it; compile it with the edgetpu_compiler that belongs to this libedgetpu"


def open_cpu(model: Path, *, engine: str = "auto", num_threads: int = 1, device: str = "") -> TfliteBackend:
    """Return the model opened on the CPU, with XNNPACK where the engine brings it.

    Raises:
        ModelError: the engine refuses the file.
        BackendMissingError: there is no such engine.
    """
    del device  # the CPU has no devices to choose from
    return TfliteBackend("cpu", model, load_engine(engine), num_threads=num_threads)


class TfliteBackend:
    """One interpreter with its tensors. One thread at a time; only `close` and the attributes may be used beside."""

    def __init__(
        self,
        backend: str,
        model: Path,
        engine: Engine,
        *,
        num_threads: int,
        delegate: Any = None,
        delegate_name: str | None = None,
    ) -> None:
        self._model = model
        self._engine = engine
        # No context manager of contextlib around the whole: from Python 3.12 on, one that raises another error in the
        # place of the first leaves a cycle that keeps the interpreter, and with it a device.
        try:
            with quiet_stderr():
                interpreter = engine.interpreter(
                    model_path=str(model),
                    num_threads=num_threads,
                    experimental_delegates=None if delegate is None else [delegate],
                )
                # The engine adds XNNPACK when it allocates. What it takes is not the work of the delegate asked for.
                before = None if delegate is None else list_nodes(interpreter)
                interpreter.allocate_tensors()
                names = _signature_names(interpreter)
                inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        except (ValueError, RuntimeError, MemoryError) as exc:
            raise _refusal(model, backend, exc) from exc
        self._interpreter: Any = interpreter  # None once closed
        self._input_indices = [detail["index"] for detail in inputs]
        self._output_indices = [detail["index"] for detail in outputs]
        self.inputs = tuple(_spec(detail, names) for detail in inputs)
        self.outputs = tuple(_spec(detail, names) for detail in outputs)
        # Counted here and not when asked: another thread that looks into the interpreter makes its next invoke raise.
        listed = before or list_nodes(interpreter)
        nodes, delegated = count_nodes(listed)
        self.ranked = _find_ranked(listed, self._output_indices)
        """Which outputs are rows in the order of their scores; None without built-in post-processing."""
        name = delegate_name or ("XNNPACK" if delegated else None)
        self._info = BackendInfo(backend, engine.name, engine.version, num_threads, name, nodes, delegated)

    def invoke(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return copies of the outputs: they cost microseconds, and a live view would forbid the next invoke."""
        interpreter = self._interpreter
        check_call(self._model.name, self.inputs, inputs, is_closed=interpreter is None)
        try:
            for index, tensor in zip(self._input_indices, inputs, strict=True):
                interpreter.set_tensor(index, tensor)
            interpreter.invoke()
            return [interpreter.get_tensor(index) for index in self._output_indices]
        except (RuntimeError, ValueError) as exc:
            raise InvokeError(f"{self._model.name}: invoke failed on {self._engine.name}: {one_line(exc)}") from exc

    def describe(self) -> BackendInfo:
        return self._info

    def close(self) -> None:
        """Free the interpreter. The vendor's object has no close of its own: letting go of it is the way."""
        self._interpreter = None


def _refusal(model: Path, backend: str, error: Exception) -> ModelError:
    """Return what the engine raised on opening as an error that names the file."""
    if "unresolved custom op: edgetpu-custom-op" in str(error).lower():
        return ModelError(f"{model}: is compiled for the Edge TPU and {NOT_ON_CPU if backend == 'cpu' else NOT_TAKEN}")
    if (newer := newer_runtime_in(model, str(error))) is not None:
        return newer
    return ModelError(
        f"{model}: the engine refuses this file, it may be damaged or need operators that are not built in "
        f"({one_line(error)}); copy or convert it again"
    )


def _find_ranked(nodes: Sequence[Node], outputs: Sequence[int]) -> Ranked | None:
    """Return where the outputs of a built-in TFLite_Detection_PostProcess are among the model's.

    Source: tensorflow/lite/kernels/detection_postprocess.cc: boxes, classes, scores and their number, in this order.
    """
    found = next((node.outputs for node in nodes if node.name == "TFLite_Detection_PostProcess"), ())
    if len(found) < 3 or not set(found[:3]) <= set(outputs):
        return None
    boxes, classes, scores = (outputs.index(tensor) for tensor in found[:3])
    return Ranked(boxes, classes, scores)


def _signature_names(interpreter: Any) -> dict[tuple[int, str], str]:
    """Return (tensor index, tensor name) -> name in the model's signatures; empty where it has none.

    The index alone is not enough: a signature may belong to another subgraph, which counts its own tensors.
    """
    names: dict[tuple[int, str], str] = {}
    for key in interpreter.get_signature_list():
        if not key:  # the engine has no runner for a signature without a name
            continue
        runner = interpreter.get_signature_runner(key)
        for name, detail in (*runner.get_input_details().items(), *runner.get_output_details().items()):
            names.setdefault((detail["index"], detail["name"]), name)
    return names


def _spec(detail: Mapping[str, Any], signature_names: Mapping[tuple[int, str], str]) -> TensorSpec:
    scale, zero_point = detail["quantization"]
    return TensorSpec(
        name=detail["name"],
        shape=tuple(int(side) for side in detail["shape"]),
        dtype=np.dtype(detail["dtype"]),
        quantization=Quantization(float(scale), int(zero_point)) if scale else None,
        signature_name=signature_names.get((detail["index"], detail["name"])),
    )
