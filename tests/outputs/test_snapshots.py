"""Annotated pictures in a folder."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.errors import OutputError
from edge_runtime.outputs import OUTPUTS, snapshots
from edge_runtime.outputs.snapshots import SnapshotOutput, encode
from edge_runtime.storage.limits import Limits
from edge_runtime.storage.store import Storage


def write(output, result):
    output.write(result, result.frame.image)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_table_of_outputs_names_this_one(tmp_path):
    """The table is what the command line goes by."""
    assert OUTPUTS["snapshots"].endswith(f":{SnapshotOutput.__name__}")
    assert SnapshotOutput(tmp_path).needs_drawing


def test_a_frame_with_a_detection_becomes_a_picture_named_by_time_and_number(tmp_path, make_result):
    """A folder sorted by name is sorted by time."""
    folder = tmp_path / "new" / "shots"
    output = SnapshotOutput(folder)
    output.open()
    write(output, make_result(42, level=77))
    output.close()
    assert names(folder) == ["20260131T120000.250Z-00000042.jpg"]
    picture = cv2.imread(str(folder / names(folder)[0]))
    assert picture.shape == (48, 64, 3)
    assert picture.mean() == pytest.approx(77, abs=2)


def test_a_frame_without_a_detection_is_no_picture(tmp_path, make_result):
    """A folder of empty streets hides the one that matters."""
    output = SnapshotOutput(tmp_path)
    output.open()
    write(output, make_result(count=0))
    assert names(tmp_path) == []


def test_frames_without_detections_can_be_asked_for(tmp_path, make_result):
    """A time lapse wants all of them."""
    output = SnapshotOutput(tmp_path, only_with_detections=False)
    output.open()
    write(output, make_result(count=0))
    assert len(names(tmp_path)) == 1


def test_a_camera_gives_at_most_one_picture_in_an_interval(tmp_path, make_result):
    """Thirty pictures a second of one person would fill a card in a day."""
    output = SnapshotOutput(tmp_path, interval_s=1.0)
    output.open()
    for number in range(31):
        write(output, make_result(number, at_ms=number * 100.0))
    assert [name[-12:-4] for name in names(tmp_path)] == ["00000000", "00000010", "00000020", "00000030"]


def test_an_empty_frame_does_not_use_up_the_interval(tmp_path, make_result):
    """The person who comes half a second later must be caught."""
    output = SnapshotOutput(tmp_path)
    output.open()
    write(output, make_result(0, count=0))
    write(output, make_result(1, at_ms=500.0))
    assert len(names(tmp_path)) == 1


def test_every_picture_of_a_folder_counts_by_itself(tmp_path, make_result):
    """They are read a hundred a second, and each is its own scene."""
    output = SnapshotOutput(tmp_path)
    output.open()
    for number in range(5):
        write(output, make_result(number, at_ms=number * 10.0, source=f"photos/{number}.jpg"))
    assert len(names(tmp_path)) == 5


def test_a_name_that_is_taken_gets_a_number(tmp_path, make_result):
    """A clock set back, or a camera opened anew, can bring a name twice; nothing is replaced."""
    first = SnapshotOutput(tmp_path)
    first.open()
    write(first, make_result(1, level=10))
    for level in (20, 30):
        again = SnapshotOutput(tmp_path)
        again.open()
        write(again, make_result(1, level=level))
    found = names(tmp_path)
    assert len(found) == 3
    assert sorted(round(cv2.imread(str(tmp_path / name)).mean(), -1) for name in found) == [10, 20, 30]


def test_a_file_in_the_place_of_the_folder_is_said(tmp_path):
    """``--snapshots shot.jpg`` is an easy slip."""
    (tmp_path / "shot.jpg").touch()
    with pytest.raises(OutputError, match="is a file; give the name of a folder"):
        SnapshotOutput(tmp_path / "shot.jpg").open()


def test_a_folder_nobody_may_write_to_is_said_at_the_start():
    """Not after an hour, when the first person comes. procfs refuses even root."""
    with pytest.raises(OutputError, match="cannot be written"):
        SnapshotOutput(Path("/proc/self/fdinfo")).open()


def test_a_full_disk_is_said_of_the_folder_at_the_start(tmp_path, monkeypatch):
    """No picture has a name yet that could be told."""
    told = []
    monkeypatch.setattr(snapshots, "check_room", lambda *paths: told.append(paths))
    SnapshotOutput(tmp_path).open()
    assert told == [(tmp_path, tmp_path)]


def test_a_picture_too_large_for_jpeg_is_said():
    """The format ends at 65,500 pixels."""
    with pytest.raises(OutputError, match="70000x1 cannot be written as JPEG"):
        encode(Path("a.jpg"), np.zeros((1, 70_000, 3), np.uint8))


def test_states_are_not_for_pictures(tmp_path, change):
    """It only shows frames."""
    SnapshotOutput(tmp_path).write_state(change)
    assert names(tmp_path) == []


def test_a_folder_that_is_deleted_is_made_again(tmp_path, make_result):
    """Somebody cleaned up while the service ran."""
    output = SnapshotOutput(tmp_path / "shots")
    output.open()
    (tmp_path / "shots").rmdir()
    write(output, make_result(1))
    assert len(names(tmp_path / "shots")) == 1


class Told(list):
    """The changes of state as texts."""

    def __call__(self, change):
        self.append(f"{change.part} {change.before} {change.after}")


def refusing(monkeypatch):
    """Return a switch for a disk that is full."""
    is_full = threading.Event()

    def check(path, folder=None):
        if is_full.is_set():
            raise OutputError(f"{path}: its disk is full")

    monkeypatch.setattr(snapshots, "check_room", check)
    return is_full


def test_a_full_disk_is_a_state_that_ends(tmp_path, make_result, monkeypatch):
    """The pictures of the next day must not depend on somebody who restarts the service."""
    now, told, is_full = [10**12], Told(), refusing(monkeypatch)
    output = SnapshotOutput(tmp_path, storage=Storage(clock=lambda: now[0]))
    output.open()
    output.watch(told, keeps_trying=True)
    is_full.set()
    for number in range(5):
        write(output, make_result(number, at_ms=number * 1000))
        now[0] += 100_000_000
    assert output.is_failing
    assert output.lost == 5
    is_full.clear()
    now[0] += 60 * 10**9
    write(output, make_result(9, at_ms=9000))
    assert len(names(tmp_path)) == 1
    assert told == ["output:snapshots ok failed", "output:snapshots failed ok"]


def test_of_a_job_over_a_file_a_full_disk_is_the_end(tmp_path, make_result, monkeypatch):
    """Nobody waits for hours to find an empty folder."""
    is_full = refusing(monkeypatch)
    output = SnapshotOutput(tmp_path)
    output.open()
    output.watch(Told(), keeps_trying=False)
    is_full.set()
    with pytest.raises(OutputError, match="disk is full"):
        write(output, make_result(0))


def test_old_files_make_room_for_a_picture_where_a_budget_allows_it(tmp_path, make_result, monkeypatch):
    """The newest picture is the one that is looked for."""
    (tmp_path / "20250101T060000.250Z-00000042.jpg").write_bytes(b"old")
    is_full = refusing(monkeypatch)
    storage = Storage(Limits(max_bytes=10**9))
    output = SnapshotOutput(tmp_path, storage=storage)
    output.open()
    is_full.set()
    free_some = storage.free_some
    monkeypatch.setattr(storage, "free_some", lambda: (is_full.clear(), free_some())[1])
    write(output, make_result(1))
    assert names(tmp_path) == ["20260131T120000.250Z-00000001.jpg"]


def test_pictures_count_and_pause_when_the_day_is_used_up(tmp_path, make_result):
    """They are what fills a card."""
    storage, told = Storage(Limits(max_bytes_per_day=1500)), Told()
    output = SnapshotOutput(tmp_path, storage=storage)
    output.open()
    output.watch(told, keeps_trying=True)
    for number in range(5):
        write(output, make_result(number, at_ms=number * 1000))
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert 0 < len(sizes) < 5
    assert storage.written_today == sum(sizes) <= 1500
    assert output.lost == 5 - len(sizes)
    assert told == ["storage ok paused"]
