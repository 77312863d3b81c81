"""A backend with prepared outputs, for tests and demos: an equal of the real ones at every call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import InvokeError
from edge_runtime.inference import BackendInfo, TensorSpec

Script = Callable[[Sequence[NDArray[Any]]], Sequence[NDArray[Any]]]


class FakeBackend:
    """Answers each invoke with what the script returns for its inputs, checked against the declared outputs."""

    def __init__(self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], script: Script) -> None:
        self._inputs = tuple(inputs)
        self._outputs = tuple(outputs)
        self._script = script
        self.invokes = 0
        self.is_closed = False

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._outputs

    def invoke(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the script's answer; refuse inputs that a real engine would refuse."""
        if self.is_closed:
            raise InvokeError("fake: invoke after close")
        if len(inputs) != len(self._inputs):
            raise InvokeError(f"fake: got {len(inputs)} inputs, allowed is {len(self._inputs)}")
        for tensor, spec in zip(inputs, self._inputs, strict=True):
            if tensor.shape != spec.shape or tensor.dtype != spec.dtype:
                raise InvokeError(
                    f"fake: {spec.name} wants {spec.dtype} {spec.shape}, got {tensor.dtype} {tensor.shape}"
                )
        self.invokes += 1
        answer = [np.array(one) for one in self._script(inputs)]  # copies, as an engine's are
        for tensor, spec in zip(answer, self._outputs, strict=True):
            if tensor.dtype != spec.dtype:
                raise InvokeError(f"fake: {spec.name} should be {spec.dtype}, the script returned {tensor.dtype}")
        return answer

    def describe(self) -> BackendInfo:
        return BackendInfo("fake", "fake", "0", threads=1, delegate=None, nodes=0, delegated_nodes=0)

    def close(self) -> None:
        self.is_closed = True
