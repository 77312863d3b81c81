"""The operators and tensors of an .onnx file, in the form in which those of a .tflite file are.

Source: onnx/onnx.proto for the fields.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from edge_runtime.errors import ModelError
from edge_runtime.inspect.graph import UNKNOWN, Graph, Step, Tensor
from edge_runtime.model.flatbuffer import ModelFile
from edge_runtime.onnxgraph import load_onnx

log = logging.getLogger(__name__)

_BITS = {
    "FLOAT": ("float32", 32), "UINT8": ("uint8", 8), "INT8": ("int8", 8), "UINT16": ("uint16", 16),
    "INT16": ("int16", 16), "INT32": ("int32", 32), "INT64": ("int64", 64), "BOOL": ("bool", 8),
    "FLOAT16": ("float16", 16), "DOUBLE": ("float64", 64), "UINT32": ("uint32", 32), "UINT64": ("uint64", 64),
    "BFLOAT16": ("bfloat16", 16), "INT4": ("int4", 4), "UINT4": ("uint4", 4),
}  # fmt: skip
_OPTIONS = {"Gemm": {"transA": 0}}


def read_onnx_graph(file: ModelFile) -> Graph:
    """Return the graph of an .onnx file that `read_model` has found to be whole.

    Shapes in the middle are not in the file; the package `onnx` infers what can be inferred.

    Raises:
        ModelError: it has changed since.
        BackendMissingError: the package `onnx` is missing.
    """
    onnx = load_onnx()
    try:
        model = onnx.load(str(file.path), load_external_data=False)
    except Exception as exc:  # protobuf's own errors, of another package in each release
        raise ModelError(f"{file.path}: has changed while it was read; run this again") from exc
    graph = _with_shapes(model).graph
    tensors = dict(_tensors(onnx, graph))
    names = [name for node in graph.node for name in (*node.input, *node.output) if name]
    names += [one.name for one in (*graph.input, *graph.output)]
    place = {name: at for at, name in enumerate(dict.fromkeys((*tensors, *names)))}
    weights = {one.name for one in graph.initializer}
    return Graph(
        tensors=tuple(tensors.get(name) or Tensor(name, (), False, UNKNOWN, 0, at, 0) for name, at in place.items()),
        steps=tuple(
            Step(
                name=file.operators[number] if number < len(file.operators) else node.op_type,
                inputs=tuple(place.get(name, -1) for name in node.input),
                outputs=tuple(place[name] for name in node.output if name),
                options={**_OPTIONS.get(node.op_type, {}), **_numbers(node)},
            )
            for number, node in enumerate(graph.node)
        ),
        inputs=tuple(place[one.name] for one in graph.input if one.name not in weights),
        outputs=tuple(place[one.name] for one in graph.output),
    )


def _with_shapes(model: Any) -> Any:
    from onnx import shape_inference

    try:
        return shape_inference.infer_shapes(model)
    except Exception as exc:  # noqa: BLE001 (of many kinds; without shapes there is only less to count)
        log.debug("shapes not inferred reason=%s", exc)
        return model


def _tensors(onnx: Any, graph: Any) -> Iterator[tuple[str, Tensor]]:
    for number, value in enumerate((*graph.input, *graph.value_info, *graph.output)):
        kind = value.type.tensor_type
        sides = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in kind.shape.dim]
        dtype, bits = _type(onnx, kind.elem_type)
        is_known = kind.HasField("shape") and -1 not in sides
        shape = tuple(max(side, 0) for side in sides)
        yield value.name, Tensor(value.name, shape, is_known, dtype, bits, -1 - number, 0)
    for number, weight in enumerate(graph.initializer):
        dtype, bits = _type(onnx, weight.data_type)
        tensor = Tensor(weight.name, tuple(weight.dims), True, dtype, bits, number, 0)
        yield weight.name, Tensor(weight.name, tensor.shape, True, dtype, bits, number, tensor.size_bytes)


def _type(onnx: Any, number: int) -> tuple[str, int]:
    try:
        return _BITS.get(onnx.TensorProto.DataType.Name(number), (UNKNOWN, 0))
    except ValueError:
        return UNKNOWN, 0


def _numbers(node: Any) -> dict[str, int]:
    """Return the whole numbers among the attributes of an operator."""
    return {one.name: one.i for one in node.attribute if one.name in _OPTIONS.get(node.op_type, {})}
