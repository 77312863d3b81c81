"""Names of rotated files and snapshots."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_runtime.storage.names import files_of, next_name, rotated_order, snapshot_order

SIX = datetime(2026, 11, 21, 6, 0, 0, tzinfo=UTC).timestamp()
LOG = Path("/data/found.jsonl")


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("found.2026-11-21T060000Z.jsonl", (SIX, 0)),
        ("found.2026-11-21T060000Z.jsonl.gz", (SIX, 0)),
        ("found.2026-11-21T060000Z_0012.jsonl.gz", (SIX, 12)),
        ("found.jsonl", None),
        ("found.jsonl.1", None),
        ("found.2026-11-21.jsonl", None),
        ("found.2026-99-21T060000Z.jsonl", None),
        ("other.2026-11-21T060000Z.jsonl", None),
        ("my-found.2026-11-21T060000Z.jsonl", None),
        ("found.2026-11-21T060000Z.jsonl.bak", None),
        ("foundX2026-11-21T060000ZXjsonl", None),
    ],
)
def test_only_the_exact_name_is_ours(name, order):
    """What is ours may be deleted; what a user put beside it must not."""
    assert rotated_order(LOG)(name) == order


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [
        ("20261121T060000.250Z-00000042.jpg", True),
        ("20261121T060000.250Z-00000042-3.jpg", True),
        ("20269921T060000.250Z-00000042.jpg", False),
        ("holiday.jpg", False),
        ("20261121T060000.250Z-00000042.png", False),
    ],
)
def test_a_snapshot_is_known_by_its_name(name, is_ours):
    """A folder of pictures may be one where somebody keeps others, too."""
    assert snapshot_order(name) == ((SIX, 0) if is_ours else None)


def test_names_of_one_second_keep_their_order(tmp_path):
    """A small file fills more than once a second; nothing is written over, and sorting by name is by time."""
    log = tmp_path / "found.jsonl"
    made = []
    for _ in range(12):
        made.append(next_name(log, SIX + 0.5))
        made[-1].touch()
    assert sorted(path.name for path in made) == [path.name for path in made]
    assert len(set(made)) == 12


def test_a_name_is_taken_in_its_compressed_form_too(tmp_path):
    """Its content would be mixed up with another file's."""
    log = tmp_path / "found.jsonl"
    (tmp_path / "found.2026-11-21T060000Z.jsonl.gz").touch()
    assert next_name(log, SIX).name == "found.2026-11-21T060000Z_0001.jsonl"


def test_a_clock_set_back_by_minutes_keeps_the_order(tmp_path):
    """The network sets the clock, and the files must still be read in the order they were written."""
    log = tmp_path / "found.jsonl"
    (tmp_path / "found.2026-11-21T060000Z.jsonl").touch()
    assert next_name(log, SIX - 600).name == "found.2026-11-21T060000Z_0001.jsonl"
    assert next_name(log, SIX + 600).name == "found.2026-11-21T061000Z.jsonl"


def test_a_clock_that_was_years_ahead_does_not_name_all_files_after_it(tmp_path):
    """One wrong start must not leave wrong dates for ever."""
    log = tmp_path / "found.jsonl"
    (tmp_path / "found.2046-11-21T060000Z.jsonl").touch()
    assert next_name(log, SIX).name == "found.2026-11-21T060000Z.jsonl"


@pytest.mark.parametrize("time_s", [-5.0, 0.0, 1e15])
def test_any_clock_gives_a_name(tmp_path, time_s):
    """No time of a broken clock may end the log."""
    log = tmp_path / "found.jsonl"
    found = next_name(log, time_s)
    assert rotated_order(log)(found.name) is not None


def test_links_folders_and_a_folder_that_is_not_there_are_left_alone(tmp_path):
    """Only a plain file is ever deleted."""
    order_of = rotated_order(tmp_path / "found.jsonl")
    (tmp_path / "found.2026-11-21T060000Z.jsonl").mkdir()
    (tmp_path / "target").write_text("x")
    (tmp_path / "found.2026-11-21T060001Z.jsonl").symlink_to(tmp_path / "target")
    (tmp_path / "found.2026-11-21T060002Z.jsonl").write_text("four")
    assert [(one.path.name, one.size_bytes) for one in files_of(tmp_path, order_of)] == [
        ("found.2026-11-21T060002Z.jsonl", 4)
    ]
    assert list(files_of(tmp_path / "none", order_of)) == []
