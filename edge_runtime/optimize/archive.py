"""The zip behind a model: taken off, kept byte for byte, and put back behind a model of another size.

TFLite metadata keeps its label files there, Ultralytics its dictionary, this package its sidecar. A zip finds its
parts by their distance from the start of the file, so each of these numbers moves with the size of the model.

Source: PKWARE APPNOTE.TXT, 4.3.12 (central directory header) and 4.3.16 (end of central directory record).
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping

from edge_runtime.errors import ModelError

_END, _RECORD = b"PK\x05\x06", b"PK\x01\x02"
_ZIP64 = 0xFFFFFFFF
_NO_DATE = (1980, 1, 1, 0, 0, 0)


def split(data: bytes, name: str) -> tuple[bytes, bytes]:
    """Return the model and the zip behind it; the zip can stand alone, and is empty where there is none.

    Args:
        data: a whole file.
        name: what to call it in a message.

    Raises:
        ModelError: the zip is damaged, or of a kind for archives beyond 4 GB.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:  # it has put right where its parts are by now
            starts = [entry.header_offset for entry in archive.infolist()]
            start, directory = min([*starts, archive.start_dir]), archive.start_dir
    except zipfile.BadZipFile:  # none there; the mark of one can stand in the weights by chance
        return data, b""
    stored = struct.unpack_from("<I", data, data.rindex(_END) + 16)[0]
    return data[:start], _moved(data[start:], directory - stored - start, name)


def join(front: bytes, tail: bytes, name: str) -> bytes:
    """Return a model with the zip behind it, as `split` took it off.

    Raises:
        ModelError: together they are too large for a zip.
    """
    return front + _moved(tail, len(front), name) if tail else front


def with_files(tail: bytes, files: Mapping[str, str]) -> bytes:
    """Return the zip with these text files in it; one of the same name is replaced, the others stay as they are.

    The same files give the same bytes, whenever it is done.
    """
    kept: dict[zipfile.ZipInfo, bytes] = {}
    if tail:
        with zipfile.ZipFile(io.BytesIO(tail)) as old:
            kept = {entry: old.read(entry) for entry in old.infolist() if entry.filename not in files}
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as new:
        for entry, content in kept.items():
            new.writestr(entry, content)
        for name, text in files.items():
            new.writestr(zipfile.ZipInfo(name, _NO_DATE), text.encode(), zipfile.ZIP_DEFLATED)
    return whole.getvalue()


def _moved(tail: bytes, by: int, name: str) -> bytes:
    """Return the zip with every distance in its directory changed by this number of bytes."""
    moved = bytearray(tail)
    end = tail.rindex(_END)
    size = struct.unpack_from("<I", tail, end + 12)[0]
    _shift(moved, end + 16, by, name)
    at = end - size
    while at < end:
        if tail[at : at + 4] != _RECORD:
            raise ModelError(f"{name}: the zip packed behind it is damaged; copy or download the model again")
        _shift(moved, at + 42, by, name)
        at += 46 + sum(struct.unpack_from("<HHH", tail, at + 28))
    return bytes(moved)


def _shift(moved: bytearray, at: int, by: int, name: str) -> None:
    distance = struct.unpack_from("<I", moved, at)[0]
    if distance == _ZIP64 or not 0 <= distance + by < _ZIP64:
        raise ModelError(
            f"{name}: the zip packed behind it is of the kind for 4 GB and more; pack it anew as plain zip"
        )
    struct.pack_into("<I", moved, at, distance + by)
