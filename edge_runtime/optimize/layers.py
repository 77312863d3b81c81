"""The layers of a float model whose weights a pass may change, and their weights as arrays."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge_runtime.errors import ConfigError, ModelError, OptimizeError
from edge_runtime.model.operators import operator_name
from edge_runtime.optimize.modelfile import EditableModel, brief, few, save, text

WEIGHTS_INPUT = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1, "TRANSPOSE_CONV": 1}
"""Operator -> which of its inputs holds the weights. All but the depthwise one have their input channels last."""

DEPTHWISE = "DEPTHWISE_CONV_2D"

Weights = NDArray[np.float32]

_TYPES = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
_QUANTIZED = {"INT8", "UINT8", "INT16", "INT4", "UINT4", "INT2"}
_HALF = {"FLOAT16", "BFLOAT16"}
_CALLING = {"CALL", "CALL_ONCE", "IF", "WHILE"}


@dataclass(frozen=True, slots=True)
class Layer:
    """An operator with constant float32 weights."""

    name: str  # of its output tensor
    operator: str
    step: int  # index of the operator
    tensor: int  # index of its weights


def type_name(tensor: Any) -> str:
    """Return the stored type of a tensor as the schema calls it, such as "FLOAT32"."""
    name: str = _TYPES.get(tensor.type, f"type {tensor.type}")
    return name


def code_of(model: EditableModel, step: Any) -> str:
    """Return the name of an operator; files from before 2020 keep its number in a field of one byte."""
    code = model.model.operatorCodes[step.opcodeIndex]
    number = int(max(code.builtinCode, code.deprecatedBuiltinCode))
    return operator_name(number, text(code.customCode))


def steps_of(model: EditableModel) -> list[Any]:
    """Return the operators of the first graph in the order they run."""
    return list(model.graph.operators)


def indices(vector: Any) -> list[int]:
    """Return a vector of tensor indices, which a file may leave out."""
    return [] if vector is None else [int(index) for index in vector]


def stored(model: EditableModel, tensor: Any) -> NDArray[np.uint8] | None:
    """Return the bytes of a constant tensor; None for one that is computed."""
    data = model.model.buffers[tensor.buffer].data
    return None if data is None or not len(data) else data


def constant(model: EditableModel, index: int) -> Weights | None:
    """Return the values of a constant float32 tensor, read-only; None for any other."""
    tensor = model.graph.tensors[index] if index >= 0 else None
    data = stored(model, tensor) if tensor is not None else None
    if tensor is None or data is None or tensor.type != schema.TensorType.FLOAT32:
        return None
    shape = indices(tensor.shape)
    if len(data) != 4 * math.prod(shape):
        raise ModelError(
            f"{model.path}: is damaged: tensor {brief(text(tensor.name))} of shape {shape} has {len(data)} bytes; "
            "copy or download it again"
        )
    return data.view(np.float32).reshape(shape)


def set_constant(model: EditableModel, index: int, values: Weights) -> None:
    """Give a constant tensor other values; tensors that share its buffer keep theirs."""
    tensor, buffers = model.graph.tensors[index], model.model.buffers
    data = np.frombuffer(np.ascontiguousarray(values, np.float32).tobytes(), np.uint8)
    sharers = sum(one.buffer == tensor.buffer for graph in model.model.subgraphs for one in graph.tensors)
    if sharers == 1:
        buffers[tensor.buffer].data = data
    else:
        buffers.append(schema.BufferT(data=data))
        tensor.buffer = len(buffers) - 1


def layers_of(model: EditableModel) -> tuple[Layer, ...]:
    """Return the layers with constant float32 weights in the order they run; shared weights count once."""
    return tuple({layer.tensor: layer for layer in reversed(list(_layers(model)))}.values())[::-1]


def _layers(model: EditableModel) -> Iterator[Layer]:
    for position, step in enumerate(steps_of(model)):
        operator, inputs = code_of(model, step), indices(step.inputs)
        place = WEIGHTS_INPUT.get(operator, len(inputs))
        if place < len(inputs) and constant(model, inputs[place]) is not None:
            name = text(model.graph.tensors[indices(step.outputs)[0]].name)
            yield Layer(name, operator, position, inputs[place])


def weights_of(model: EditableModel, layer: Layer) -> Weights:
    """Return the weights of a layer, read-only.

    Raises:
        ModelError: one of them is no number.
    """
    found = constant(model, layer.tensor)
    assert found is not None
    if not np.isfinite(found).all():
        raise ModelError(
            f"{model.path}: layer {brief(layer.name)}: its weights hold NaN or infinity; train or export it again"
        )
    return found


def replace_weights(model: EditableModel, target: Path, wanted: Mapping[Layer, Weights]) -> None:
    """Write the model to `target` with these weights, and make sure that they are what stands there.

    Raises:
        OptimizeError: the result does not load, or has other weights.
        OutputError: it cannot be written.
    """
    for layer, values in wanted.items():
        set_constant(model, layer.tensor, values)

    def check(written: EditableModel) -> None:
        for layer, values in wanted.items():
            found = constant(written, layer.tensor)
            if found is None or not np.array_equal(found, values):
                raise OptimizeError(
                    f"{target}: not written: layer {brief(layer.name)}: expected {_shown(values)}, "
                    f"found {'no weights' if found is None else _shown(found)}; please report it"
                )

    save(model, target, check=check)


def _shown(weights: Weights) -> str:
    return f"{np.count_nonzero(weights == 0)} zeros and {len(np.unique(weights))} different values"


def choose(layers: Sequence[Layer], pattern: str | None, *, include_depthwise: bool) -> tuple[Layer, ...]:
    """Return the layers a pass works on.

    Args:
        layers: all of a model, in order.
        pattern: regular expression that is found in the name or is the operator; None takes all but the first
            convolution.
        include_depthwise: take depthwise convolutions, too.

    Raises:
        ConfigError: the pattern is no regular expression, or finds none of them.
        OptimizeError: without a pattern nothing is left.
    """
    try:
        wanted = re.compile(pattern or "")
    except re.error as exc:
        raise ConfigError(
            f"layers: {brief(pattern or '')} is no regular expression ({exc}); for example: 'CONV_2D|head'"
        ) from exc
    first = next((layer for layer in layers if layer.operator == "CONV_2D"), None) if pattern is None else None
    found = [layer for layer in layers if wanted.search(layer.name) or wanted.fullmatch(layer.operator)]
    kept = tuple(layer for layer in found if layer != first and (include_depthwise or layer.operator != DEPTHWISE))
    if kept:
        return kept
    known = few([f"{short_name(layer.name)} ({layer.operator})" for layer in layers]) or "none"
    if pattern is None:
        raise OptimizeError(f"no layer is left; depthwise and the first convolution are left alone; there is {known}")
    if found:
        raise ConfigError(
            f"layers: {brief(pattern)} matches depthwise layers alone, which are left as they are; there is {known}"
        )
    raise ConfigError(f"layers: {brief(pattern)} matches no name of a layer and no operator; there is {known}")


def short_name(name: str) -> str:
    """Return the last parts of a layer's name, for messages: exporters write the path of every module into it."""
    parts = [part.rpartition(".")[2] for part in name.partition(";")[0].split("/")]
    return brief("/".join(parts[-3:]))[1:-1]


def refuse_many_graphs(model: EditableModel) -> None:
    """Raise ModelError unless the model is one graph; loops, branches and composites bring further ones."""
    graphs = len(model.model.subgraphs)
    if graphs == 1:
        return
    codes = dict.fromkeys(code_of(model, step) for step in steps_of(model))
    calling = ", ".join(code for code in codes if code in _CALLING) or "several signatures"
    raise ModelError(
        f"{model.path}: has {graphs} graphs ({calling}), one is allowed; "
        "export the model without loops and branches, and with one signature"
    )


def refuse_unless_float32(model: EditableModel) -> None:
    """Raise ModelError unless weights and activations are float32, in one graph.

    A pass that finds nothing to do in other files would hand them on unchanged, and nobody would notice.
    """
    refuse_many_graphs(model)
    for tensor in model.graph.tensors:
        kind, name = type_name(tensor), brief(text(tensor.name))
        scales = tensor.quantization.scale if tensor.quantization is not None else None
        if kind in _QUANTIZED and scales is not None and len(scales):
            raise ModelError(
                f"{model.path}: is quantised already (tensor {name} is {kind} with a scale), allowed is float32; "
                "give the float model it was made from"
            )
        if kind in _HALF:
            raise ModelError(
                f"{model.path}: tensor {name} is {kind}, allowed is float32; "
                "normalise the model first, or give the float32 model it was made from"
            )
        if tensor.sparsity is not None:
            raise ModelError(
                f"{model.path}: tensor {name} is stored sparse, allowed is dense; give the model it was made from"
            )
