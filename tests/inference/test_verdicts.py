"""The memory of what was measured."""

from __future__ import annotations

import errno
import json
import os
import pwd
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

from edge_runtime.errors import ModelError
from edge_runtime.inference.engine import Engine
from edge_runtime.inference.fake import FakeBackend
from edge_runtime.inference.verdicts import (
    FILE_NAME,
    MAX_ENTRIES,
    board_name,
    cache_folder,
    model_key,
    recall,
    remember,
)

ENGINE = Engine("litert", "2.3.0", FakeBackend, FakeBackend)


def test_facts_about_one_model_add_up(tmp_path: Path) -> None:
    remember(tmp_path, "a", {"opens": True})
    remember(tmp_path, "a", {"num_threads": 2})
    remember(tmp_path, "b", {"num_threads": 4})
    assert recall(tmp_path, "a") == {"opens": True, "num_threads": 2}
    assert recall(tmp_path, "c") == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 3}', "\x00", "[" * 100_000])
def test_a_damaged_file_is_the_same_as_none(tmp_path: Path, content: str) -> None:
    """A power cut must cost a measurement and not the service."""
    (tmp_path / FILE_NAME).write_text(content)
    assert recall(tmp_path, "a") == {}
    remember(tmp_path, "a", {"num_threads": 1})
    assert recall(tmp_path, "a") == {"num_threads": 1}


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    """A read-only system measures at each start."""
    (tmp_path / "file").touch()
    remember(tmp_path / "file" / "below", "a", {"num_threads": 1})
    assert recall(tmp_path / "file" / "below", "a") == {}


def test_the_file_does_not_grow_without_bound_and_leaves_no_temporary(tmp_path: Path) -> None:
    for number in range(MAX_ENTRIES + 5):
        remember(tmp_path, str(number), {"num_threads": 1})
    assert recall(tmp_path, "0") == {}
    assert recall(tmp_path, str(MAX_ENTRIES + 4)) == {"num_threads": 1}
    assert [one.name for one in tmp_path.iterdir()] == [FILE_NAME]


def test_a_service_keeps_it_where_systemd_says() -> None:
    assert cache_folder({"CACHE_DIRECTORY": "/var/cache/edge-runtime"}) == Path("/var/cache/edge-runtime")
    assert cache_folder({"XDG_CACHE_HOME": "/x", "HOME": "/h"}) == Path("/x/edge-runtime")
    assert cache_folder({"HOME": "/h"}) == Path("/h/.cache/edge-runtime")
    assert cache_folder({"XDG_CACHE_HOME": "relative", "HOME": "/h"}) == Path("/h/.cache/edge-runtime")


def test_without_a_home_in_the_environment_the_users_own_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd gives a service of root no HOME, and a container may run as a user that nobody knows."""
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert cache_folder({}) == home / ".cache" / "edge-runtime"
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    assert cache_folder({}) is None


def test_without_a_folder_nothing_is_kept_and_nothing_fails() -> None:
    remember(None, "a", {"num_threads": 1})
    assert recall(None, "a") == {}


def test_a_full_disk_leaves_the_old_verdicts_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each start would add a file to a disk that is full already."""
    remember(tmp_path, "a", {"num_threads": 2})

    def full(self: Path, target: Path) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    remember(tmp_path, "b", {"num_threads": 4})
    assert recall(tmp_path, "a") == {"num_threads": 2}
    assert [one.name for one in tmp_path.iterdir()] == [FILE_NAME]


def test_writers_at_the_same_time_leave_a_whole_file(tmp_path: Path) -> None:
    """Two services may start together: one verdict may be lost, the file may not be torn."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: remember(tmp_path, str(number), {"num_threads": number}), range(64)))
    entries = json.loads((tmp_path / FILE_NAME).read_text())
    assert entries
    assert all(facts == {"num_threads": int(key)} for key, facts in entries.items())
    assert [one.name for one in tmp_path.iterdir()] == [FILE_NAME]


def test_the_key_is_another_for_all_that_changes_a_measurement(tmp_path: Path) -> None:
    model = tmp_path / "m.tflite"
    model.write_bytes(b"one")
    first = model_key(model, ENGINE, 4)
    assert model_key(model, ENGINE, 4) == first
    assert model_key(model, ENGINE, 2) != first
    assert model_key(model, Engine("litert", "2.4.0", FakeBackend, FakeBackend), 4) != first
    model.write_bytes(b"two")
    assert model_key(model, ENGINE, 4) != first


def test_the_board_is_the_one_the_firmware_names(tmp_path: Path) -> None:
    """A card that moves from a Pi 4 to a Pi 5 takes its host name along, and must not take its verdicts."""
    assert board_name(tmp_path) == ""
    (tmp_path / "proc" / "device-tree").mkdir(parents=True)
    (tmp_path / "proc" / "device-tree" / "model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    assert board_name(tmp_path) == "Raspberry Pi 5 Model B Rev 1.0"


def test_a_model_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent\.tflite: cannot be read: No such file"):
        model_key(tmp_path / "absent.tflite", ENGINE, 1)
