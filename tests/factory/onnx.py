"""Small .onnx files, written with the package `onnx`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Side = int | str | None
OPSET = 17


def write_onnx(
    path: Path,
    outputs: Mapping[str, NDArray[Any]] | None = None,
    *,
    shape: Sequence[Side] = (1, 3, 32, 32),
    dtype: str = "float32",
    output_shapes: Mapping[str, Sequence[Side]] | None = None,
    scales: Mapping[str, tuple[float, int]] | None = None,
    properties: Mapping[str, str] | None = None,
    external: str | None = None,
    inputs: Sequence[str] = ("images",),
) -> Path:
    """Write a model that answers each picture with these values; without any it answers with the picture; return path.

    Args:
        path: where to.
        outputs: name -> what it is, whatever the picture.
        shape: of the inputs; a text or None for a side that is open.
        dtype: of the inputs.
        output_shapes: what the file says of an output, where that is not its shape.
        scales: output -> (scale, zero point): a QuantizeLinear makes it, of the real values given under its name.
        properties: what the file says of itself.
        external: name of the file beside this one that the weights are put into.
        inputs: names; all but the first are not looked at.
    """
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    described = [helper.make_tensor_value_info(name, kind, list(shape)) for name in inputs]
    nodes, weights, ends = [], [], []
    if outputs is None:
        nodes.append(helper.make_node("Identity", [inputs[0]], ["picture"]))
        ends.append(helper.make_tensor_value_info("picture", kind, list(shape)))
    for name, values in (outputs or {}).items():
        said = (output_shapes or {}).get(name, values.shape)
        weights.append(numpy_helper.from_array(values, f"{name}/constant"))
        if name in (scales or {}):
            scale, zero = (scales or {})[name]
            weights.append(numpy_helper.from_array(np.array(scale, np.float32), f"{name}/scale"))
            weights.append(numpy_helper.from_array(np.array(zero, np.uint8), f"{name}/zero"))
            steps = [f"{name}/constant", f"{name}/scale", f"{name}/zero"]
            nodes.append(helper.make_node("QuantizeLinear", steps, [name]))
            ends.append(helper.make_tensor_value_info(name, TensorProto.UINT8, list(said)))
        else:
            nodes.append(helper.make_node("Identity", [f"{name}/constant"], [name]))
            kind_out = helper.np_dtype_to_tensor_dtype(values.dtype)
            ends.append(helper.make_tensor_value_info(name, kind_out, list(said)))
    graph = helper.make_graph(nodes, "made", described, ends, initializer=weights)
    model = helper.make_model(
        graph, producer_name="tests/factory", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8
    )
    if properties:
        helper.set_model_props(model, dict(properties))
    if external:
        onnx.save_model(model, str(path), save_as_external_data=True, location=external, size_threshold=0)
    else:
        onnx.save_model(model, str(path))
    return path


def write_relu_after_custom(path: Path, domain: str = "maker.of.chips") -> Path:
    """Write a model with an operator of somebody's own, which ONNX Runtime does not know."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in ("images", "out")]
    nodes = [
        helper.make_node("Magic", ["images"], ["between"], domain=domain),
        helper.make_node("Relu", ["between"], ["out"]),
    ]
    graph = helper.make_graph(nodes, "custom", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(domain, 1)]
    onnx.save_model(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return path
