"""A backend with prepared outputs, for tests and demos: an equal of the real ones at every call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import InvokeError
from edge_runtime.inference import BackendInfo, TensorSpec
from edge_runtime.inference.checks import check_tensors

Script = Callable[[Sequence[NDArray[Any]]], Sequence[NDArray[Any]]]


class FakeBackend:
    """Answers each invoke with what the script returns for its inputs, checked against the declared outputs."""

    def __init__(self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], script: Script) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self._script = script
        self.invokes = 0
        self.is_closed = False

    def invoke(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the script's answer; refuse inputs that a real engine would refuse."""
        check_tensors("fake", self.inputs, inputs, is_closed=self.is_closed)
        self.invokes += 1
        answer = [np.array(one) for one in self._script(inputs)]  # copies, as an engine's are
        for tensor, spec in zip(answer, self.outputs, strict=True):
            if tensor.dtype != spec.dtype:
                raise InvokeError(f"fake: {spec.name} should be {spec.dtype}, the script returned {tensor.dtype}")
        return answer

    def describe(self) -> BackendInfo:
        return BackendInfo("fake", "fake", "0", threads=1, delegate=None, nodes=0, delegated_nodes=0)

    def close(self) -> None:
        self.is_closed = True
