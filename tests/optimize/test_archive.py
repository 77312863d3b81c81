"""The zip behind a model moves with it and stays what it was."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.errors import ModelError
from edge_runtime.optimize.archive import join, split, with_files

FRONT = b"\x1c\0\0\0TFL3" + b"\1" * 500


def zipped(files, front=FRONT, compression=zipfile.ZIP_DEFLATED):
    whole = io.BytesIO(front)
    with zipfile.ZipFile(whole, "a", compression) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return whole.getvalue()


def unpacked(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


@given(
    files=st.dictionaries(st.text("abc.", min_size=1, max_size=9), st.text(max_size=99), min_size=1, max_size=4),
    front=st.binary(max_size=99).filter(lambda front: b"PK" not in front),
)
def test_a_zip_behind_a_model_of_another_size_opens_as_before(files, front):
    """A zip holds distances from the start of the file; not moved along, some readers find nothing."""
    original = zipped(files)
    kept, tail = split(original, "m")
    assert kept == FRONT
    whole = join(front, tail, "m")
    assert unpacked(whole) == unpacked(tail) == files
    assert split(whole, "m") == (front, tail)
    assert join(FRONT, tail, "m") == original


def test_the_distances_in_the_directory_are_those_of_the_file():
    """Python forgives a directory that is off; readers on phones do not."""
    tail = split(zipped({"a.txt": "person", "b.txt": "car"}), "m")[1]
    whole = join(b"\2" * 77, tail, "m")
    end = whole.rindex(b"PK\x05\x06")
    size, directory = struct.unpack_from("<II", whole, end + 12)
    assert directory == end - size
    first, second = (struct.unpack_from("<I", whole, at)[0] for at in (directory + 42, directory + 46 + 5 + 42))
    assert whole[first : first + 4] == whole[second : second + 4] == b"PK\x03\x04"
    assert first == 77 < second


def test_a_zip_whose_distances_are_off_is_put_right():
    """A model that another tool has put before a zip, without moving it."""
    tail = zipped({"a.txt": "person"}, front=b"")
    front, found = split(FRONT + tail, "m")
    assert (front, found) == (FRONT, tail)
    assert unpacked(join(FRONT, found, "m")) == {"a.txt": "person"}


@pytest.mark.parametrize("data", [FRONT, FRONT + b"PK\x05\x06" + b"\1" * 40], ids=["none", "by chance"])
def test_a_model_without_a_zip_is_all_model(data):
    """The mark of a zip can stand in the weights."""
    assert split(data, "m") == (data, b"")
    assert join(data, b"", "m") == data


def test_an_archive_for_four_gigabytes_is_refused_by_name():
    """Its distances stand elsewhere; moved wrongly it would be lost."""
    tail = bytearray(zipped({"a.txt": "person"}, front=b""))
    directory = tail.index(b"PK\x01\x02")
    struct.pack_into("<I", tail, directory + 42, 0xFFFFFFFF)
    with pytest.raises(ModelError, match=r"m\.tflite: the zip packed behind it is of the kind for 4 GB"):
        join(FRONT, bytes(tail), "m.tflite")


def test_a_torn_directory_is_a_sentence():
    """Not a struct.error, and not a half moved archive."""
    tail = bytearray(zipped({"a.txt": "person"}, front=b""))
    tail[tail.index(b"PK\x01\x02")] = 0
    with pytest.raises(ModelError, match="is damaged; copy or download the model again"):
        join(FRONT, bytes(tail), "m")


def test_files_are_added_and_replaced_and_the_others_stay():
    """A sidecar written twice must not lie there twice."""
    tail = split(zipped({"labels.txt": "person"}, compression=zipfile.ZIP_STORED), "m")[1]
    once = with_files(tail, {"edge-runtime.toml": "mean = 1"})
    twice = with_files(once, {"edge-runtime.toml": "mean = 2"})
    assert unpacked(twice) == {"labels.txt": "person", "edge-runtime.toml": "mean = 2"}
    assert once == with_files(tail, {"edge-runtime.toml": "mean = 1"})
    assert unpacked(with_files(b"", {"ä.txt": "ß"})) == {"ä.txt": "ß"}
