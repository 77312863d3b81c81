"""Bytes that are wrong end in a sentence about the file, never in an IndexError."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.errors import ModelError
from edge_runtime.model.table import Buffer

# vtable (size 10, table size 12, offsets of three fields), then the table: i32 to the vtable, a u32, a vector.
SMALL = (
    struct.pack("<I", 16)
    + struct.pack("<HHHHH", 10, 12, 4, 8, 0)
    + b"\0\0"
    + struct.pack("<iII", 12, 7, 4)
    + struct.pack("<I", 3)
    + b"abc\0"
)


def error_of(call):
    """Return the ModelError a call ends in, None where it returns; anything else fails the test."""
    try:
        call()
    except ModelError as error:
        return error
    return None


def test_fields_are_read_by_slot_and_missing_ones_have_defaults():
    """Old files lack the fields that later schemas added."""
    table = Buffer(SMALL, "m").root()
    assert table.integer(0, "u32") == 7
    assert table.text(1) == "abc"
    assert table.blob(1) == b"abc"
    assert table.integer(2, "i32", default=5) == 5
    assert table.real(9, default=0.5) == 0.5
    assert table.text(9) == ""
    assert table.table(9) is None
    assert table.tables(9) == ()
    assert table.reals(9) == ()


@pytest.mark.parametrize("length", range(4, len(SMALL) - 1))
def test_bytes_cut_off_are_named_and_not_read(length):
    """A download that stopped is the commonest damage."""
    with pytest.raises(ModelError, match=r"^m: is damaged or cut short: .*; copy or download it again$"):
        Buffer(SMALL[:length], "m").root().blob(1)


def test_a_vector_larger_than_the_file_is_refused_before_it_is_read():
    """A count of four billion must not ask for four billion bytes."""
    data = SMALL[:-8] + struct.pack("<I", 0xFFFFFFFF) + b"abc\0"
    with pytest.raises(ModelError, match="are needed, there are"):
        Buffer(data, "m").root().integers(1)


def test_offsets_before_the_first_byte_are_refused():
    """Python would read them from the end."""
    with pytest.raises(ModelError, match="bytes -3 to 1"):
        Buffer(b"12345678", "m").integer("u32", -3)


def test_overlapping_parts_cannot_make_reading_endless():
    """Ten thousand fields that point at one large vector would take minutes."""
    buffer = Buffer(b"\0" * 1_000_000, "m")
    errors = [error_of(lambda: buffer.copy(0, 1_000_000)) for _ in range(6)]
    assert errors[:4] == [None] * 4
    assert "its parts overlap" in str(errors[5])


@given(st.binary(max_size=64), st.integers(0, 8))
def test_any_bytes_give_values_or_a_model_error(data, slot):
    """Whatever a file holds, nothing but ModelError may come out of the reader."""

    def read():
        table = Buffer(data, "m").root()
        table.text(slot)
        table.integers(slot, "i64")
        for inner in table.tables(slot):
            inner.real(slot)

    error = error_of(read)
    assert error is None or str(error).startswith("m: is damaged")
