"""Telemetry in a file."""

from __future__ import annotations

import csv
import json
import os

import pytest

from edge_runtime.errors import OutputError
from edge_runtime.filelock import lock
from edge_runtime.linefile import LineFile
from edge_runtime.storage.limits import Limits
from edge_runtime.storage.store import Storage
from edge_runtime.telemetry.exporters import COLUMNS, TelemetryFile


@pytest.fixture
def record(make_telemetry, run_frames):
    telemetry = make_telemetry()
    run_frames(telemetry, 25)
    return telemetry.snapshot()


@pytest.fixture
def bare_record(make_telemetry):
    return make_telemetry(is_bare=True).final()


def write(path, records, **how):
    file = TelemetryFile(path, **how)
    file.open()
    for one in records:
        file.write(one)
    file.close()
    file.close()


def test_any_ending_but_csv_is_json_lines(tmp_path, record, bare_record):
    """The same records as the detections' own file has."""
    write(tmp_path / "a.jsonl", [record, bare_record])
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == [record, bare_record]


def test_csv_has_a_header_and_a_row_for_each_record(tmp_path, record, bare_record):
    """For a spreadsheet; what was not measured is an empty cell, not a zero."""
    write(tmp_path / "a.CSV", [record, bare_record])
    with (tmp_path / "a.CSV").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    first, second = rows
    assert first["time"] == "2026-01-31T12:00:00.250Z"
    assert first["scope"] == "period"
    assert second["scope"] == "run"
    assert first["capture_fps"] == "24.0"
    assert first["processed"] == "25"
    assert first["latency_p95_ms"] == "20.0"
    assert first["invoke_p50_ms"] == "13.0"
    assert first["throttled_now"] == "1"
    assert first["under_voltage_now"] == "0"
    assert first["board"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert second["capture_fps"] == second["latency_p95_ms"] == second["invoke_p50_ms"] == second["throttled_now"] == ""


def test_every_number_of_a_record_has_its_column(record):
    """A measurement added to the record must not be forgotten here."""

    def paths(value, path=()):
        if isinstance(value, dict):
            return {leaf for key, one in value.items() for leaf in paths(one, (*path, key))}
        return {path}

    assert paths(record) - set(COLUMNS.values()) == {("schema",), ("type",)}
    assert len(set(COLUMNS.values())) == len(COLUMNS)


def test_the_header_does_not_depend_on_what_was_measured_first(tmp_path, record, bare_record):
    """A file that begins before the first frame must take the stages later."""
    write(tmp_path / "a.csv", [bare_record])
    write(tmp_path / "b.csv", [record])
    assert (tmp_path / "a.csv").read_text().splitlines()[0] == (tmp_path / "b.csv").read_text().splitlines()[0]


def test_append_continues_the_rows_without_a_second_header(tmp_path, record):
    """A service that restarts keeps one file."""
    write(tmp_path / "a.csv", [record], append=True)
    write(tmp_path / "a.csv", [record], append=True)
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert len(lines) == 3
    assert lines[1] == lines[2]
    assert lines[0].startswith("time,scope,window_s,")


def test_append_to_other_columns_is_refused_and_harms_nothing(tmp_path, record):
    """Rows under a header of another version would be read wrong without a word."""
    path = tmp_path / "a.csv"
    path.write_text("time,fps\n1,2\n")
    with pytest.raises(OutputError, match=r"has other columns \(it begins with 'time,fps'\); add --overwrite"):
        TelemetryFile(path, append=True).open()
    assert path.read_text() == "time,fps\n1,2\n"


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_file_with_something_in_it_is_not_touched_without_a_word(tmp_path, name):
    """The same rule as for detections."""
    (tmp_path / name).write_text("kept\n")
    with pytest.raises(OutputError, match=r"exists \(5 bytes\); add --append to continue it or --overwrite"):
        TelemetryFile(tmp_path / name).open()
    assert (tmp_path / name).read_text() == "kept\n"


def test_overwrite_begins_anew_with_a_header(tmp_path, record):
    """Also over a file with other columns."""
    (tmp_path / "a.csv").write_text("time,fps\n1,2\n")
    write(tmp_path / "a.csv", [record], overwrite=True)
    assert (tmp_path / "a.csv").read_text().startswith("time,scope,")
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 2


def test_a_folder_in_the_place_of_the_file_is_said(tmp_path):
    """Also where the header would have been looked at."""
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(OutputError, match=r"a\.csv: cannot be read"):
        TelemetryFile(tmp_path / "a.csv", append=True).open()


def test_a_file_of_an_earlier_version_gets_another_name(tmp_path, record, caplog):
    """A service that was updated must start, and its old rows must not stand under a new header."""
    path = tmp_path / "a.csv"
    old = ",".join(list(COLUMNS)[:-1]) + "\n2026,period\n"
    path.write_text(old)
    os.utime(path, (1_769_860_800, 1_769_860_800))
    write(path, [record], append=True)
    assert (tmp_path / "a.2026-01-31T120000Z.csv").read_text() == old
    assert rows_of(path)[0]["board"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert "has fewer columns" in caplog.text
    caplog.clear()


def test_a_file_of_an_earlier_version_that_another_run_writes_is_refused(tmp_path):
    """It would go on writing into a file of another name."""
    path = tmp_path / "a.csv"
    path.write_text(",".join(list(COLUMNS)[:-1]) + "\n")
    with path.open("ab") as other:
        lock(other, is_shared=True)
        with pytest.raises(OutputError, match="another run is writing it"):
            TelemetryFile(path, append=True).open()


def test_a_header_cut_by_a_power_cut_is_written_again(tmp_path, record, caplog):
    """The first second of a service can be its last."""
    path = tmp_path / "a.csv"
    path.write_text("time,scope,win")
    write(path, [record], append=True)
    assert len(path.read_text().splitlines()) == 2
    assert path.read_text().startswith("time,scope,window_s,")
    caplog.clear()


def test_rows_rotate_and_each_file_has_its_header(tmp_path, record):
    """A year of measurements in files that open."""
    now = [1_769_860_800.0]
    storage = Storage(Limits(keep_days=30), wall_clock=lambda: now[0])
    file = TelemetryFile(tmp_path / "a.csv", storage=storage)
    file.open()
    for _ in range(2):
        file.write({**record, "written_bytes_today": storage.written_today})
        now[0] += 24 * 3600
    file.close()
    rows = [rows_of(path) for path in sorted(tmp_path.iterdir())]
    assert [len(one) for one in rows] == [1, 1]
    assert rows[0][0]["written_bytes_today"] == "0"


def test_measurements_go_on_when_the_day_is_used_up(tmp_path, record):
    """They say how much was written, and they are few."""
    file = TelemetryFile(tmp_path / "a.jsonl", storage=Storage(Limits(max_bytes_per_day=1)))
    file.open()
    for _ in range(3):
        file.write(record)
    file.close()
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 3


def test_a_full_disk_is_left_when_there_is_room_again(tmp_path, record, monkeypatch):
    """The measurements of the time after are worth as much as those before."""
    now, told = [10**12], []
    file = TelemetryFile(tmp_path / "a.jsonl", storage=Storage(clock=lambda: now[0]))
    file.open()
    file.watch(lambda change: told.append(change.after))
    with monkeypatch.context() as full:
        full.setattr(LineFile, "_put", lambda self, data: self._let_go() or raise_full())
        file.write(record)
    now[0] += 10**10
    file.write(record)
    file.close()
    assert told == ["failed", "ok"]
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 2


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def raise_full():
    raise OutputError("full")
