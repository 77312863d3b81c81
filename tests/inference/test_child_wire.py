"""The messages between a child and its parent."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from mmap import mmap
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from edge_runtime import errors
from edge_runtime.errors import BackendError, EdgeRuntimeError, ModelError
from edge_runtime.inference import Quantization, TensorSpec
from edge_runtime.inference.child_wire import (
    ALIGNED_TO,
    HEADER,
    LONGEST_MESSAGE,
    Channel,
    Kind,
    pack_arrays,
    pack_error,
    pack_specs,
    room_for,
    unpack_arrays,
    unpack_error,
    unpack_specs,
    views,
)

SPECS = (
    TensorSpec("image", (1, 3, 5, 3), np.dtype("uint8"), Quantization(1 / 3, 128), "in"),
    TensorSpec("nothing", (1, 0, 4), np.dtype("float32")),
    TensorSpec("one", (), np.dtype("int64")),
    TensorSpec("flags", (7,), np.dtype("bool")),
)


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield Channel(one), Channel(other), other


def test_a_message_arrives_as_it_was_sent(ends: tuple[Channel, Channel, socket.socket]) -> None:
    ours, theirs, _ = ends
    ours.send(Kind.INVOKE)
    ours.send(Kind.OPEN, b"x" * 5000)
    assert theirs.receive(10) == (Kind.INVOKE, b"")
    assert theirs.receive(10) == (Kind.OPEN, b"x" * 5000)


def test_silence_and_the_end_are_told_apart(ends: tuple[Channel, Channel, socket.socket]) -> None:
    """One is a hang, the other a death."""
    ours, theirs, _ = ends
    with pytest.raises(TimeoutError):
        ours.receive(0.001)
    theirs.close()
    with pytest.raises(EOFError):
        ours.receive(10)


@pytest.mark.parametrize("bytes_", [HEADER.pack(3, LONGEST_MESSAGE + 1), HEADER.pack(77, 0)])
def test_what_is_no_message_is_refused(ends: tuple[Channel, Channel, socket.socket], bytes_: bytes) -> None:
    """A child whose memory is overrun may send anything; it must not have us take gigabytes."""
    ours, _, raw = ends
    raw.sendall(bytes_)
    with pytest.raises(ValueError, match=r"allowed are|is not a valid Kind"):
        ours.receive(10)


def test_a_message_that_breaks_off_ends_in_time(ends: tuple[Channel, Channel, socket.socket]) -> None:
    """The limit is that of the whole message and not of its next byte."""
    ours, _, raw = ends
    raw.sendall(HEADER.pack(3, 100) + b"half")
    with pytest.raises(TimeoutError):
        ours.receive(0.001)


def test_specs_survive_to_the_last_bit() -> None:
    assert unpack_specs(pack_specs(SPECS)) == SPECS


def test_tensors_in_shared_memory_do_not_touch_and_are_aligned() -> None:
    """Some kernels read vectors and fault where one lies across."""
    memory = mmap(-1, room_for(SPECS))
    tensors = views(memory, SPECS)
    for number, tensor in enumerate(tensors):
        tensor[...] = number
        assert tensor.ctypes.data % ALIGNED_TO == 0
    for number, (tensor, spec) in enumerate(zip(tensors, SPECS, strict=True)):
        assert_array_equal(tensor, np.full(spec.shape, number, spec.dtype))


def test_a_shape_with_an_open_side_is_refused() -> None:
    with pytest.raises(ValueError, match=r"tensor x has the shape \(-1, 4\)"):
        room_for([TensorSpec("x", (-1, 4), np.dtype("int8"))])


@given(st.lists(hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, min_side=0)), max_size=3))
def test_arrays_of_any_type_and_shape_survive(arrays: list[Any]) -> None:
    for one, other in zip(arrays, unpack_arrays(pack_arrays(arrays)), strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("message", [b"", b"[]x\n[", b'[["<f4", [9]]]\n1234', b"{}3"])
def test_arrays_that_are_none_are_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unpack_arrays(message)


@pytest.mark.parametrize(
    "kind", [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, EdgeRuntimeError)]
)
def test_each_error_of_ours_comes_back_as_itself(kind: type[EdgeRuntimeError]) -> None:
    """Its exit code tells systemd whether to try again."""
    error = unpack_error(pack_error(kind("m.tflite: is damaged")))
    assert type(error) is kind
    assert str(error) == "m.tflite: is damaged"


def test_a_defect_and_a_shortage_are_errors_of_the_backend() -> None:
    assert str(unpack_error(pack_error(KeyError("x")))) == "the backend has a defect: KeyError: 'x'"
    assert "needs more memory" in str(unpack_error(pack_error(MemoryError())))


def test_a_class_that_is_no_error_of_ours_is_not_made() -> None:
    """A name from a child must not call whatever it likes."""
    error = unpack_error({"class": "annotations", "said": "x"})
    assert (type(error), isinstance(error, ModelError)) == (BackendError, False)
