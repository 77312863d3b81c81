"""A view of flatbuffer bytes in which every offset is checked before it is followed.

The official package costs 28 ms and 6 MB to import and trusts the file; a few hundred bytes of a model are all that
is needed here, and a damaged download must end in a sentence, not in an IndexError.

Source: https://flatbuffers.dev/internals/ (the layout of tables, vtables, vectors and strings).
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from struct import Struct
from typing import TypeVar

from edge_runtime.errors import ModelError

Bytes = bytes | mmap.mmap
T = TypeVar("T")

_INTEGERS = {
    kind: Struct("<" + code)
    for kind, code in {
        "u8": "B",
        "i8": "b",
        "u16": "H",
        "i16": "h",
        "u32": "I",
        "i32": "i",
        "u64": "Q",
        "i64": "q",
    }.items()
}
_FLOATS = {"f16": Struct("<e"), "f32": Struct("<f"), "f64": Struct("<d")}

_BUDGET_FACTOR = 4
_BUDGET_SLACK_BYTES = 1 << 18


class Buffer:
    """Bytes and the name of where they came from. Every read is inside them or raises ModelError.

    Damage can make thousands of offsets point at the same large vector. What is read is therefore counted, and
    reading ends after four times the size of the file: an undamaged file is read less than once.
    """

    def __init__(self, data: Bytes, name: str) -> None:
        self.data = data
        self.name = name
        self._budget = _BUDGET_FACTOR * len(data) + _BUDGET_SLACK_BYTES

    def damaged(self, found: str) -> ModelError:
        """Return the error that says what is wrong with these bytes."""
        return ModelError(f"{self.name}: is damaged or cut short: {found}; copy or download it again")

    def check(self, at: int, size: int) -> None:
        """Raise ModelError unless `size` bytes at `at` lie inside."""
        if at < 0 or size < 0 or at + size > len(self.data):
            raise self.damaged(f"bytes {at} to {at + size} are needed, there are {len(self.data)}")

    def spend(self, size: int) -> None:
        """Count bytes that are read.

        Raises:
            ModelError: far more is read than there is.
        """
        self._budget -= size
        if self._budget < 0:
            raise self.damaged("its parts overlap")

    def integer(self, kind: str, at: int) -> int:
        """Return the integer at `at`; kind is one of u8 i8 u16 i16 u32 i32 u64 i64."""
        layout = _INTEGERS[kind]
        self.check(at, layout.size)
        value: int = layout.unpack_from(self.data, at)[0]
        return value

    def real(self, kind: str, at: int) -> float:
        """Return the float at `at`; kind is one of f16 f32 f64."""
        layout = _FLOATS[kind]
        self.check(at, layout.size)
        value: float = layout.unpack_from(self.data, at)[0]
        return value

    def copy(self, at: int, size: int) -> bytes:
        """Return a copy of `size` bytes at `at`."""
        self.check(at, size)
        self.spend(size)
        return bytes(self.data[at : at + size])

    def root(self) -> Table:
        """Return the table the first four bytes point to."""
        return Table(self, self.integer("u32", 0))


class Table:
    """One flatbuffer table; fields are named by their slot, the position in the schema counted from 0."""

    __slots__ = ("_at", "_buffer", "_vtable", "_vtable_size")

    def __init__(self, buffer: Buffer, at: int) -> None:
        buffer.spend(8)
        self._buffer = buffer
        self._at = at
        self._vtable = at - buffer.integer("i32", at)
        self._vtable_size = buffer.integer("u16", self._vtable)
        buffer.check(self._vtable, self._vtable_size)

    def integer(self, slot: int, kind: str, default: int = 0) -> int:
        """Return an integer field, or `default` where the file leaves it out."""
        at = self._field(slot)
        return default if at is None else self._buffer.integer(kind, at)

    def real(self, slot: int, default: float = 0.0) -> float:
        """Return a 32-bit float field, or `default` where the file leaves it out."""
        at = self._field(slot)
        return default if at is None else self._buffer.real("f32", at)

    def table(self, slot: int) -> Table | None:
        """Return a table field; None where the file leaves it out."""
        at = self._follow(slot)
        return None if at is None else Table(self._buffer, at)

    def text(self, slot: int) -> str:
        """Return a string field; empty where the file leaves it out. Bytes that are not UTF-8 show as marks."""
        return self.blob(slot).decode("utf-8", "replace")

    def blob(self, slot: int) -> bytes:
        """Return a copy of a vector of bytes; empty where the file leaves it out."""
        start, count = self.extent(slot)
        return self._buffer.copy(start, count)

    def extent(self, slot: int, item_size: int = 1) -> tuple[int, int]:
        """Return where the items of a vector begin and how many there are, checked to lie inside; (0, 0) if absent."""
        at = self._follow(slot)
        if at is None:
            return 0, 0
        count = self._buffer.integer("u32", at)
        self._buffer.check(at + 4, count * item_size)
        return at + 4, count

    def integers(self, slot: int, kind: str = "i32") -> tuple[int, ...]:
        """Return a vector of integers."""
        return self._vector(slot, _INTEGERS[kind].size, lambda at: self._buffer.integer(kind, at))

    def reals(self, slot: int) -> tuple[float, ...]:
        """Return a vector of 32-bit floats."""
        return self._vector(slot, 4, lambda at: self._buffer.real("f32", at))

    def tables(self, slot: int) -> tuple[Table, ...]:
        """Return a vector of tables."""
        return self._vector(slot, 4, lambda at: Table(self._buffer, at + self._buffer.integer("u32", at)))

    def _vector(self, slot: int, item_size: int, read: Callable[[int], T]) -> tuple[T, ...]:
        start, count = self.extent(slot, item_size)
        self._buffer.spend(count * item_size)
        return tuple(read(at) for at in range(start, start + count * item_size, item_size))

    def _field(self, slot: int) -> int | None:
        entry = 4 + 2 * slot
        if entry + 2 > self._vtable_size:
            return None
        offset = self._buffer.integer("u16", self._vtable + entry)
        return self._at + offset if offset else None

    def _follow(self, slot: int) -> int | None:
        at = self._field(slot)
        return None if at is None else at + self._buffer.integer("u32", at)
