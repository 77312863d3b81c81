"""The memory of what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.inference.verdicts import FILE_NAME, MAX_ENTRIES, cache_folder, recall, remember


def test_facts_about_one_model_add_up(tmp_path: Path) -> None:
    remember(tmp_path, "a", {"opens": True})
    remember(tmp_path, "a", {"num_threads": 2})
    remember(tmp_path, "b", {"num_threads": 4})
    assert recall(tmp_path, "a") == {"opens": True, "num_threads": 2}
    assert recall(tmp_path, "c") == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 3}', "\x00"])
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
