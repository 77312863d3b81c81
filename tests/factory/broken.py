"""One of each kind of file that is no usable detector, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.factory.models import Scripted, write_model, write_ssd

_OUTPUT = Scripted("scores", np.zeros((1, 10), np.float32))


def write_broken(kind: str, path: Path) -> Path:
    """Write the broken model of this kind (a key of BROKEN) and return `path`."""
    return BROKEN[kind](path)


def flip_bit(path: Path, bit: int) -> Path:
    """Turn over one bit of a file, counted from its first byte, and return `path`."""
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
    return path


def _truncated(path: Path) -> Path:
    data = write_ssd(path).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def _bit_flipped(path: Path) -> Path:
    return flip_bit(write_ssd(path), 8 * 2 + 5)  # in the offset of the root table: it points 2 MiB ahead


def _wrong_identifier(path: Path) -> Path:
    data = write_ssd(path).read_bytes()
    path.write_bytes(data[:4] + b"NOPE" + data[8:])
    return path


def _empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def _unknown_custom_op(path: Path) -> Path:
    return write_ssd(path, custom_op="fake-op-double")


def _edgetpu(path: Path) -> Path:
    return write_ssd(path, custom_op="edgetpu-custom-op")


def _two_inputs(path: Path) -> Path:
    return write_ssd(path, extra_inputs=[("state", (1, 8, 8, 4), "float32")])


def _batch_of_two(path: Path) -> Path:
    return write_ssd(path, input_shape=(2, 32, 32, 3))


def _dynamic_shape(path: Path) -> Path:
    return write_ssd(path, input_shape=(1, 1, 1, 3), input_signature_shape=(1, -1, -1, 3))


def _zero_sized(path: Path) -> Path:
    return write_model(path, input_shape=(1, 0, 32, 3), outputs=[_OUTPUT])


BROKEN: dict[str, Callable[[Path], Path]] = {
    "truncated": _truncated,
    "bit-flipped": _bit_flipped,
    "wrong-identifier": _wrong_identifier,
    "empty": _empty,
    "unknown-custom-op": _unknown_custom_op,
    "edgetpu": _edgetpu,
    "two-inputs": _two_inputs,
    "batch-of-two": _batch_of_two,
    "dynamic-shape": _dynamic_shape,
    "zero-sized": _zero_sized,
}
NOT_A_MODEL = ("truncated", "bit-flipped", "wrong-identifier", "empty")
"""These are damaged: tflite-runtime may die of them, so only a child process opens them."""
UNRESOLVED = ("unknown-custom-op", "edgetpu")
"""These load and fail in allocate_tensors()."""
