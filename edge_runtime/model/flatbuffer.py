"""The facts of a .tflite file, read without an interpreter and without the schema package.

Source: tensorflow/lite/schema/schema.fbs; the slot numbers below are the order of the fields there.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.errors import ModelError
from edge_runtime.model.content import describe_content
from edge_runtime.model.detection import DETECTION_OPERATOR, DETECTION_ROLES, DetectionOptions, read_detection_options
from edge_runtime.model.operators import CUSTOM, operator_name
from edge_runtime.model.table import Buffer, Bytes, Table

IDENTIFIER = b"TFL3"
EDGETPU_OPERATOR = "edgetpu-custom-op"
METADATA_NAME = "TFLITE_METADATA"
# TensorType of the schema -> numpy; strings and 4-bit types have no counterpart and become void.
_DTYPES = {
    0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16",
    8: "complex64", 9: "int8", 10: "float64", 11: "complex128", 12: "uint64", 15: "uint32", 16: "uint16",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quantization:
    """How an integer tensor stands for real numbers: ``real = (stored - zero_point) * scale``."""

    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One input or output, as the file has it."""

    name: str
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...]  # as `shape`, with -1 for a side that is open until run time
    dtype: np.dtype[Any]
    quantization: Quantization | None = None  # None for float tensors and for plain integers
    signature_name: str | None = None  # its name in the first signature, where there is one
    inner: TensorInfo | None = None  # the integers that a last DEQUANTIZE makes it from


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What a model file says about itself."""

    path: Path
    size_bytes: int
    description: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    operators: tuple[str, ...]  # in the order they run
    custom_operators: tuple[str, ...]  # each once
    detection_options: DetectionOptions | None = None
    detection_outputs: Mapping[str, int] = field(default_factory=dict)  # role -> output index, wired to the operator
    metadata: bytes | None = None  # the embedded TFLite metadata, itself a flatbuffer
    signature: str | None = None  # key of the first signature
    format: str = "tflite"  # or "onnx"
    properties: Mapping[str, str] = field(default_factory=dict)  # what an .onnx file says of itself, key by key

    @property
    def is_edgetpu(self) -> bool:
        """True when it was compiled for the Edge TPU and cannot run without one."""
        return EDGETPU_OPERATOR in self.custom_operators


def read_model(path: Path) -> ModelFile:
    """Return the facts of the model file at `path`.

    Raises:
        ModelError: it is missing, no file, empty, neither a TFLite nor an ONNX model, or damaged.
    """
    with _opened(path) as data:
        if path.suffix.lower() == ".onnx":
            from edge_runtime.model.onnx import parse_onnx  # a package of its own, which few need

            return parse_onnx(data, path)
        return parse_model(data, path)


@contextmanager
def _opened(path: Path) -> Iterator[Bytes]:
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise ModelError(f"{path}: is empty (0 bytes); copy or download it again")
            # Mapped, not read: the weights, nearly all of the file, are never touched.
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                yield data
    except FileNotFoundError as exc:
        raise ModelError(f"{path}: no such file; give the path of a .tflite model") from exc
    except IsADirectoryError as exc:
        raise ModelError(f"{path}: is a directory; give the path of a .tflite model{_models_in(path)}") from exc
    except OSError as exc:
        raise ModelError(f"{path}: cannot be read: {exc.strerror or exc}; give the path of a .tflite model") from exc


def _models_in(folder: Path) -> str:
    found = sorted(file.name for file in folder.glob("*.tflite"))[:3]
    return f", for example {', '.join(found)}" if found else ""


def parse_model(data: Bytes, path: Path) -> ModelFile:
    """Return the facts of the model in `data`; `path` is only its name here.

    Raises:
        ModelError: the bytes are no TFLite model, or damaged.
    """
    if data[4:8] != IDENTIFIER:
        raise ModelError(f"{path}: is not a TFLite model, it looks like {describe_content(bytes(data[:256]))}")
    buffer = Buffer(data, str(path))
    model = buffer.root()
    subgraphs, buffers = model.tables(2), model.tables(4)
    if not subgraphs:
        raise buffer.damaged("it holds no graph")
    names, tensors, steps = _operator_names(model), subgraphs[0].tables(0), subgraphs[0].tables(3)
    _check_buffers(buffer, buffers)
    _check_graph(buffer, names, tensors, steps, len(buffers))
    key, signature_names = _signature(model)
    inputs, outputs = subgraphs[0].integers(1), subgraphs[0].integers(2)
    operators = tuple(names[step.integer(0, "u32")] for step in steps)
    inners = {
        step.integers(2)[0]: step.integers(1)[0]
        for step, name in zip(steps, operators, strict=True)
        if name == "DEQUANTIZE" and step.integers(1) and step.integers(2)
    }
    customs = {names[index] for index, code in enumerate(model.tables(1)) if _builtin_code(code) == CUSTOM}
    facts = ModelFile(
        path=path,
        size_bytes=len(data),
        description=model.text(3),
        inputs=tuple(_tensor(buffer, tensors, index, signature_names) for index in inputs),
        outputs=tuple(_output(buffer, tensors, index, signature_names, inners) for index in outputs),
        operators=operators,
        custom_operators=tuple(dict.fromkeys(name for name in operators if name in customs)),
        metadata=_metadata(buffer, model, buffers),
        signature=key,
    )
    return _with_detection(facts, steps, outputs)


def _operator_names(model: Table) -> list[str]:
    return [operator_name(_builtin_code(code), code.text(1)) for code in model.tables(1)]


def _builtin_code(code: Table) -> int:
    """Return the operator's number: files from before 2020 have it in a field of one byte, later ones in both."""
    return max(code.integer(0, "i8"), code.integer(3, "i32"))


def _check_buffers(buffer: Buffer, buffers: tuple[Table, ...]) -> None:
    """Raise ModelError where weights lie outside the file: the sign of a download that was cut short."""
    for weights in buffers:
        weights.extent(0)
        offset, size = weights.integer(1, "u64"), weights.integer(2, "u64")
        if offset > 1:  # weights behind the flatbuffer, in files of more than 2 GB
            buffer.check(offset, size)


def _check_graph(
    buffer: Buffer, names: list[str], tensors: tuple[Table, ...], steps: tuple[Table, ...], buffers: int
) -> None:
    """Raise ModelError where one part of the graph names another that is not there; some engines crash on it."""
    for tensor in tensors:
        if tensor.integer(2, "u32") >= max(buffers, 1):
            raise buffer.damaged(f"a tensor names buffer {tensor.integer(2, 'u32')} of {buffers}")
    for step in steps:
        if step.integer(0, "u32") >= len(names):
            raise buffer.damaged(f"an operator has the code {step.integer(0, 'u32')} of {len(names)}")
        for index in step.integers(1) + step.integers(2):
            if not -1 <= index < len(tensors):  # -1 is an optional input left out
                raise buffer.damaged(f"an operator names tensor {index} of {len(tensors)}")


def _tensor(buffer: Buffer, tensors: tuple[Table, ...], index: int, signature_names: Mapping[int, str]) -> TensorInfo:
    if not 0 <= index < len(tensors):
        raise buffer.damaged(f"the graph names tensor {index} of {len(tensors)}")
    tensor = tensors[index]
    shape = tensor.integers(0)
    return TensorInfo(
        name=tensor.text(3),
        shape=shape,
        shape_signature=tensor.integers(7) or shape,
        dtype=np.dtype(_DTYPES.get(tensor.integer(1, "i8"), "V")),
        quantization=_quantization(tensor.table(4)),
        signature_name=signature_names.get(index),
    )


def _output(
    buffer: Buffer,
    tensors: tuple[Table, ...],
    index: int,
    signature_names: Mapping[int, str],
    inners: Mapping[int, int],
) -> TensorInfo:
    output = _tensor(buffer, tensors, index, signature_names)
    inner = _tensor(buffer, tensors, inners[index], {}) if inners.get(index, -1) >= 0 else None
    return replace(output, inner=inner) if inner and inner.quantization else output


def _quantization(parameters: Table | None) -> Quantization | None:
    if parameters is None:
        return None
    scales, zero_points = parameters.reals(2), parameters.integers(3, "i64")
    if len(scales) != 1 or not scales[0]:
        return None
    return Quantization(scales[0], zero_points[0] if zero_points else 0)


def _signature(model: Table) -> tuple[str | None, dict[int, str]]:
    """Return the first signature of the first graph: its key, and tensor index -> name."""
    for signature in model.tables(7):
        if signature.integer(4, "u32") == 0:
            maps = signature.tables(0) + signature.tables(1)
            return signature.text(2), {entry.integer(1, "u32"): entry.text(0) for entry in maps}
    return None, {}


def _metadata(buffer: Buffer, model: Table, buffers: tuple[Table, ...]) -> bytes | None:
    for entry in model.tables(6):
        if entry.text(0) == METADATA_NAME:
            index = entry.integer(1, "u32")
            if index >= len(buffers):
                raise buffer.damaged(f"the metadata names buffer {index} of {len(buffers)}")
            return buffers[index].blob(0)
    return None


def _with_detection(facts: ModelFile, steps: tuple[Table, ...], outputs: tuple[int, ...]) -> ModelFile:
    """Return `facts` with what the detection operator says, where the model ends in one."""
    if DETECTION_OPERATOR not in facts.custom_operators:
        return facts
    step = steps[facts.operators.index(DETECTION_OPERATOR)]
    options = read_detection_options(step.blob(5), f"{facts.path}: options of {DETECTION_OPERATOR}")
    wired = zip(DETECTION_ROLES, step.integers(2), strict=False)
    places = {role: outputs.index(tensor) for role, tensor in wired if tensor in outputs}
    # Converters leave these four shapes out of the file; the engine computes them from the options.
    described = list(facts.outputs)
    for role, index in places.items():
        if not described[index].shape:
            shape = options.shapes[role]
            described[index] = replace(described[index], shape=shape, shape_signature=shape)
    return replace(facts, outputs=tuple(described), detection_options=options, detection_outputs=places)
