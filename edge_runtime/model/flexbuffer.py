"""The map of numbers in which TFLite keeps the options of custom operators.

Source: https://flatbuffers.dev/internals/#flexbuffers (values are read backwards from the end of the bytes).
"""

from __future__ import annotations

from edge_runtime.model.table import Buffer

_INT, _UINT, _FLOAT, _INDIRECT_INT, _INDIRECT_UINT, _INDIRECT_FLOAT, _MAP, _BOOL = 1, 2, 3, 6, 7, 8, 9, 26
_DIRECT = {_INDIRECT_INT: _INT, _INDIRECT_UINT: _UINT, _INDIRECT_FLOAT: _FLOAT}

Number = int | float | bool


def read_numbers(data: bytes, name: str) -> dict[str, Number]:
    """Return the numbers of a flexbuffer map by key; values of other kinds are left out.

    Args:
        data: the flexbuffer.
        name: what to call it in a message.

    Raises:
        ModelError: the bytes are damaged or hold no map.
    """
    buffer = Buffer(data, name)
    end = len(data)
    width, packed = buffer.integer("u8", end - 1), buffer.integer("u8", end - 2)
    if packed >> 2 != _MAP:
        raise buffer.damaged(f"a map of options is needed, found type {packed >> 2}")
    return _read_map(buffer, _back(buffer, end - 2 - width, width), 1 << (packed & 3))


def _read_map(buffer: Buffer, at: int, width: int) -> dict[str, Number]:
    count = _unsigned(buffer, at - width, width)
    keys_at = _back(buffer, at - 3 * width, width)
    key_width = _unsigned(buffer, at - 2 * width, width)
    buffer.check(at, count * (width + 1))
    numbers: dict[str, Number] = {}
    for row in range(count):
        key = _key(buffer, _back(buffer, keys_at + row * key_width, key_width))
        packed = buffer.integer("u8", at + count * width + row)
        value = _number(buffer, at + row * width, width, packed)
        if value is not None:
            numbers[key] = value
    return numbers


def _number(buffer: Buffer, at: int, width: int, packed: int) -> Number | None:
    kind = packed >> 2
    if kind in _DIRECT:
        at, width, kind = _back(buffer, at, width), 1 << (packed & 3), _DIRECT[kind]
    if kind == _INT:
        return buffer.integer(f"i{8 * width}", at)
    if kind == _UINT:
        return _unsigned(buffer, at, width)
    if kind == _BOOL:
        return bool(_unsigned(buffer, at, width))
    if kind == _FLOAT and width > 1:
        return buffer.real(f"f{8 * width}", at)
    return None


def _key(buffer: Buffer, at: int) -> str:
    end = buffer.data.find(b"\0", at)
    if end < 0:
        raise buffer.damaged("the name of an option has no end")
    return buffer.copy(at, end - at).decode("utf-8", "replace")


def _back(buffer: Buffer, at: int, width: int) -> int:
    """Return where an offset points to: flexbuffers count backwards from where the offset is written."""
    return at - _unsigned(buffer, at, width)


def _unsigned(buffer: Buffer, at: int, width: int) -> int:
    if width not in (1, 2, 4, 8):
        raise buffer.damaged(f"a number of {width} bytes is named, 1, 2, 4 or 8 are possible")
    return buffer.integer(f"u{8 * width}", at)
