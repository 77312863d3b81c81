"""The TFLite interpreter as a backend, plain on the CPU or with a delegate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import InvokeError, ModelError
from edge_runtime.inference import BackendInfo, Quantization, TensorSpec
from edge_runtime.inference.engine import Engine, load_engine, one_line, quiet_stderr


def open_cpu(model: Path, *, engine: str = "auto", num_threads: int = 1, device: str = "") -> TfliteBackend:
    """Return the model opened on the CPU, with XNNPACK where the engine brings it.

    Raises:
        ModelError: the engine refuses the file.
        BackendMissingError: there is no such engine.
    """
    del device  # the CPU has no devices to choose from
    return TfliteBackend("cpu", model, load_engine(engine), num_threads=num_threads)


class TfliteBackend:
    """One interpreter with its tensors. One thread at a time."""

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
        self._backend = backend
        self._model = model
        self._engine = engine
        self._threads = num_threads
        self._delegate_name = delegate_name
        with _as_model_errors(model), quiet_stderr():
            self._interpreter = engine.interpreter(
                model_path=str(model),
                num_threads=num_threads,
                experimental_delegates=None if delegate is None else [delegate],
            )
            self._interpreter.allocate_tensors()
            names = _signature_names(self._interpreter)
            inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._input_indices = [detail["index"] for detail in inputs]
        self._output_indices = [detail["index"] for detail in outputs]
        self._inputs = tuple(_spec(detail, names) for detail in inputs)
        self._outputs = tuple(_spec(detail, names) for detail in outputs)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._outputs

    def invoke(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return copies of the outputs: they cost microseconds, and a live view would forbid the next invoke."""
        try:
            for index, tensor in zip(self._input_indices, inputs, strict=True):
                self._interpreter.set_tensor(index, tensor)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(index) for index in self._output_indices]
        except (RuntimeError, ValueError) as exc:
            raise InvokeError(f"{self._model.name}: invoke failed on {self._engine.name}: {one_line(exc)}") from exc

    def describe(self) -> BackendInfo:
        nodes, delegated = count_nodes(self._interpreter._get_ops_details(), self._output_indices)
        name = self._delegate_name or ("XNNPACK" if delegated else None)
        return BackendInfo(
            self._backend, self._engine.name, self._engine.version, self._threads, name, nodes, delegated
        )

    def close(self) -> None:
        """Free the interpreter. The vendor's object has no close of its own: letting go of it is the way."""
        self._interpreter = None


@contextmanager
def _as_model_errors(model: Path) -> Iterator[None]:
    """Map what the engine raises on opening to a ModelError that names the file."""
    try:
        yield
    except (ValueError, RuntimeError, MemoryError) as exc:
        said = one_line(exc)
        if "unresolved custom op: edgetpu-custom-op" in str(exc).lower():
            raise ModelError(
                f"{model}: is compiled for the Edge TPU and cannot run on the CPU; "
                "plug one in and use --backend edgetpu, or give the model from before edgetpu_compiler"
            ) from exc
        raise ModelError(
            f"{model}: the engine refuses this file, it may be damaged or need operators that are not built in "
            f"({said}); copy or convert it again"
        ) from exc


def _signature_names(interpreter: Any) -> dict[int, str]:
    """Return tensor index -> name in the model's first signature; empty where it has none."""
    signatures = interpreter.get_signature_list()
    if not signatures:
        return {}
    try:
        runner = interpreter.get_signature_runner(next(iter(signatures)))
        details = {**runner.get_input_details(), **runner.get_output_details()}
    except (AttributeError, ValueError):  # older engines tell the names, not the tensors they belong to
        return {}
    return {detail["index"]: name for name, detail in details.items()}


def _spec(detail: Mapping[str, Any], signature_names: Mapping[int, str]) -> TensorSpec:
    scale, zero_point = detail["quantization"]
    return TensorSpec(
        name=detail["name"],
        shape=tuple(int(side) for side in detail["shape"]),
        dtype=np.dtype(detail["dtype"]),
        quantization=Quantization(float(scale), int(zero_point)) if scale else None,
        signature_name=signature_names.get(detail["index"]),
    )


def count_nodes(operators: Sequence[Mapping[str, Any]], outputs: Sequence[int]) -> tuple[int, int]:
    """Return how many operators the model has, and how many of them a delegate runs.

    The engines list the model's operators first and the delegates' nodes after them, and do not say which
    operators are replaced. Those that the outputs still need are found by walking back from the outputs; where a
    tensor has two makers the later one, the delegate's node, is the one that runs.
    """
    maker = {int(tensor): row for row, operator in enumerate(operators) for tensor in operator["outputs"]}
    waiting, running = [int(tensor) for tensor in outputs], set()
    while waiting:
        row = maker.get(waiting.pop())
        if row is not None and row not in running:
            running.add(row)
            waiting.extend(int(tensor) for tensor in operators[row]["inputs"])
    total = sum(operator["op_name"] != "DELEGATE" for operator in operators)
    alone = sum(operators[row]["op_name"] != "DELEGATE" for row in running)
    delegates = any(operator["op_name"] == "DELEGATE" for operator in operators)
    return total, total - alone if delegates else 0
