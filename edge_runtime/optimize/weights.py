"""The constants of a model, layer by layer: how they are stored, how many are zero, how many differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import ModelError
from edge_runtime.optimize.layers import code_of, indices, steps_of, stored, type_name
from edge_runtime.optimize.modelfile import EditableModel, load, text

_PLAIN = {
    "BOOL", "FLOAT16", "FLOAT32", "FLOAT64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Weight:
    """One constant tensor."""

    name: str  # of the tensor, "tensor_12" where it has none
    operator: str  # the first that uses it
    layer: str  # name of the first output of that operator; empty where it has none
    shape: tuple[int, ...]
    dtype: str  # as stored: "float32", "float16", "int8", "int4", ...
    size_bytes: int
    sparsity: float  # share of values that stand for zero, 0 to 1
    distinct: int  # number of different stored values


def weights(source: Path) -> tuple[Weight, ...]:
    """Return the constants that the operators of the model at `source` use, in the order they are first used.

    Raises:
        ModelError: it cannot be read.
    """
    model = load(source)
    found: dict[int, Weight] = {}
    for step in steps_of(model):
        outputs = indices(step.outputs)
        layer = text(model.graph.tensors[outputs[0]].name) if outputs else ""
        for index in indices(step.inputs):
            if index >= 0 and index not in found and stored(model, model.graph.tensors[index]) is not None:
                found[index] = _weight(model, index, code_of(model, step), layer)
    return tuple(found.values())


def weight_bytes(source: Path) -> int:
    """Return how many bytes the constants of the model take; those that several tensors share count once.

    Raises:
        ModelError: it cannot be read.
    """
    model = load(source)
    buffers = {tensor.buffer for graph in model.model.subgraphs for tensor in graph.tensors}
    return sum(len(data) for index in buffers if (data := model.model.buffers[index].data) is not None)


def sparsity_of(values: NDArray[Any]) -> float:
    """Return the share of zeros, 0 to 1."""
    return 1 - int(np.count_nonzero(values)) / values.size if values.size else 0.0


def _weight(model: EditableModel, index: int, operator: str, layer: str) -> Weight:
    tensor = model.graph.tensors[index]
    data = stored(model, tensor)
    assert data is not None
    shape = tuple(indices(tensor.shape))
    values = _values(data, type_name(tensor), shape, f"{model.path}: tensor {text(tensor.name)!r}")
    return Weight(
        name=text(tensor.name) or f"tensor_{index}",
        operator=operator,
        layer=layer,
        shape=shape,
        dtype=type_name(tensor).lower(),
        size_bytes=len(data),
        sparsity=sparsity_of(values != _zero_points(tensor, values)),
        distinct=len(np.unique(values)),
    )


def _values(data: NDArray[np.uint8], kind: str, shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """Return stored values in their shape; two of int4 share a byte, the first in its low half.

    What is of no known kind, or stored sparse, is counted byte by byte.
    """
    if kind == "INT4":
        halves = np.stack([data << 4, data & 0xF0], axis=1).reshape(-1).view(np.int8) >> 4
        values: NDArray[Any] = halves[: math.prod(shape)]
    else:
        values = data.view(kind.lower()) if kind in _PLAIN and not len(data) % np.dtype(kind.lower()).itemsize else data
    if kind in _PLAIN and values.size < math.prod(shape):
        raise ModelError(f"{name}: is damaged: shape {shape} and {len(data)} bytes; copy or download the model again")
    return values.reshape(shape) if values.size == math.prod(shape) else values


def _zero_points(tensor: Any, values: NDArray[Any]) -> NDArray[Any]:
    """Return the stored value that stands for zero, one or one for each channel, to compare with `values`."""
    parameters = tensor.quantization
    points = None if parameters is None or parameters.scale is None else parameters.zeroPoint
    if points is None or not len(points):
        return np.zeros(1, np.int64)
    if len(points) == 1:
        return np.asarray(points)
    shape = [1] * values.ndim
    if parameters.quantizedDimension < values.ndim and values.shape[parameters.quantizedDimension] == len(points):
        shape[parameters.quantizedDimension] = len(points)
        return np.asarray(points).reshape(shape)
    return np.zeros(1, np.int64)
