"""What has been measured survives whatever happens next."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edge_runtime.compare.state import MAX_ENTRIES, State, read_entries
from edge_runtime.errors import OutputError


def test_facts_are_on_disk_at_once_and_add_up(tmp_path: Path) -> None:
    """A run that is cut off goes on where it was."""
    path = tmp_path / "state.json"
    first = State(path)
    first.add("times a", {"0": {"ms": 1.5}})
    first.add("times a", {"1": {"ms": 1.6}})
    assert State(path).get("times a") == {"0": {"ms": 1.5}, "1": {"ms": 1.6}}
    assert State(path).get("times b") == {}


def test_two_runs_at_once_keep_each_others_results(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    one, other = State(path), State(path)
    one.add("a", {"x": 1})
    other.add("b", {"x": 2})
    assert read_entries(path) == {"a": {"x": 1}, "b": {"x": 2}}


@pytest.mark.parametrize(
    "text", ["", "{torn", "[]", '{"schema": 99, "entries": {"a": {"x": 1}}}', '{"schema": 1, "entries": 3}']
)
def test_a_damaged_file_costs_a_measurement_and_nothing_else(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    state = State(path)
    assert state.get("a") == {}
    state.add("a", {"x": 2})
    assert State(path).get("a") == {"x": 2}


def test_fresh_forgets_each_key_once(tmp_path: Path) -> None:
    """The rounds of the new run add up; those of the old are gone; other keys are not touched."""
    path = tmp_path / "state.json"
    State(path).add("a", {"0": 1, "1": 1})
    State(path).add("other", {"0": 1})
    fresh = State(path, is_fresh=True)
    assert fresh.get("a") == {}
    fresh.add("a", {"0": 2})
    fresh.add("a", {"2": 2})
    assert read_entries(path) == {"a": {"0": 2, "2": 2}, "other": {"0": 1}}


def test_the_oldest_results_go_first(tmp_path: Path) -> None:
    """The file stays small in a folder that is used for years."""
    path = tmp_path / "state.json"
    entries = {str(number): {"x": number} for number in range(MAX_ENTRIES)}
    path.write_text(json.dumps({"schema": 1, "entries": entries}))
    State(path).add("new", {"x": 1})
    kept = read_entries(path)
    assert len(kept) == MAX_ENTRIES
    assert "0" not in kept
    assert "new" in kept


def test_a_run_that_ends_before_its_first_result_leaves_no_file(tmp_path: Path) -> None:
    """A package was missing, say; the folder of the models is the user's."""
    State(tmp_path / "state.json")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "state.json").mkdir()
    with pytest.raises(OutputError, match="copy the models to a folder"):
        State(tmp_path / "state.json")
    with pytest.raises(OutputError, match="cannot be kept"):
        State(tmp_path / "none" / "state.json")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_such_a_place(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        State(tmp_path / "state.json")
