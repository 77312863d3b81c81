"""A tiny float network with known weights, and the odd forms of it that pass through tools unnoticed.

image (1, 8, 8, 3) -> stem, 3x3 to 8 -> depthwise 3x3 -> pointwise, 1x1 to 16 -> head, fully connected to 4.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.factory.graph import Graph
from tests.factory.schema import load_schema

LAYERS = ("stem", "depthwise", "pointwise", "head")
_SHAPES = {"stem": (8, 3, 3, 3), "depthwise": (1, 3, 3, 8), "pointwise": (16, 1, 1, 8), "head": (4, 1024)}
_STRIDE = {"strideH": 1, "strideW": 1}


def net_weights(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Return the weights of each layer; all are numbers that float16 can hold."""
    random = np.random.default_rng(seed)
    return {name: random.normal(0, 0.3, shape).astype(np.float16).astype(np.float32) for name, shape in _SHAPES.items()}


def write_net(
    path: Path,
    *,
    weights: Mapping[str, NDArray[np.float32]] | None = None,
    float16: bool = False,
    signature: str | None = "serving_default",
    batch_norm: bool = False,
    metadata: bytes | None = None,
    packed: Mapping[str, str] | None = None,
) -> Path:
    """Write the network; return `path`.

    Args:
        path: where to.
        weights: instead of those of `net_weights`, by layer.
        float16: keep weights as float16 behind a DEQUANTIZE, as converters do.
        signature: its key; None for none.
        batch_norm: multiply what comes out of `pointwise` by a factor for each channel.
        metadata: goes into the model as TFLITE_METADATA.
        packed: file name -> text, appended as a zip.
    """
    graph, values = Graph(), {**net_weights(), **(weights or {})}

    def constant(name: str) -> int:
        if not float16:
            return graph.constant(f"{name}/weights", values[name], "float32")
        wide = graph.tensor(f"{name}/weights", values[name].shape, "float32")
        graph.operator("DEQUANTIZE", [graph.constant(f"{name}/half", values[name], "float16")], [wide])
        return wide

    def bias(name: str, size: int) -> int:
        return graph.constant(f"{name}/bias", np.linspace(-1, 1, size), "float32")

    image = graph.tensor("image", (1, 8, 8, 3), "float32")
    stem, depthwise = (graph.tensor(name, (1, 8, 8, 8), "float32") for name in ("stem", "depthwise"))
    pointwise = graph.tensor("pointwise", (1, 8, 8, 16), "float32")
    graph.operator("CONV_2D", [image, constant("stem"), bias("stem", 8)], [stem], **_STRIDE)
    graph.operator(
        "DEPTHWISE_CONV_2D", [stem, constant("depthwise"), bias("depthwise", 8)], [depthwise],
        depthMultiplier=1, **_STRIDE,
    )  # fmt: skip
    graph.operator("CONV_2D", [depthwise, constant("pointwise"), bias("pointwise", 16)], [pointwise], **_STRIDE)
    if batch_norm:
        scaled = graph.tensor("scaled", (1, 8, 8, 16), "float32")
        graph.operator("MUL", [pointwise, graph.constant("factors", np.linspace(0.5, 2, 16), "float32")], [scaled])
        pointwise = scaled
    flat, head = graph.tensor("flat", (1, 1024), "float32"), graph.tensor("head", (1, 4), "float32")
    graph.operator("RESHAPE", [pointwise, graph.constant("shape", [1, 1024], "int32")], [flat], newShape=[1, 1024])
    graph.operator("FULLY_CONNECTED", [flat, constant("head"), bias("head", 4)], [head])
    graph.set_ends([image], [head])
    if signature:
        graph.add_signature(signature, {"image": image}, {"scores": head})
    if metadata is not None:
        graph.add_metadata("TFLITE_METADATA", metadata)
    graph.write(path)
    if packed:
        with zipfile.ZipFile(path, "a") as archive:
            for name, text in packed.items():
                archive.writestr(name, text)
    return path


def read_objects(path: Path) -> Any:
    """Return the ModelT of a file, read by the schema alone."""
    schema = load_schema()
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))


def edit(path: Path, change: Callable[[Any], None]) -> Path:
    """Change the ModelT of a file, which has no zip behind it, and write it back."""
    from flatbuffers import Builder

    model = read_objects(path)
    change(model)
    builder = Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def use_old_codes(model: Any) -> None:
    """Leave the operator codes where TF1 wrote them: in one byte, the newer field is zero."""
    for code in model.operatorCodes:
        code.builtinCode = 0


def put_behind(path: Path) -> Path:
    """Move the weights of a file behind its flatbuffer, as tools do with large models."""
    from ai_edge_litert.tools.flatbuffer_utils import update_packed_buffer

    kept = [buffer.data for buffer in read_objects(path).buffers]

    def take_out(model: Any) -> None:
        for buffer in model.buffers[1:]:
            buffer.data, buffer.offset, buffer.size = None, 1, 1

    front = bytearray(edit(path, take_out).read_bytes())
    packed = load_schema().Model.GetRootAs(front, 0)
    for index, data in enumerate(kept):
        if data is not None:
            front += bytes(-len(front) % 16)
            update_packed_buffer(packed.Buffers(index), offset=len(front), size=len(data))
            front += data.tobytes()
            packed = load_schema().Model.GetRootAs(front, 0)
    path.write_bytes(bytes(front))
    return path


def run_net(path: Path, seed: int = 0) -> list[NDArray[Any]]:
    """Return what the model gives for a random picture, on LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    from edge_runtime.inference.engine import quiet_stderr

    random = np.random.default_rng(seed)
    with quiet_stderr():
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
    for entry in interpreter.get_input_details():
        interpreter.set_tensor(entry["index"], random.uniform(-1, 1, entry["shape"]).astype(entry["dtype"]))
    interpreter.invoke()
    return [interpreter.get_tensor(entry["index"]) for entry in interpreter.get_output_details()]


def equal(ones: list[NDArray[Any]], others: list[NDArray[Any]]) -> bool:
    """Return whether two answers are the same, bit for bit."""
    return len(ones) == len(others) and all(np.array_equal(one, other) for one, other in zip(ones, others, strict=True))
