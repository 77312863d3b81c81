"""The disk budget that all outputs share."""

from __future__ import annotations

import gzip
import os
import threading
from datetime import UTC, datetime, timedelta

import pytest

from edge_runtime.storage.limits import LARGEST_FILE_BYTES, SMALLEST_FILE_BYTES, Limits
from edge_runtime.storage.names import rotated_order, snapshot_order
from edge_runtime.storage.store import LEAST_FREED_BYTES, Storage
from tests.storage.conftest import NOON

TODAY = datetime.fromtimestamp(NOON, UTC)


def rotated(folder, days_ago, *, size_bytes=1000, is_packed=True, hour=6):
    """Make a rotated file of so many days ago."""
    day = (TODAY - timedelta(days=days_ago)).strftime("%Y-%m-%d")
    path = folder / f"found.{day}T{hour:02d}0000Z.jsonl{'.gz' if is_packed else ''}"
    path.write_bytes(b"x" * size_bytes)
    return path


def snapshot(folder, days_ago, *, size_bytes=1000):
    day = (TODAY - timedelta(days=days_ago)).strftime("%Y%m%d")
    path = folder / f"{day}T060000.250Z-00000042.jpg"
    path.write_bytes(b"x" * size_bytes)
    return path


def own(storage, folder):
    storage.own(folder, rotated_order(folder / "found.jsonl"), live=folder / "found.jsonl", is_packed=True)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_budget_is_cut_into_files():
    """Deleting the oldest takes a sixteenth of what is kept; a tiny budget does not make a thousand files."""
    assert Limits(max_bytes=16 * 2**20).file_bytes == 2**20
    assert Limits(max_bytes=1).file_bytes == SMALLEST_FILE_BYTES
    assert Limits(max_bytes=10**12).file_bytes == LARGEST_FILE_BYTES
    assert Limits(keep_days=3).file_bytes == LARGEST_FILE_BYTES


def test_without_limits_there_is_no_thread_and_nothing_is_deleted(tmp_path):
    """Whoever asks for nothing gets nothing."""
    old = rotated(tmp_path, 5000, is_packed=False)
    with Storage() as storage:
        own(storage, tmp_path)
        assert all(thread.name != "storage" for thread in threading.enumerate())
        storage.work()
        assert not storage.free_some()
    assert storage.takes(10**15)
    assert old.exists()


def test_logs_and_snapshots_share_one_budget_and_the_oldest_of_both_go(make_storage, tmp_path):
    """A card has one size."""
    (tmp_path / "shots").mkdir()
    old_log, new_log = rotated(tmp_path, 9), rotated(tmp_path, 1)
    old_shot, new_shot = snapshot(tmp_path / "shots", 8), snapshot(tmp_path / "shots", 2)
    storage = make_storage(Limits(max_bytes=2500))
    own(storage, tmp_path)
    storage.own(tmp_path / "shots", snapshot_order)
    storage.work()
    assert [path.exists() for path in (old_log, old_shot, new_shot, new_log)] == [False, False, True, True]


def test_what_we_did_not_write_stays(make_storage, tmp_path):
    """Only names of our own are ever deleted, however full the budget is."""
    mine = {"found.jsonl", "notes.txt", "found.old.jsonl.gz", "found.2020-01-01T060000Z.jsonl.bak", "holiday.jpg",
            "other.2020-01-01T060000Z.jsonl.gz", "found.jsonl.1"}  # fmt: skip
    for name in mine:
        (tmp_path / name).write_bytes(b"x" * 5000)
    rotated(tmp_path, 9)
    storage = make_storage(Limits(max_bytes=1, keep_days=1))
    own(storage, tmp_path)
    storage.own(tmp_path, snapshot_order)
    storage.work()
    assert set(names(tmp_path)) == mine


def test_files_past_their_days_go_when_the_day_turns(make_storage, tmp_path, clock):
    """Also where nothing is written."""
    paths = [rotated(tmp_path, days) for days in range(5)]
    storage = make_storage(Limits(keep_days=3))
    own(storage, tmp_path)
    storage.work()
    assert [path.exists() for path in paths] == [True, True, True, True, False]
    rotated(tmp_path, -1)
    clock.pass_s(24 * 3600)
    storage.work()
    assert [path.exists() for path in paths] == [True, True, True, False, False]


@pytest.mark.parametrize("years", [(2046, 2026), (1970, 2026), (2046, 1970, 2046)])
def test_clocks_that_jump_by_years_delete_nothing_that_is_within_the_limits(make_storage, tmp_path, clock, years):
    """A Pi has no clock of its own."""
    paths = [rotated(tmp_path, days) for days in range(3)]
    storage = make_storage(Limits(keep_days=3, max_bytes=10_000))
    own(storage, tmp_path)
    for year in years:
        clock.set_to(year)
        for _ in range(20):
            clock.pass_s(3600)
            storage.work()
    assert all(path.exists() for path in paths)


def test_rotated_files_are_compressed_and_that_counts_as_written(make_storage, tmp_path):
    """Also those that a run before this one left."""
    path = rotated(tmp_path, 1, is_packed=False, size_bytes=100_000)
    storage = make_storage(Limits(max_bytes=10**6))
    own(storage, tmp_path)
    storage.work()
    packed = tmp_path / f"{path.name}.gz"
    assert names(tmp_path) == [packed.name]
    assert gzip.decompress(packed.read_bytes()) == b"x" * 100_000
    assert storage.written_today == packed.stat().st_size


def test_a_disk_with_too_little_room_gets_it_from_the_oldest_files(make_storage, tmp_path, disk):
    """Others write to the same disk."""
    storage = make_storage(Limits(min_free_bytes=10_000))
    old, new = rotated(tmp_path, 9), rotated(tmp_path, 1)
    own(storage, tmp_path)
    disk.free_bytes = 9_500
    storage.work()
    assert [old.exists(), new.exists()] == [False, True]


def test_where_nothing_is_left_to_delete_results_pause_until_there_is_room(make_storage, tmp_path, disk):
    """A full system disk stops more than this program."""
    told = []
    storage = make_storage(Limits(min_free_bytes=10_000))
    storage.watch(told.append)
    own(storage, tmp_path)
    disk.free_bytes = 5_000
    storage.work()
    assert [storage.takes(1) for _ in range(3)] == [False] * 3
    disk.free_bytes = 10_100
    storage.work()
    assert not storage.takes(1), "a little more than enough would flicker"
    disk.free_bytes = 11_000
    storage.work()
    assert storage.takes(1)
    assert [(one.part, one.before, one.after) for one in told] == [
        ("storage", "ok", "paused"),
        ("storage", "paused", "ok"),
    ]
    assert "10,000 bytes is free" in told[0].reason


def test_a_day_has_its_budget_and_the_next_one_a_new_one(make_storage, clock):
    """A card wears out by writing."""
    told = []
    storage = make_storage(Limits(max_bytes_per_day=1000))
    storage.watch(told.append)
    storage.watch(lambda change: told.append(change))  # the first one is enough
    assert storage.takes(900)
    storage.wrote(900)
    assert not storage.takes(101)
    assert not storage.takes(1), "what fits by chance would make gaps of any length"
    assert storage.written_today == 900
    clock.pass_s(12 * 3600)
    assert storage.takes(101)
    assert storage.written_today == 0
    assert [(one.before, one.after) for one in told] == [("ok", "paused"), ("paused", "ok")]
    assert "storage_max_bytes_per_day of 1,000 bytes is used up" in told[0].reason


def test_a_clock_that_jumps_gives_no_budget_for_each_jump(make_storage, clock):
    """The limit is there to save the card."""
    storage = make_storage(Limits(max_bytes_per_day=1000))
    taken = 0
    for number in range(100):
        clock.set_to((1970, 2026, 2046)[number % 3])
        clock.pass_s(1)
        while storage.takes(100):
            storage.wrote(100)
            taken += 100
    assert taken <= 2000


def test_a_restart_brings_no_new_budget(make_storage, tmp_path):
    """systemd restarts a run that fails, as often as it fails."""
    live = tmp_path / "found.jsonl"
    live.write_bytes(b"x" * 300)
    os.utime(live, (NOON, NOON))
    rotated(tmp_path, 0, is_packed=False, size_bytes=400)
    rotated(tmp_path, 1, is_packed=False, size_bytes=5000)
    snapshot(tmp_path, 0, size_bytes=50)
    storage = make_storage(Limits(max_bytes_per_day=1000))
    own(storage, tmp_path)
    storage.own(tmp_path, snapshot_order)
    assert storage.written_today == 750


def test_a_full_disk_gets_room_at_once_where_files_may_be_deleted(make_storage, tmp_path):
    """The next line is worth more than one of last week."""
    old, new = rotated(tmp_path, 9, size_bytes=LEAST_FREED_BYTES), rotated(tmp_path, 1)
    daily, keeping = make_storage(Limits(max_bytes_per_day=10**9)), make_storage(Limits(max_bytes=10**9))
    for storage in (daily, keeping):
        own(storage, tmp_path)
    assert not daily.free_some()
    assert old.exists()
    assert keeping.free_some()
    assert [old.exists(), new.exists()] == [False, True]


def test_folders_are_read_again_only_when_something_calls_for_it(make_storage, tmp_path, monkeypatch):
    """A folder of a hundred thousand pictures takes seconds on a small board."""
    looks = []
    storage = make_storage(Limits(max_bytes=100_000))
    own(storage, tmp_path)
    stock = storage.shelves._stock
    monkeypatch.setattr(storage.shelves, "_stock", lambda owned: looks.append(1) or stock(owned))
    for _ in range(10):
        storage.wrote(100)
        storage.work()
    assert len(looks) == 1
    storage.wrote(100_000)
    storage.work()
    assert len(looks) == 2


def test_a_budget_that_cannot_be_kept_does_not_read_the_folders_with_each_line(make_storage, tmp_path, monkeypatch):
    """The file that is being written may be larger than all of it."""
    (tmp_path / "found.jsonl").write_bytes(b"x" * 500_000)
    looks = []
    storage = make_storage(Limits(max_bytes=100_000))
    own(storage, tmp_path)
    stock = storage.shelves._stock
    monkeypatch.setattr(storage.shelves, "_stock", lambda owned: looks.append(1) or stock(owned))
    for _ in range(50):
        storage.wrote(100)
        storage.work()
    assert len(looks) <= 2


def test_the_thread_keeps_the_budget_and_ends_with_the_run(tmp_path):
    """No thread is left behind."""
    path = rotated(tmp_path, 1, is_packed=False)
    done = threading.Event()
    with Storage(Limits(max_bytes=10**9)) as storage:
        own(storage, tmp_path)
        wait = storage._wake.wait

        def until_packed(timeout=None):
            if not path.exists():
                done.set()
            return wait(timeout)

        storage._wake.wait = until_packed  # type: ignore[method-assign]
        storage.rotated()
        assert done.wait(10)
    assert names(tmp_path) == [f"{path.name}.gz"]
    assert all(thread.name != "storage" for thread in threading.enumerate())


def test_what_was_written_after_the_threads_last_look_is_within_the_budget_too(tmp_path):
    """A run of a few seconds ends before the thread looks again; its files stay for as long as nobody runs another."""
    with Storage(Limits(max_bytes=2500)) as storage:
        own(storage, tmp_path)
        storage._stopped.set()  # the thread is past its last look
        storage._wake.set()
        assert storage._thread is not None
        storage._thread.join(10)
        paths = [rotated(tmp_path, days_ago) for days_ago in (4, 3, 2, 1)]
    assert [path.exists() for path in paths] == [False, False, True, True]
