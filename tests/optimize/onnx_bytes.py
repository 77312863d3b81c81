"""ONNX files written by hand: one operator on one input, without the package `onnx`.

Source: onnx/onnx.proto for the numbers of the fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

FLOAT = 1


def write_onnx(
    path: Path,
    *,
    operator: str = "Add",
    shape: Sequence[int | str] = (1, 3, 8, 6),
    inputs: Sequence[str] = ("image",),
    kind: int = FLOAT,
) -> Path:
    """Write a graph whose output "twice" is the operator on its first input, taken twice; return `path`.

    Args:
        path: where to.
        operator: of two inputs of one shape.
        shape: of each input and of the output; a text for a side that is open.
        inputs: names; all but the first are added to nothing.
        kind: of the tensors, a number of TensorProto.DataType.
    """
    nodes = [_node(operator, [inputs[0], inputs[0]], "twice")]
    nodes += [_node("Identity", [name], f"{name}/unused") for name in inputs[1:]]
    ends = [_field(11, _value(name, shape, kind)) for name in inputs] + [_field(12, _value("twice", shape, kind))]
    graph = b"".join([*(_field(1, node) for node in nodes), _field(2, b"graph"), *ends])
    path.write_bytes(_number(1, 8) + _field(8, _number(2, 17)) + _field(7, graph))
    return path


def _node(operator: str, inputs: Sequence[str], output: str) -> bytes:
    listed = b"".join(_field(1, name.encode()) for name in inputs)
    return listed + _field(2, output.encode()) + _field(4, operator.encode())


def _value(name: str, shape: Sequence[int | str], kind: int) -> bytes:
    sides = [_number(1, side) if isinstance(side, int) else _field(2, side.encode()) for side in shape]
    tensor = _number(1, kind) + _field(2, b"".join(_field(1, side) for side in sides))
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
