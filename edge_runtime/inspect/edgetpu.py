"""Which operators of a graph the Edge TPU would run, by the conditions its documentation gives.

Source: coral.ai/docs/edgetpu/models-intro, "Model requirements" and "Supported operations". The compiler has the last
word: it cuts the graph once, and from the first operator that it does not take, all run on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edge_runtime.inspect.graph import FUSED, Graph, Step, Tensor
from edge_runtime.model.edgetpu_operators import CONDITIONS
from edge_runtime.model.flatbuffer import EDGETPU_OPERATOR

_COMPUTED = {"int8", "uint8"}
_CONSTANT = _COMPUTED | {"int32", "int64"}  # a bias, axes, shapes
_MOST_SOFTMAX = 16_000


@dataclass(frozen=True, slots=True)
class EdgeTpu:
    """What the Edge TPU would do with a graph."""

    is_compiled: bool  # the file has been through the compiler: the other fields then tell what that left
    reasons: tuple[str | None, ...]  # for each operator why it is not taken; None where it is

    @property
    def taken(self) -> int:
        """How many operators it could run, each looked at for itself."""
        return self.reasons.count(None)

    @property
    def mapped(self) -> int:
        """How many come before the first that it does not take: what the compiler would give it."""
        return next((place for place, reason in enumerate(self.reasons) if reason), len(self.reasons))


def check_graph(graph: Graph) -> EdgeTpu:
    """Return which operators the Edge TPU would run, and why not the others."""
    if any(step.name == EDGETPU_OPERATOR for step in graph.steps):
        compiled = tuple(None if step.name == EDGETPU_OPERATOR else "left to the CPU" for step in graph.steps)
        return EdgeTpu(True, compiled)
    return EdgeTpu(False, tuple(_guarded(graph, step) for step in graph.steps))


def _guarded(graph: Graph, step: Step) -> str | None:
    try:
        return _reason(graph, step)
    except IndexError:  # as many tensors as its checks look at are not there
        return "its tensors are not those of the operator"


def _reason(graph: Graph, step: Step) -> str | None:
    if step.is_custom or step.name not in CONDITIONS:
        return "unknown to the Edge TPU"
    tensors = [graph.tensors[index] for index in (*step.inputs, *step.outputs) if index >= 0]
    return _of_tensors(tensors) or _CHECKS.get(step.name, _none)(graph, step)


def _of_tensors(tensors: list[Tensor]) -> str | None:
    for tensor in tensors:
        if tensor.dtype not in (_CONSTANT if tensor.is_constant else _COMPUTED):
            return f"computes in {tensor.dtype}"
        if not tensor.is_shape_known:
            return "a size is open until run time"
        if not tensor.is_constant and max(tensor.shape[:-3], default=1) > 1:
            return "more than 3 dimensions"
    return None


def _none(graph: Graph, step: Step) -> str | None:
    del graph, step
    return None


def _fused(graph: Graph, step: Step) -> str | None:
    del graph
    fused = step.options.get("fused", 0)
    return f"a fused activation ({FUSED.get(fused, fused)})" if fused else None


def _joined(graph: Graph, step: Step) -> str | None:
    has_constant = any(graph.tensors[index].is_constant for index in step.inputs if index >= 0)
    return _fused(graph, step) or ("a constant among the inputs" if has_constant and len(step.inputs) != 2 else None)


def _dilated(graph: Graph, step: Step) -> str | None:
    del graph
    return None if step.options.get("dilation_w") == step.options.get("dilation_h") else "dilation differs in x and y"


def _connected(graph: Graph, step: Step) -> str | None:
    if step.options.get("weights_format"):
        return "weights in another format"
    return _one_dimension(graph.tensors[step.outputs[0]])


def _one_dimension(tensor: Tensor) -> str | None:
    return None if tensor.shape and tensor.elements == tensor.shape[-1] else "more than one dimension"


def _softmax(graph: Graph, step: Step) -> str | None:
    source = graph.tensors[step.inputs[0]]
    return _one_dimension(source) or ("more than 16,000 numbers" if source.elements > _MOST_SOFTMAX else None)


def _axes(graph: Graph, step: Step, at: int = 1) -> tuple[int, tuple[int, ...]]:
    """Return the rank of the picture and the axes among the inputs, counted from the front."""
    rank = max(len(graph.tensors[step.inputs[1 - at]].shape), 1)
    return rank, tuple(axis % rank for axis in graph.tensors[step.inputs[at]].values)


def _reduced(graph: Graph, step: Step) -> str | None:
    rank, axes = _axes(graph, step)
    return "along the batch" if rank == 4 and 0 in axes else None


def _mean(graph: Graph, step: Step) -> str | None:
    rank, axes = _axes(graph, step)
    channels = graph.tensors[step.inputs[0]].shape[-1:]
    is_odd = rank - 1 in axes and any(side % 4 for side in channels)
    return _reduced(graph, step) or ("along channels that are no multiple of 4" if is_odd else None)


def _split(graph: Graph, step: Step) -> str | None:
    rank, axes = _axes(graph, step, at=0)
    return "along the batch" if rank == 4 and 0 in axes and len(step.outputs) > 1 else None


def _packed(graph: Graph, step: Step) -> str | None:
    del graph
    return "along the batch" if step.options.get("axis") == 0 else None


def _padded(graph: Graph, step: Step) -> str | None:
    is_picture = len(graph.tensors[step.inputs[0]].shape) == 4
    return "along the batch" if is_picture and any(graph.tensors[step.inputs[1]].values[:2]) else None


def _sliced(graph: Graph, step: Step) -> str | None:
    if step.options.get("ellipsis_mask") or step.options.get("new_axis_mask"):
        return "an ellipsis or new axes"
    return "strides other than 1" if any(one != 1 for one in graph.tensors[step.inputs[3]].values) else None


def _slopes(graph: Graph, step: Step) -> str | None:
    alpha = graph.tensors[step.inputs[1]]
    return None if alpha.shape and alpha.elements == alpha.shape[-1] else "slopes that differ inside a channel"


_CHECKS: Mapping[str, Callable[[Graph, Step], str | None]] = {
    "AVERAGE_POOL_2D": _fused,
    "MAX_POOL_2D": _fused,
    "CONCATENATION": _joined,
    "CONV_2D": _dilated,
    "DEPTHWISE_CONV_2D": _dilated,
    "FULLY_CONNECTED": _connected,
    "SOFTMAX": _softmax,
    "MEAN": _mean,
    "SUM": _reduced,
    "REDUCE_MAX": _reduced,
    "REDUCE_MIN": _reduced,
    "SPLIT": _split,
    "PACK": _packed,
    "PAD": _padded,
    "STRIDED_SLICE": _sliced,
    "PRELU": _slopes,
}
"""What can be told from the file. For the others the documentation has no condition, or one only the compiler knows."""
