"""A file of lines within a budget."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edge_runtime.errors import OutputError
from edge_runtime.linefile import LineFile
from edge_runtime.storage.limits import SMALLEST_FILE_BYTES, Limits
from edge_runtime.storage.lines import StoredLines
from edge_runtime.storage.names import rotated_order
from tests.storage.conftest import NOON

BUDGET = Limits(max_bytes=10**9)


class Told(list):
    """The changes of state as pairs."""

    def __call__(self, change):
        self.append((change.before, change.after))


def opened(path, storage, *, told=None, **how):
    lines = StoredLines(path, "output:jsonl", storage=storage, **how)
    lines.open()
    if told is not None:
        lines.watch(told)
    return lines


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def all_lines(folder):
    """Return every line of every file in the folder, in the order of the names; the live file comes last."""
    order_of = rotated_order(folder / "a.jsonl")
    files = sorted((path for path in folder.iterdir() if order_of(path.name)), key=lambda path: order_of(path.name))
    return [line for path in [*files, folder / "a.jsonl"] for line in path.read_text().splitlines()]


def test_a_day_has_its_file_named_after_its_last_line(make_storage, tmp_path, clock):
    """Yesterday's log is yesterday's file."""
    lines = opened(tmp_path / "a.jsonl", make_storage(BUDGET))
    lines.write("one")
    clock.pass_s(12 * 3600 - 60)
    lines.write("two")
    clock.pass_s(120)
    lines.write("three")
    lines.close()
    assert names(tmp_path) == ["a.2026-11-21T235900Z.jsonl", "a.jsonl"]
    assert (tmp_path / "a.jsonl").read_text() == "three\n"


def test_a_file_that_is_large_enough_is_rotated_and_no_line_is_lost(make_storage, tmp_path, clock):
    """Many times within one second: each file has a name of its own, in order."""
    lines = opened(tmp_path / "a.jsonl", make_storage(Limits(max_bytes=10**6)))
    said = [f"{number:0999d}" for number in range(1000)]
    for line in said:
        clock.pass_s(0.001)
        lines.write(line)
    lines.close()
    assert all_lines(tmp_path) == said
    assert len(names(tmp_path)) == 1_000_000 // (SMALLEST_FILE_BYTES + 464) + 1
    assert all(path.stat().st_size <= SMALLEST_FILE_BYTES + 1000 for path in tmp_path.iterdir())


def test_without_a_budget_nothing_is_rotated(make_storage, tmp_path, clock):
    """Whoever has logrotate needs no second one."""
    lines = opened(tmp_path / "a.jsonl", make_storage())
    lines.write("one")
    clock.pass_s(10 * 24 * 3600)
    lines.write("two")
    lines.close()
    assert names(tmp_path) == ["a.jsonl"]


def test_a_continued_file_of_another_day_is_rotated_at_the_start(make_storage, tmp_path):
    """The service was off over night; the name says when the last line was written."""
    path = tmp_path / "a.jsonl"
    path.write_text("old\n")
    os.utime(path, (NOON - 24 * 3600, NOON - 24 * 3600))
    lines = opened(path, make_storage(BUDGET), append=True)
    lines.write("new")
    lines.close()
    assert names(tmp_path) == ["a.2026-11-20T120000Z.jsonl", "a.jsonl"]
    assert path.read_text() == "new\n"


def test_a_continued_file_of_today_goes_on(make_storage, tmp_path):
    """Ten restarts a day are not ten files."""
    path = tmp_path / "a.jsonl"
    path.write_text("old\n")
    os.utime(path, (NOON - 60, NOON - 60))
    lines = opened(path, make_storage(BUDGET), append=True)
    lines.write("new")
    lines.close()
    assert path.read_text() == "old\nnew\n"


def test_a_clock_that_jumps_by_years_does_not_rotate_endlessly(make_storage, tmp_path, clock):
    """A thousand jumps in an hour are two files, and every line is there."""
    lines = opened(tmp_path / "a.jsonl", make_storage(BUDGET))
    said = [str(number) for number in range(1000)]
    for number, line in enumerate(said):
        clock.set_to((1970, 2026, 2046)[number % 3])
        clock.pass_s(1)
        lines.write(line)
    lines.close()
    assert len(names(tmp_path)) <= 3
    assert sorted(all_lines(tmp_path), key=int) == said


def test_a_file_that_another_run_shares_is_rotated_when_that_has_gone(make_storage, tmp_path, clock):
    """The other one would go on writing into a file that is being compressed."""
    path = tmp_path / "a.jsonl"
    lines = opened(path, make_storage(BUDGET), append=True)
    other = LineFile(path, append=True)
    other.open()
    lines.write("one")
    clock.pass_s(24 * 3600)
    lines.write("two")
    other.write("three")
    assert names(tmp_path) == ["a.jsonl"]
    other.close()
    clock.pass_s(61)
    lines.write("four")
    lines.close()
    assert len(names(tmp_path)) == 2
    assert all_lines(tmp_path) == ["one", "two", "three", "four"]


def test_a_second_run_may_join_after_a_rotation(make_storage, tmp_path, clock):
    """Rotating needs the file alone, for a moment."""
    path = tmp_path / "a.jsonl"
    lines = opened(path, make_storage(BUDGET), append=True)
    lines.write("one")
    clock.pass_s(24 * 3600)
    lines.write("two")
    other = LineFile(path, append=True)
    other.open()
    other.write("three")
    other.close()
    lines.close()
    assert all_lines(tmp_path) == ["one", "two", "three"]


def test_a_header_stands_in_every_file(make_storage, tmp_path, clock):
    """A rotated CSV file opens in a spreadsheet, too."""
    lines = opened(tmp_path / "a.csv", make_storage(BUDGET), header="time,fps")
    lines.write("1,2")
    clock.pass_s(24 * 3600)
    lines.write("3,4")
    lines.close()
    assert (tmp_path / "a.2026-11-21T120000Z.csv").read_text() == "time,fps\n1,2\n"
    assert (tmp_path / "a.csv").read_text() == "time,fps\n3,4\n"


def test_lines_are_written_together_but_states_at_once(make_storage, tmp_path, clock):
    """A card wears out less; and the reason of an outage must not wait in memory."""
    path = tmp_path / "a.jsonl"
    lines = opened(path, make_storage(flush_s=10))
    lines.write("one")
    clock.pass_s(5)
    lines.write("two")
    assert path.read_text() == ""
    lines.write("state", is_urgent=True)
    assert path.read_text() == "one\ntwo\nstate\n"
    lines.write("three")
    clock.pass_s(10)
    lines.write("four")
    assert path.read_text() == "one\ntwo\nstate\nthree\nfour\n"
    lines.write("five")
    lines.close()
    assert path.read_text().endswith("five\n")


def test_when_the_day_is_used_up_results_pause_and_states_do_not(make_storage, tmp_path, clock):
    """Whoever looks at the log sees why it ends there, and that the camera was lost meanwhile."""
    path = tmp_path / "a.jsonl"
    storage = make_storage(Limits(max_bytes_per_day=20))
    lines = opened(path, storage)
    for _ in range(5):
        lines.write("123456789")
    lines.write("state", is_urgent=True)
    assert path.read_text().splitlines() == ["123456789", "123456789", "state"]
    assert lines.recovery.lost == 3
    clock.pass_s(24 * 3600)
    lines.write("123456789")
    lines.close()
    assert path.read_text() == "123456789\n"
    assert storage.written_today == 10


class FullDisk:
    """Makes the writes of a LineFile fail as on a full disk, until there is room."""

    def __init__(self, monkeypatch):
        self.is_full = False
        self.error = errno.ENOSPC
        self.tries = 0
        put = LineFile._put

        def put_or_fail(file, data):
            self.tries += 1
            if self.is_full:
                raise file._failed(OSError(self.error, os.strerror(self.error))) from OSError(self.error, "")
            put(file, data)

        monkeypatch.setattr(LineFile, "_put", put_or_fail)


@pytest.fixture
def full_disk(monkeypatch):
    return FullDisk(monkeypatch)


def test_a_full_disk_is_a_state_that_ends(make_storage, tmp_path, clock, full_disk):
    """Nobody has to restart the service, and what fitted into memory is not lost."""
    told, path = Told(), tmp_path / "a.jsonl"
    lines = opened(path, make_storage(), told=told)
    lines.write("one")
    full_disk.is_full = True
    for line in ("two", "three"):
        lines.write(line)
        clock.pass_s(10)
    assert told == [("ok", "failed")]
    assert lines.recovery.is_failing
    full_disk.is_full = False
    lines.write("four")
    lines.close()
    assert told == [("ok", "failed"), ("failed", "ok")]
    assert path.read_text() == "one\ntwo\nthree\nfour\n"
    assert lines.recovery.lost == 0


def test_a_full_disk_is_not_tried_with_each_line_and_what_waits_is_bounded(make_storage, tmp_path, clock, full_disk):
    """Hours of it are a few hundred kilobytes of memory and a number."""
    told, path = Told(), tmp_path / "a.jsonl"
    lines = opened(path, make_storage(), told=told)
    full_disk.is_full = True
    for _ in range(1000):
        lines.write("x" * 999)
        clock.pass_s(0.1)
    lines.write("state", is_urgent=True)
    assert full_disk.tries < 10
    full_disk.is_full = False
    clock.pass_s(60)
    lines.write("last")
    lines.close()
    written = path.read_text().splitlines()
    assert 200 < len(written) < 300
    assert written[-2:] == ["state", "last"]
    assert lines.recovery.lost == 1000 + 2 - len(written)


def test_a_rotation_that_ends_without_a_new_file_loses_no_line(make_storage, tmp_path, clock, monkeypatch):
    """The disk took the new name and not the new file."""
    told, path = Told(), tmp_path / "a.jsonl"
    lines = opened(path, make_storage(BUDGET), told=told)
    lines.write("one")
    clock.pass_s(24 * 3600)
    with monkeypatch.context() as full:
        full.setattr(LineFile, "_take", lambda self, path: (_ for _ in ()).throw(OutputError("full")))
        lines.write("two")
    clock.pass_s(10)
    lines.write("three")
    lines.close()
    assert told == [("ok", "failed"), ("failed", "ok")]
    assert all_lines(tmp_path) == ["one", "two", "three"]


def test_a_run_that_ends_while_the_disk_is_full_tries_once_more_and_counts(make_storage, tmp_path, full_disk):
    """The end must not hang, and must not claim what is not there."""
    lines = opened(tmp_path / "a.jsonl", make_storage(), told=Told())
    full_disk.is_full = True
    for _ in range(3):
        lines.write("x")
    lines.close()
    lines.close()
    assert lines.recovery.lost == 3
    assert lines.recovery.is_failing


def test_where_nobody_watches_a_full_disk_is_an_error(make_storage, tmp_path, full_disk):
    """A job over a file ends at once."""
    lines = opened(tmp_path / "a.jsonl", make_storage())
    full_disk.is_full = True
    with pytest.raises(OutputError, match="No space left"):
        lines.write("x")
    lines.close()


@pytest.mark.parametrize(("error", "is_deleted"), [(errno.ENOSPC, True), (errno.EROFS, False), (errno.EIO, False)])
def test_old_files_make_room_on_a_full_disk_and_on_no_other_failure(
    make_storage, tmp_path, monkeypatch, full_disk, error, is_deleted
):
    """A broken card is no reason to delete anything."""
    old = tmp_path / "a.2026-11-01T060000Z.jsonl.gz"
    old.write_bytes(b"x")
    told, storage = Told(), make_storage(BUDGET)
    lines = opened(tmp_path / "a.jsonl", storage, told=told)
    free_some = storage.free_some

    def free():
        full_disk.is_full = False
        return free_some()

    monkeypatch.setattr(storage, "free_some", free)
    full_disk.is_full, full_disk.error = True, error
    lines.write("one")
    lines.close()
    assert old.exists() is not is_deleted
    assert told == ([] if is_deleted else [("ok", "failed")] + [("failed", "ok")] * (not full_disk.is_full))


def test_a_file_moved_away_from_outside_is_begun_anew(make_storage, tmp_path, clock):
    """logrotate renames; the lines before are in its file, those after in ours."""
    path = tmp_path / "a.jsonl"
    lines = opened(path, make_storage())
    lines.write("one")
    path.rename(tmp_path / "a.jsonl.1")
    clock.pass_s(1)
    lines.write("two")
    lines.close()
    assert (tmp_path / "a.jsonl.1").read_text() == "one\n"
    assert path.read_text() == "two\n"


def test_stdout_has_no_budget(make_storage, capfdbinary):
    """Whoever reads it keeps it."""
    lines = opened(None, make_storage(Limits(max_bytes_per_day=1)), told=Told())
    lines.write("one")
    lines.write("two")
    lines.close()
    assert capfdbinary.readouterr().out == b"one\ntwo\n"


def test_a_device_is_neither_rotated_nor_counted_among_our_files(make_storage):
    """/dev/null is where a benchmark writes to."""
    storage = make_storage(BUDGET)
    lines = opened(Path(os.devnull), storage, append=True)
    lines.write("one")
    lines.close()
    assert storage.shelves.owned == []


def test_a_file_that_cannot_be_renamed_goes_on_growing(make_storage, tmp_path, clock, monkeypatch, caplog):
    """A folder that lost its rights is said, and costs no line."""
    path = tmp_path / "a.jsonl"
    lines = opened(path, make_storage(BUDGET))
    lines.write("one")
    clock.pass_s(24 * 3600)

    def refuse(self, target):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    for line in ("two", "three"):
        lines.write(line)
    lines.close()
    assert path.read_text() == "one\ntwo\nthree\n"
    assert caplog.text.count("could not be rotated") == 1
    caplog.clear()
