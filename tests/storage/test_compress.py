"""Rotated files compressed."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from edge_runtime.filelock import lock
from edge_runtime.linefile import json_line
from edge_runtime.storage.compress import compress, content_bytes, partial_of

TEXT = "".join(json_line({"number": number}) + "\n" for number in range(50_000)).encode()


def make(folder):
    path = folder / "found.2026-11-21T060000Z.jsonl"
    path.write_bytes(TEXT)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_by_its_compressed_form(tmp_path):
    """With the time of its last line, and with nothing left beside it."""
    path = make(tmp_path)
    size_bytes = compress(path, lambda: False)
    packed = tmp_path / f"{path.name}.gz"
    assert names(tmp_path) == [packed.name]
    assert gzip.decompress(packed.read_bytes()) == TEXT
    assert packed.stat().st_mtime == 1_700_000_000
    assert size_bytes == packed.stat().st_size < len(TEXT) / 5


def test_an_end_in_the_middle_leaves_the_file_as_it_was(tmp_path):
    """The run ends when it is told to, not when a file is done."""
    path = make(tmp_path)
    assert compress(path, lambda: True) is None
    assert names(tmp_path) == [path.name]
    assert path.read_bytes() == TEXT


def test_what_a_run_left_that_was_cut_off_is_replaced(tmp_path):
    """Half a partial file from a power cut, or a whole compressed one whose original had not gone yet."""
    path = make(tmp_path)
    partial_of(path).write_bytes(b"half")
    (tmp_path / f"{path.name}.gz").write_bytes(b"half")
    compress(path, lambda: False)
    assert names(tmp_path) == [f"{path.name}.gz"]
    assert gzip.decompress((tmp_path / f"{path.name}.gz").read_bytes()) == TEXT


def test_a_file_that_somebody_still_writes_is_left(tmp_path):
    """Its next line would be lost."""
    path = make(tmp_path)
    with path.open("ab") as writer:
        lock(writer, is_shared=True)
        assert compress(path, lambda: False) is None
    assert names(tmp_path) == [path.name]


def test_a_file_that_has_gone_is_no_failure(tmp_path, caplog):
    """The budget, another run or the user deleted it."""
    assert compress(tmp_path / "none", lambda: False) is None
    assert caplog.records == []


def test_a_file_that_cannot_be_compressed_stays_and_is_said(tmp_path, caplog):
    """A full disk takes no compressed file either."""
    path = make(tmp_path)
    partial_of(path).mkdir()
    assert compress(path, lambda: False) is None
    assert path.read_bytes() == TEXT
    assert "could not be compressed" in caplog.text
    caplog.clear()


def test_what_was_written_to_a_compressed_file_is_known(tmp_path):
    """The day's budget goes on after a restart."""
    path = make(tmp_path)
    assert content_bytes(path, len(TEXT)) == len(TEXT)
    size_bytes = compress(path, lambda: False)
    assert content_bytes(Path(f"{path}.gz"), size_bytes) == len(TEXT) + size_bytes
    assert content_bytes(tmp_path / "none.gz", 7) == 7
