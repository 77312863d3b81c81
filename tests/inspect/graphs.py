"""Graphs put together by hand."""

from __future__ import annotations

from collections.abc import Sequence

from edge_runtime.inspect.graph import OPTIONS, Graph, Step, Tensor


class Sketch:
    """Collects tensors and steps; `graph` makes them one."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.steps: list[Step] = []

    def computed(self, *shape: int, dtype: str = "int8", bits: int = 8, is_known: bool = True) -> int:
        return self._add(Tensor("", shape, is_known, dtype, bits, 0, 0))

    def constant(
        self, *shape: int, dtype: str = "int8", bits: int = 8, values: tuple[int, ...] = (), buffer: int | None = None
    ) -> int:
        tensor = Tensor("", shape, True, dtype, bits, 0, 0)
        place = 1000 + len(self.tensors) if buffer is None else buffer
        return self._add(Tensor("", shape, True, dtype, bits, place, max(1, tensor.size_bytes), values=values))

    def state(self, *shape: int) -> int:
        return self._add(Tensor("", shape, True, "int8", 8, 0, 0, is_variable=True))

    def step(self, name: str, inputs: Sequence[int], outputs: Sequence[int], **options: int) -> None:
        defaults = {key: default for key, (_, _, default) in OPTIONS.get(name, {}).items()}
        self.steps.append(Step(name, tuple(inputs), tuple(outputs), {**defaults, **options}))

    def graph(self, inputs: Sequence[int], outputs: Sequence[int]) -> Graph:
        return Graph(tuple(self.tensors), tuple(self.steps), tuple(inputs), tuple(outputs))

    def _add(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1


def one_step(name: str, inputs: Sequence[int], outputs: Sequence[int], sketch: Sketch, **options: int) -> Graph:
    """Return a graph of a single operator."""
    sketch.step(name, inputs, outputs, **options)
    return sketch.graph(inputs[:1], outputs)
