"""The graph of an .onnx file without its weights, as the package `onnx` reads it.

Source: onnx/onnx.proto for the fields.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_runtime.errors import BackendMissingError, ModelError

_EXTERNAL = 1  # TensorProto.DataLocation
_STANDARD = ("", "ai.onnx", "ai.onnx.ml")


@dataclass(frozen=True, slots=True)
class OnnxTensor:
    """One input or output of the graph."""

    name: str
    sides: tuple[int | str, ...]  # a word for a side that is open until run time: its name, or "?"
    dtype: np.dtype[Any]  # void for what numpy does not have
    quantization: tuple[float, int] | None  # scale and zero point of the operator that reads or makes it


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """What the file says, but for the weights."""

    producer: str
    inputs: tuple[OnnxTensor, ...]
    outputs: tuple[OnnxTensor, ...]
    operators: tuple[str, ...]  # in the order of the file; with its domain in front where that is no standard one
    custom_operators: tuple[str, ...]  # of the domains that are no standard ones, each once
    properties: dict[str, str]
    files: tuple[str, ...]  # files beside this one that hold weights, each once


def read_graph(data: bytes, name: str) -> OnnxGraph:
    """Return the graph in the bytes of an .onnx file; `name` is what to call it in a message.

    Raises:
        BackendMissingError: the package `onnx` is missing or does not load.
        ModelError: the bytes are no ONNX model, or damaged.
    """
    onnx = load_onnx()
    try:
        model = onnx.load_model_from_string(data)
    except Exception as exc:  # protobuf's own errors, of another package in each release
        raise ModelError(f"{name}: is damaged or cut short: it cannot be parsed; copy or download it again") from exc
    if not model.HasField("graph") or not model.graph.output or not model.opset_import:
        raise ModelError(f"{name}: is damaged or cut short: it holds no whole graph; copy or download it again")
    graph = model.graph
    weights = {_text(one.name): one for one in graph.initializer}
    scales = dict(_scales(graph, weights, onnx))
    operators = tuple(_operator(node) for node in graph.node)
    return OnnxGraph(
        producer=" ".join(filter(None, map(_text, (model.producer_name, model.producer_version)))),
        inputs=tuple(_tensor(one, scales, onnx) for one in graph.input if _text(one.name) not in weights),
        outputs=tuple(_tensor(one, scales, onnx) for one in graph.output),
        operators=operators,
        custom_operators=tuple(dict.fromkeys(one for one in operators if "." in one)),
        properties={_text(one.key): _text(one.value) for one in model.metadata_props},
        files=tuple(dict.fromkeys(_locations(graph))),
    )


def load_onnx() -> Any:
    """Return the package `onnx`.

    Raises:
        BackendMissingError: it is missing or does not load.
    """
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError as exc:
        reason = str(exc).strip().splitlines()[0]
        raise BackendMissingError(
            f"model: the package onnx, which reads .onnx files, cannot be imported ({reason}); "
            "run: python -m pip install 'edge-runtime[onnx]'"
        ) from exc
    return onnx


def _text(value: str | bytes) -> str:
    """Return a text; protobuf gives the bytes themselves where damage has made them no UTF-8."""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _operator(node: Any) -> str:
    domain, name = _text(node.domain), _text(node.op_type)
    return name if domain in _STANDARD else f"{domain}.{name}"


def _tensor(value: Any, scales: dict[str, tuple[float, int]], onnx: Any) -> OnnxTensor:
    kind = value.type.tensor_type
    sides = tuple(dim.dim_value if dim.HasField("dim_value") else _text(dim.dim_param) or "?" for dim in kind.shape.dim)
    name = _text(value.name)
    return OnnxTensor(name, sides, _dtype(kind.elem_type, onnx), scales.get(name))


def _dtype(kind: int, onnx: Any) -> np.dtype[Any]:
    try:
        found = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    except (KeyError, TypeError, ValueError):
        return np.dtype("V")
    return found if found.kind in "biufc" else np.dtype("V")


def _scales(graph: Any, weights: dict[str, Any], onnx: Any) -> Iterator[tuple[str, tuple[float, int]]]:
    """Yield (tensor, (scale, zero point)) for what a QuantizeLinear makes or a DequantizeLinear reads.

    One scale for the whole tensor, kept in the file itself: others cannot be told in so few words.
    """
    for node in graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or len(node.input) < 2:
            continue
        numbers = [_number(weights.get(_text(name)), onnx) for name in node.input[1:3]]
        if numbers[0] and None not in numbers and node.output:
            end = node.output[0] if node.op_type == "QuantizeLinear" else node.input[0]
            yield _text(end), (float(numbers[0]), int(numbers[1] or 0) if len(numbers) > 1 else 0)


def _number(weight: Any, onnx: Any) -> float | None:
    """Return the only number of a constant; None where it has more, or where it is kept elsewhere."""
    if weight is None or weight.data_location == _EXTERNAL:
        return None
    try:
        values = onnx.numpy_helper.to_array(weight)
    except Exception:  # noqa: BLE001 - of a foreign package on what damage has left: it tells no number
        return None
    number = float(values.item()) if values.size == 1 and values.dtype.kind in "iuf" else math.nan
    return number if math.isfinite(number) else None


def _locations(graph: Any) -> Iterator[str]:
    for weight in graph.initializer:
        if weight.data_location == _EXTERNAL:
            yield from (_text(entry.value) for entry in weight.external_data if entry.key == "location")
