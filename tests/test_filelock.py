"""The lock that keeps a second run out of a file."""

from __future__ import annotations

import errno

import pytest

from edge_runtime import filelock
from edge_runtime.filelock import lock


def test_a_locked_file_is_refused_until_it_is_closed(tmp_path):
    """A run that dies must not leave a lock behind, so it lives as long as the open file."""
    with (tmp_path / "a").open("ab") as first:
        lock(first)
        with (tmp_path / "a").open("ab") as second, pytest.raises(BlockingIOError):
            lock(second)
    with (tmp_path / "a").open("ab") as third:
        lock(third)


def test_those_that_share_keep_out_those_that_do_not(tmp_path):
    """And the other way round."""
    with (tmp_path / "a").open("ab") as one, (tmp_path / "a").open("ab") as other, (tmp_path / "a").open("ab") as alone:
        lock(one, is_shared=True)
        lock(other, is_shared=True)
        with pytest.raises(BlockingIOError):
            lock(alone)


def test_a_file_system_without_locks_is_no_reason_to_refuse(tmp_path, monkeypatch):
    """Some network shares have none; the lock guards against a rare mistake only."""

    def refuse(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.fcntl, "flock", refuse)
    with (tmp_path / "a").open("ab") as file:
        lock(file)
        file.write(b"x")
    assert (tmp_path / "a").read_bytes() == b"x"
