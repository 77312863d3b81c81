"""The facts of an .onnx file, in the form in which those of a .tflite file are."""

from __future__ import annotations

from pathlib import Path

from edge_runtime.errors import ModelError
from edge_runtime.model.content import describe_content, is_onnx
from edge_runtime.model.flatbuffer import ModelFile, Quantization, TensorInfo
from edge_runtime.model.table import Bytes
from edge_runtime.onnxgraph import OnnxTensor, read_graph


def parse_onnx(data: Bytes, path: Path) -> ModelFile:
    """Return the facts of the ONNX model in `data`; `path` is its name, and where weights it leaves out lie beside.

    Raises:
        ModelError: the bytes are no ONNX model, or damaged, or weights it names are not beside it.
        BackendMissingError: the package that reads them is missing.
    """
    head = bytes(data[:256])
    if not is_onnx(head):
        raise ModelError(f"{path}: is not an ONNX model, it looks like {describe_content(head)}")
    graph = read_graph(bytes(data), str(path))
    _require_files(path, graph.files)
    return ModelFile(
        path=path,
        size_bytes=len(data),
        description=graph.producer,
        inputs=tuple(_info(one) for one in graph.inputs),
        outputs=tuple(_info(one) for one in graph.outputs),
        operators=graph.operators,
        custom_operators=graph.custom_operators,
        format="onnx",
        properties=graph.properties,
    )


def _info(tensor: OnnxTensor) -> TensorInfo:
    return TensorInfo(
        name=tensor.name,
        shape=tuple(side if isinstance(side, int) else 1 for side in tensor.sides),
        shape_signature=tuple(side if isinstance(side, int) else -1 for side in tensor.sides),
        dtype=tensor.dtype,
        quantization=Quantization(*tensor.quantization) if tensor.quantization else None,
    )


def _require_files(path: Path, files: tuple[str, ...]) -> None:
    """Raise ModelError where the weights of a large model are not beside it: they are forgotten when it is copied."""
    missing = [name for name in files if not (path.parent / name).is_file()]
    if missing:
        raise ModelError(f"{path}: keeps its weights in {missing[0]}, which is not beside it; copy both files there")
