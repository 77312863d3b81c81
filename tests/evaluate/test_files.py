"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_runtime.errors import OutputError
from edge_runtime.evaluate.files import check_output, write_whole


def test_a_file_replaces_another_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "o.json"
    path.write_text("old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_may_be_read_by_others_as_any_file(tmp_path: Path) -> None:
    """A temporary file is private; a report is not."""
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "o.json", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "o.json").stat().st_mode & 0o777 == 0o644


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_whole(tmp_path / ("x" * 300), b"data")
    with pytest.raises(OutputError, match="cannot be written"):
        write_whole(tmp_path / "none" / "o.json", b"data")
    assert list(tmp_path.iterdir()) == []


def test_what_is_known_beforehand_is_said_beforehand(tmp_path: Path) -> None:
    """Not after an hour of pictures."""
    there = tmp_path / "o.json"
    there.write_text("old")
    with pytest.raises(OutputError, match="exists; add --overwrite"):
        check_output(there, overwrite=False)
    check_output(there, overwrite=True)
    with pytest.raises(OutputError, match="is a folder"):
        check_output(tmp_path, overwrite=True)
    with pytest.raises(OutputError, match="does not exist; create it first"):
        check_output(tmp_path / "none" / "o.json", overwrite=True)
