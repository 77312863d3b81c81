"""Inference backends: the table of what ``--backend`` may name, and what every backend offers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.result import StateChange

BACKENDS = {
    "cpu": "edge_runtime.inference.tflite:open_cpu",
    "edgetpu": "edge_runtime.inference.edgetpu:open_edgetpu",
    "gpu": "edge_runtime.inference.gpu:open_gpu",
    "onnx": "edge_runtime.inference.onnx:open_onnx",
    "remote": "edge_runtime.inference.remote:open_remote",
}


@dataclass(frozen=True, slots=True)
class Quantization:
    """How an integer tensor stands for real numbers: ``real = (stored - zero_point) * scale``."""

    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a model, as the engine reports it."""

    name: str  # the tensor's name in the file
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    quantization: Quantization | None = None  # None for float tensors and for plain integers
    signature_name: str | None = None  # its name in the model's signature, where it has one


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """What actually runs, counted and not assumed."""

    backend: str  # key of BACKENDS
    engine: str  # "litert" or "tflite-runtime"
    engine_version: str
    threads: int
    delegate: str | None  # what took nodes away from the plain CPU kernels: "XNNPACK", "libedgetpu.so.1 usb:0"
    nodes: int  # operators in the model
    delegated_nodes: int  # of these, how many the delegate runs
    is_isolated: bool = False  # in a child process

    def __str__(self) -> str:
        share = f"{self.delegate} runs {self.delegated_nodes} of {self.nodes} nodes" if self.delegate else "no delegate"
        if not self.nodes and self.delegate:
            share = self.delegate  # its nodes are not counted
        if not self.threads:  # a server has its own
            return f"{self.backend} on {self.engine} {self.engine_version}, {share}"
        threads = f"{self.threads} thread" + ("" if self.threads == 1 else "s")
        where = ", in a child process" if self.is_isolated else ""
        return f"{self.backend} on {self.engine} {self.engine_version}, {threads}, {share}{where}"


class Backend(Protocol):
    """An opened model. Opening holds the GIL, so it happens before the threads start."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    def invoke(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Run the model once and return its outputs as arrays of our own.

        Raises:
            InvokeError: the engine failed.
        """

    def describe(self) -> BackendInfo: ...

    def close(self) -> None: ...


@runtime_checkable
class Watched(Protocol):
    """A backend that may be lost and come back."""

    def watch(self, tell: Callable[[StateChange], object]) -> None:
        """Have each change told, from any thread; also those from before that nobody has been told."""
