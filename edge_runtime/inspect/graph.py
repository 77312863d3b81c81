"""The operators and tensors of a .tflite file: what `model.flatbuffer` leaves aside because no run needs it.

Source: tensorflow/lite/schema/schema.fbs; the slot numbers below are the order of the fields there.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from edge_runtime.errors import ModelError
from edge_runtime.model.flatbuffer import ModelFile, Quantization
from edge_runtime.model.table import Buffer, Table

UNKNOWN = "unknown"
_MOST_VALUES_BYTES = 64
# TensorType of the schema -> name and bits of one element; a string has no size of its own.
_TYPES = {
    0: ("float32", 32), 1: ("float16", 16), 2: ("int32", 32), 3: ("uint8", 8), 4: ("int64", 64), 5: ("string", 0),
    6: ("bool", 8), 7: ("int16", 16), 8: ("complex64", 64), 9: ("int8", 8), 10: ("float64", 64),
    11: ("complex128", 128), 12: ("uint64", 64), 13: ("resource", 0), 14: ("variant", 0), 15: ("uint32", 32),
    16: ("uint16", 16), 17: ("int4", 4), 18: ("bfloat16", 16), 19: ("int2", 2), 20: ("uint4", 4),
}  # fmt: skip

FUSED = {1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH", 5: "SIGN_BIT"}
"""ActivationFunctionType of the schema; 0 is none."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of the graph."""

    name: str
    shape: tuple[int, ...]
    is_shape_known: bool  # False: sides are open until run time, or the file leaves the shape out
    dtype: str
    bits: int  # of one element
    buffer: int  # where its values are, if it is constant
    constant_bytes: int  # 0 for a tensor that is computed
    scales: int = 0  # of its quantisation: 0 none, 1 for the tensor, more for its channels
    quantization: Quantization | None = None  # where it has one scale
    is_variable: bool = False  # a state that lives from invoke to invoke
    values: tuple[int, ...] = ()  # of a small constant of int32: axes, paddings, strides

    @property
    def is_constant(self) -> bool:
        """True for weights and other values that stand in the file."""
        return self.constant_bytes > 0

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """What its values take in memory."""
        return -(-self.elements * self.bits // 8)


@dataclass(frozen=True, slots=True)
class Step:
    """One operator at its place in the graph."""

    name: str  # "CONV_2D", or the name of a custom one
    inputs: tuple[int, ...]  # indices of tensors; -1 for an optional one that is left out
    outputs: tuple[int, ...]
    options: Mapping[str, int] = field(default_factory=dict)  # those of `OPTIONS`
    is_custom: bool = False


@dataclass(frozen=True, slots=True)
class Graph:
    """The first graph of a file, in the order it runs."""

    tensors: tuple[Tensor, ...]
    steps: tuple[Step, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    graphs: int = 1  # how many the file has; the others are bodies of loops and branches

    def known(self, index: int) -> Tensor | None:
        """Return a tensor whose shape is known; None for any other, and for one that is left out."""
        tensor = self.tensors[index] if 0 <= index < len(self.tensors) else None
        return tensor if tensor and tensor.is_shape_known else None


OPTIONS: Mapping[str, Mapping[str, tuple[int, str, int]]] = {
    "CONV_2D": {"fused": (3, "i8", 0), "dilation_w": (4, "i32", 1), "dilation_h": (5, "i32", 1)},
    "DEPTHWISE_CONV_2D": {"fused": (4, "i8", 0), "dilation_w": (5, "i32", 1), "dilation_h": (6, "i32", 1)},
    "AVERAGE_POOL_2D": {"fused": (5, "i8", 0)},
    "MAX_POOL_2D": {"fused": (5, "i8", 0)},
    "CONCATENATION": {"axis": (0, "i32", 0), "fused": (1, "i8", 0)},
    "FULLY_CONNECTED": {"fused": (0, "i8", 0), "weights_format": (1, "i8", 0)},
    "PACK": {"axis": (1, "i32", 0)},
    "STRIDED_SLICE": {"ellipsis_mask": (2, "i32", 0), "new_axis_mask": (3, "i32", 0)},
    "BATCH_MATMUL": {"adj_x": (0, "u8", 0), "adj_y": (1, "u8", 0)},
}
"""Operator -> option -> its slot, kind and default. Only those are read that decide something here."""


def read_graph(file: ModelFile) -> Graph:
    """Return the first graph of a model that `read_model` has found to be whole.

    Raises:
        ModelError: it is damaged after all, or has changed since.
    """
    with _opened(file.path) as data:
        buffer = Buffer(data, str(file.path))
        model = buffer.root()
        graphs, buffers = model.tables(2), model.tables(4)
        if not graphs or len(graphs[0].tables(3)) != len(file.operators):
            raise ModelError(f"{file.path}: has changed while it was read; run this again")
        tensors = tuple(_tensor(buffer, one, buffers) for one in graphs[0].tables(0))
        customs = set(file.custom_operators)
        pairs = zip(graphs[0].tables(3), file.operators, strict=True)
        steps = tuple(_step(step, name, name in customs) for step, name in pairs)
        return Graph(tensors, steps, graphs[0].integers(1), graphs[0].integers(2), len(graphs))


@contextmanager
def _opened(path: Path) -> Iterator[mmap.mmap]:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data
    except (OSError, ValueError) as exc:  # a ValueError for a file that has become empty
        if isinstance(exc, ModelError):
            raise
        raise ModelError(f"{path}: cannot be read: {exc}; give the path of a .tflite model") from exc


def _stored_bytes(buffer: Table) -> int:
    behind = buffer.integer(2, "u64")  # weights behind the flatbuffer, in files of more than 2 GB
    return behind if buffer.integer(1, "u64") > 1 else buffer.extent(0)[1]


def _quantization(parameters: Table | None) -> tuple[int, Quantization | None]:
    """Return how many scales a tensor has, and its quantisation where that is one."""
    scales = parameters.reals(2) if parameters else ()
    if parameters is None or len(scales) != 1:
        return len(scales), None
    zero_points = parameters.integers(3, "i64")
    return 1, Quantization(scales[0], zero_points[0] if zero_points else 0)


def _numbers(buffer: Table) -> tuple[int, ...]:
    data = buffer.blob(0)
    return struct.unpack(f"<{len(data) // 4}i", data[: len(data) // 4 * 4])


def _tensor(buffer: Buffer, table: Table, buffers: tuple[Table, ...]) -> Tensor:
    shape, open_shape = table.integers(0), table.integers(7)
    if any(side < 0 for side in shape):
        raise buffer.damaged(f"a tensor has the shape {list(shape)}")
    index, (name, bits) = table.integer(2, "u32"), _TYPES.get(table.integer(1, "i8"), (UNKNOWN, 0))
    scales, quantization = _quantization(table.table(4))
    stored = _stored_bytes(buffers[index]) if index < len(buffers) else 0
    # A file may leave the shape out that an operator computes; a single number has none by right.
    is_known = -1 not in open_shape and (bool(shape) or stored > 0 or table.integer(8, "u8") > 0)
    return Tensor(
        name=table.text(3),
        shape=shape,
        is_shape_known=is_known,
        dtype=name,
        bits=bits,
        buffer=index,
        constant_bytes=stored,
        scales=scales,
        quantization=quantization,
        is_variable=bool(table.integer(5, "u8")),
        values=_numbers(buffers[index]) if name == "int32" and 0 < stored <= _MOST_VALUES_BYTES else (),
    )


def _step(table: Table, name: str, is_custom: bool) -> Step:
    options = table.table(4)
    wanted = {} if is_custom or options is None else OPTIONS.get(name, {})
    found = {
        key: options.integer(slot, kind, default)
        for key, (slot, kind, default) in wanted.items()
        if options is not None
    }
    defaults = {key: default for key, (_, _, default) in OPTIONS.get(name, {}).items()}
    return Step(name, table.integers(1), table.integers(2), {**defaults, **found}, is_custom)
