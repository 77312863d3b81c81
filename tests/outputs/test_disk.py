"""Room on the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_runtime.errors import OutputError
from edge_runtime.outputs.disk import check_room

MIB = 1024**2


def disk(free_mib: int, size_mib: int):
    """Return a statvfs of a disk of this size."""
    return lambda path: os.statvfs_result((4096, MIB, size_mib, free_mib, free_mib, 0, 0, 0, 0, 255))


def test_a_disk_with_room_is_fine():
    """The usual case is silent."""
    check_room(Path("/data/a.mp4"), statvfs=disk(257, 32_000))


def test_the_last_room_of_a_disk_is_left_to_the_system():
    """A full system disk stops logins, logs and updates, not only us."""
    with pytest.raises(OutputError) as caught:
        check_room(Path("/data/a.mp4"), statvfs=disk(255, 32_000))
    assert str(caught.value) == (
        "/data/a.mp4: its disk is full: 255.0 MiB free, and 256.0 MiB are left to the system; "
        "make room or choose another disk"
    )


@pytest.mark.parametrize(
    ("free_blocks", "said"),
    [(0, "0 bytes free, and 51 KiB are left"), (3, "12 KiB free, and 51 KiB are left")],
)
def test_the_room_on_a_tiny_disk_is_said_in_a_unit_that_shows_it(free_blocks: int, said: str):
    """0.0 MiB free where at least 0.0 MiB are needed is no reason for anything."""
    tiny = os.statvfs_result((4096, 4096, 256, free_blocks, free_blocks, 0, 0, 0, 0, 255))
    with pytest.raises(OutputError, match=said):
        check_room(Path("/run/a.mp4"), statvfs=lambda path: tiny)


def test_a_folder_of_pictures_is_named_itself(tmp_path):
    """Not a picture that nobody has asked for."""
    with pytest.raises(OutputError) as caught:
        check_room(tmp_path, tmp_path, statvfs=disk(0, 100))
    assert str(caught.value).startswith(f"{tmp_path}: its disk is full")


def test_a_small_disk_may_be_used_up_to_a_twentieth():
    """A memory disk of 100 MiB would never be allowed otherwise."""
    check_room(Path("/run/a.mp4"), statvfs=disk(6, 100))
    with pytest.raises(OutputError):
        check_room(Path("/run/a.mp4"), statvfs=disk(4, 100))


def test_a_file_system_that_does_not_tell_its_size_is_trusted():
    """Some network file systems say zero of zero."""
    check_room(Path("/net/a.mp4"), statvfs=disk(0, 0))


def test_a_folder_that_has_gone_is_said(tmp_path):
    """A stick that was pulled out."""
    with pytest.raises(OutputError, match="has gone"):
        check_room(tmp_path / "no" / "a.mp4")
