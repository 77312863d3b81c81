"""What a child process and its parent say to one another: small messages on a socket, tensors in shared memory."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from enum import IntEnum
from mmap import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime import errors
from edge_runtime.errors import BackendError, EdgeRuntimeError
from edge_runtime.inference import BackendInfo, Quantization, TensorSpec

HEADER = struct.Struct("<BI")
LONGEST_MESSAGE = 1 << 28
"""Bytes; outputs of another shape than the model declares travel in a message."""
ALIGNED_TO = 64
"""Bytes: a line of the cache, and more than any vector instruction asks for."""


class Kind(IntEnum):
    """What a message is."""

    OPEN = 1  # to the child: an order
    INVOKE = 2  # to the child: the inputs lie in the shared memory
    READY = 3  # the model is open: its tensors and what runs it
    DONE = 4  # the outputs lie in the shared memory
    RESHAPED = 5  # the outputs, in the message: they have other shapes than declared
    FAILED = 6  # an error


class Channel:
    """One end of the socket."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, kind: Kind, payload: bytes = b"") -> None:
        """Send a message whole.

        Raises:
            OSError: nobody is there any more.
        """
        self._end.settimeout(None)
        self._end.sendall(HEADER.pack(kind, len(payload)) + payload)

    def receive(self, timeout_s: float | None = None) -> tuple[Kind, bytes]:
        """Return the next message.

        Raises:
            TimeoutError: none came in time.
            EOFError: the other side has gone.
            ValueError: what came is no message.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        kind, length = HEADER.unpack(self._read(HEADER.size, until))
        if length > LONGEST_MESSAGE:
            raise ValueError(f"a message of {length} bytes, allowed are {LONGEST_MESSAGE}")
        return Kind(kind), self._read(length, until)

    def _read(self, count: int, until: float | None) -> bytes:
        pieces: list[bytes] = []
        while count:
            if until is not None:
                self._end.settimeout(max(until - time.monotonic(), 1e-6))
            piece = self._end.recv(min(count, 1 << 20))
            if not piece:
                raise EOFError
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        self._end.close()


def room_for(specs: Sequence[TensorSpec]) -> int:
    """Return the bytes that these tensors take in shared memory, at least one."""
    return max(1, sum(_padded(spec) for spec in specs))


def views(memory: mmap, specs: Sequence[TensorSpec]) -> list[NDArray[Any]]:
    """Return each tensor as an array in the shared memory, one after the other. They go before the memory is closed."""
    found: list[NDArray[Any]] = []
    offset = 0
    for spec in specs:
        found.append(np.ndarray(spec.shape, spec.dtype, memory, offset))
        offset += _padded(spec)
    return found


def _padded(spec: TensorSpec) -> int:
    size = spec.dtype.itemsize
    for side in spec.shape:
        if side < 0:
            raise ValueError(f"tensor {spec.name} has the shape {spec.shape}")
        size *= side
    return -(-size // ALIGNED_TO) * ALIGNED_TO


def pack_specs(specs: Sequence[TensorSpec]) -> list[dict[str, Any]]:
    """Return specs as plain values."""
    return [
        {
            "name": spec.name,
            "shape": list(spec.shape),
            "dtype": spec.dtype.str,
            "quantization": astuple(spec.quantization) if spec.quantization else None,
            "signature_name": spec.signature_name,
        }
        for spec in specs
    ]


def unpack_specs(rows: Sequence[Mapping[str, Any]]) -> tuple[TensorSpec, ...]:
    """Return the specs that `pack_specs` gave."""
    return tuple(
        TensorSpec(
            name=row["name"],
            shape=tuple(row["shape"]),
            dtype=np.dtype(row["dtype"]),
            quantization=Quantization(*row["quantization"]) if row["quantization"] else None,
            signature_name=row["signature_name"],
        )
        for row in rows
    )


def unpack_info(row: Mapping[str, Any]) -> BackendInfo:
    """Return what a child says of its backend."""
    return BackendInfo(**{**row, "is_isolated": True})


def pack_error(error: Exception) -> dict[str, str]:
    """Return an error as plain values; the class of a defect is its own, and its line says which it was."""
    if isinstance(error, EdgeRuntimeError):
        return {"class": type(error).__name__, "said": str(error)}
    if isinstance(error, ImportError):
        return {"class": "ImportError", "said": str(error), "package": error.name or ""}
    if isinstance(error, MemoryError):
        return {"class": "BackendError", "said": "the model needs more memory than this board has free; free some"}
    return {"class": "BackendError", "said": f"the backend has a defect: {type(error).__name__}: {error}"}


def unpack_error(row: Mapping[str, str]) -> Exception:
    """Return the error that `pack_error` was given, of the same class."""
    if row["class"] == "ImportError":
        return ImportError(row["said"], name=row["package"] or None)
    kind = getattr(errors, row["class"], None)
    if not (isinstance(kind, type) and issubclass(kind, EdgeRuntimeError)):
        kind = BackendError
    error: Exception = kind(row["said"])
    return error


def pack_arrays(arrays: Sequence[NDArray[Any]]) -> bytes:
    """Return arrays as one message: a line of JSON with types and shapes, then their bytes."""
    head = json.dumps([[array.dtype.str, array.shape] for array in arrays])
    return b"\n".join([head.encode(), b"".join(array.tobytes() for array in arrays)])


def unpack_arrays(message: bytes) -> list[NDArray[Any]]:
    """Return copies of the arrays that `pack_arrays` was given.

    Raises:
        ValueError: the message is not of that form.
    """
    head, _, body = message.partition(b"\n")
    found: list[NDArray[Any]] = []
    at = 0
    for name, shape in json.loads(head):
        dtype = np.dtype(name)
        count = int(np.prod(shape, dtype=np.int64))
        found.append(np.frombuffer(body, dtype, count, at).reshape(shape).copy())
        at += count * dtype.itemsize
    return found
