"""What a model costs: multiplications, weights, and the memory its activations need, computed from the graph."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edge_runtime.inspect.graph import Graph, Step, Tensor


@dataclass(frozen=True, slots=True)
class Weights:
    """The constants of the graph, each counted once though several operators may share it."""

    parameters: int  # how many numbers
    size_bytes: int  # as they stand in the file
    by_type: Mapping[str, int]  # type -> bytes


@dataclass(frozen=True, slots=True)
class Macs:
    """Multiplications with an addition, for one picture."""

    by_operator: Mapping[str, int]
    uncounted: Mapping[str, int]  # operator that multiplies -> how often its shapes do not tell how much

    @property
    def total(self) -> int:
        """The sum of what could be counted."""
        return sum(self.by_operator.values())


def _convolution(graph: Graph, step: Step) -> int | None:
    """Return output elements x what each is the sum of: weights [out, h, w, in], in is that of one group.

    ONNX has them as [out, in, h, w], which comes to the same.
    """
    weights, output = _pair(graph, step)
    if not weights or not output or len(weights.shape) < 3:
        return None
    return output.elements * math.prod(weights.shape[1:])


def _quantized_convolution(graph: Graph, step: Step) -> int | None:
    """Return the same for ONNX's QLinearConv, whose weights are the fourth input."""
    weights, output = _tensor(graph, step.inputs, 3), _tensor(graph, step.outputs, 0)
    return output.elements * math.prod(weights.shape[1:]) if weights and output else None


def _spread(graph: Graph, step: Step) -> int | None:
    """Return input elements x what each is spread over: ONNX's weights [in, out, h, w] of a transposed convolution."""
    source, weights = _tensor(graph, step.inputs, 0), _tensor(graph, step.inputs, 1)
    return source.elements * math.prod(weights.shape[1:]) if source and weights else None


def _gemm(graph: Graph, step: Step) -> int | None:
    """Return output elements x the side that two matrices share, for ONNX's Gemm."""
    left, output = _tensor(graph, step.inputs, 0), _tensor(graph, step.outputs, 0)
    if not left or not output or len(left.shape) != 2:
        return None
    return output.elements * left.shape[0 if step.options.get("transA") else 1]


def _depthwise(graph: Graph, step: Step) -> int | None:
    """Return output elements x the window: weights [1, h, w, out]."""
    weights, output = _pair(graph, step)
    if not weights or not output or len(weights.shape) != 4:
        return None
    return output.elements * weights.shape[1] * weights.shape[2]


def _fully_connected(graph: Graph, step: Step) -> int | None:
    """Return output elements x inputs: weights [out, in]."""
    weights, output = _pair(graph, step)
    return None if not weights or not output or len(weights.shape) != 2 else output.elements * weights.shape[1]


def _transposed(graph: Graph, step: Step) -> int | None:
    """Return input elements x what each is spread over: weights [out, h, w, in], the picture is the third input."""
    weights, source = _tensor(graph, step.inputs, 1), _tensor(graph, step.inputs, 2)
    if not weights or not source or len(weights.shape) != 4:
        return None
    return source.elements * math.prod(weights.shape[:3])


def _convolution_3d(graph: Graph, step: Step) -> int | None:
    """Return output elements x the window: weights [depth, h, w, in, out]."""
    weights, output = _pair(graph, step)
    if not weights or not output or len(weights.shape) != 5:
        return None
    return output.elements * math.prod(weights.shape[:4])


def _matrices(graph: Graph, step: Step) -> int | None:
    """Return output elements x the side that two matrices share."""
    left, output = _tensor(graph, step.inputs, 0), _tensor(graph, step.outputs, 0)
    if not left or not output or len(left.shape) < 2:
        return None
    return output.elements * left.shape[-2 if step.options.get("adj_x") else -1]


def _uncountable(graph: Graph, step: Step) -> int | None:
    del graph, step
    return None


COUNTS: Mapping[str, Callable[[Graph, Step], int | None]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "TRANSPOSE_CONV": _transposed,
    "CONV_3D": _convolution_3d,
    "BATCH_MATMUL": _matrices,
    "Conv": _convolution,
    "ConvInteger": _convolution,
    "QLinearConv": _quantized_convolution,
    "ConvTranspose": _spread,
    "Gemm": _gemm,
    "MatMul": _matrices,
    "MatMulInteger": _matrices,
    **dict.fromkeys(
        ("LSTM", "SVDF", "RNN", "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN",
         "BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "CONV_3D_TRANSPOSE", "GRU", "QLinearMatMul",
         "QGemm", "FusedConv", "Einsum"),
        _uncountable,
    ),
}  # fmt: skip
"""The operators that multiply by weights, as TFLite and as ONNX call them.

What adds, compares or scales element by element is not counted.
"""


def _tensor(graph: Graph, indices: tuple[int, ...], at: int) -> Tensor | None:
    return graph.known(indices[at]) if at < len(indices) else None


def _pair(graph: Graph, step: Step) -> tuple[Tensor | None, Tensor | None]:
    return _tensor(graph, step.inputs, 1), _tensor(graph, step.outputs, 0)


def count_macs(graph: Graph) -> Macs:
    """Return the multiplications of one invoke, by operator."""
    counted: Counter[str] = Counter()
    uncounted: Counter[str] = Counter()
    for step in graph.steps:
        if step.name in COUNTS:
            found = COUNTS[step.name](graph, step)
            if found is None:
                uncounted[step.name] += 1
            else:
                counted[step.name] += found
    return Macs(dict(counted.most_common()), dict(uncounted))


def count_weights(graph: Graph) -> Weights:
    """Return what the constants take in the file; a buffer that two tensors share counts once."""
    by_buffer = {tensor.buffer: tensor for tensor in graph.tensors if tensor.is_constant}
    by_type: Counter[str] = Counter()
    for tensor in by_buffer.values():
        by_type[tensor.dtype] += tensor.constant_bytes
    return Weights(
        parameters=sum(tensor.elements for tensor in by_buffer.values()),
        size_bytes=sum(tensor.constant_bytes for tensor in by_buffer.values()),
        by_type=dict(by_type.most_common()),
    )


def peak_bytes(graph: Graph) -> int:
    """Return the most that the computed tensors take at one moment of an invoke.

    A tensor lives from the operator that makes it to the last that reads it, an input from the start, an output to the
    end, a state throughout. No plan of the engine can need less than this for a graph run in this order; what its
    kernels need for themselves comes on top.
    """
    last = len(graph.steps)
    born: dict[int, int] = dict.fromkeys(graph.inputs, 0)
    dies: dict[int, int] = dict.fromkeys(graph.inputs, 0)
    for place, step in enumerate(graph.steps):
        for index in step.outputs:
            born.setdefault(index, place)
            dies[index] = max(dies.get(index, 0), place)
        for index in step.inputs:
            dies[index] = place
    states = [index for index, tensor in enumerate(graph.tensors) if tensor.is_variable]
    for index in (*graph.outputs, *states):
        dies[index] = last
    born.update(dict.fromkeys(states, 0))
    changes = [0] * (last + 2)
    for index, start in born.items():
        tensor = graph.known(index)
        if tensor and not tensor.is_constant:
            changes[start] += tensor.size_bytes
            changes[dies[index] + 1] -= tensor.size_bytes
    return _highest(changes)


def _highest(changes: list[int]) -> int:
    level = highest = 0
    for change in changes:
        level += change
        highest = max(highest, level)
    return highest
