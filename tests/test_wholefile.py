"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from edge_runtime.errors import OutputError
from edge_runtime.wholefile import check_output, write_whole


@pytest.fixture
def mask() -> Iterator[None]:
    """Give new files the permissions 0644, whoever runs the tests."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_file_replaces_another_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """A folder that is used for years must not fill with leftovers."""
    path = tmp_path / "o.json"
    path.write_text("old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("mask")
def test_a_new_file_may_be_read_by_others_as_any_file(tmp_path: Path) -> None:
    """A temporary file is private; a report is not."""
    write_whole(tmp_path / "o.json", b"")
    assert (tmp_path / "o.json").stat().st_mode & 0o7777 == 0o644


@pytest.mark.usefixtures("mask")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o400])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    """A settings file with a password in it must not become readable for all."""
    path = tmp_path / "settings.toml"
    path.write_text("old")
    path.chmod(mode)
    write_whole(path, b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o7777) == (b"new", mode)


def test_the_mask_of_the_process_is_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It belongs to all threads: files that others begin meanwhile would get the wrong permissions, even for good."""

    def refuse(mask: int) -> NoReturn:
        raise AssertionError(f"set to {mask:o}")

    monkeypatch.setattr(os, "umask", refuse)
    write_whole(tmp_path / "o.json", b"new")
    write_whole(tmp_path / "o.json", b"replaced")
    assert (tmp_path / "o.json").read_bytes() == b"replaced"


def test_until_it_is_whole_it_has_a_hidden_name_in_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks through the folder meanwhile, or after a power cut, takes it for no picture and no model."""
    seen: list[str] = []

    def look(descriptor: int) -> None:
        assert os.fstat(descriptor).st_size == 4
        seen.extend(one.name for one in tmp_path.iterdir())

    monkeypatch.setattr(os, "fsync", look)
    write_whole(tmp_path / "a.jpg", b"data")
    [name] = seen
    assert (name[0], Path(name).suffix) == (".", ".partial")


@pytest.mark.parametrize("name", ["x" * 255, "猫" * 85], ids=["letters", "letters of three bytes"])
def test_a_name_as_long_as_the_disk_takes_can_be_written(tmp_path: Path, name: str) -> None:
    """The hidden name must not be the one that is too long."""
    write_whole(tmp_path / name, b"data")
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """Half a picture is damage that looks like a picture."""
    (tmp_path / "a.jpg").mkdir()
    (tmp_path / "file").touch()
    places = {
        tmp_path / ("x" * 300): "File name too long",
        tmp_path / "none" / "o.json": "No such file or directory",
        tmp_path / "file" / "o.json": "Not a directory",
        tmp_path / "a.jpg": "Is a directory",
    }
    for path, reason in places.items():
        with pytest.raises(OutputError) as caught:
            write_whole(path, b"data")
        assert str(caught.value) == f"{path}: cannot be written ({reason}); choose another place"
        assert isinstance(caught.value.__cause__, OSError)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.jpg", "file"]


def test_a_disk_that_fills_up_leaves_what_was_there(tmp_path: Path) -> None:
    """The system's own limit stops the write in its middle, as a full disk does."""
    path = tmp_path / "model.tflite"
    path.write_bytes(b"yesterday's")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
    try:
        with pytest.raises(OutputError, match=r"model.tflite: cannot be written \(File too large\)"):
            write_whole(path, b"x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert path.read_bytes() == b"yesterday's"
    assert list(tmp_path.iterdir()) == [path]


def test_a_user_who_interrupts_finds_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C may come at any moment."""
    path = tmp_path / "settings.toml"
    path.write_text("old")

    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt(descriptor)

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


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
    with pytest.raises(OutputError, match=r"cannot be written \(File name too long\)"):
        check_output(tmp_path / ("x" * 300), overwrite=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_takes_no_file_is_known_beforehand(tmp_path: Path) -> None:
    """Such as that of a picture on a card that is mounted read-only."""
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="takes no file of this user; choose another"):
        check_output(tmp_path / "o.json", overwrite=False)
