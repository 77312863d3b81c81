"""Reading logs: what is damaged is named by its line, whole lines round it still count."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.errors import ConfigError
from edge_runtime.logbook import reading
from edge_runtime.logbook.reading import problem_of, read_lines

STATE = {"schema": 1, "type": "state", "time": "2026-11-21T06:00:00.000Z", "part": "camera", "from": "ok",
         "to": "lost", "reason": "no frame"}  # fmt: skip


def written(folder: Path, data: bytes, name: str = "log.jsonl") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def line(record: object = STATE) -> bytes:
    return json.dumps(record).encode() + b"\n"


def test_whole_lines_are_records(tmp_path):
    lines = list(read_lines(written(tmp_path, line() * 3)))
    assert [one.number for one in lines] == [1, 2, 3]
    assert all(one.record == STATE and one.problem is None for one in lines)


def test_a_compressed_log_is_read_like_a_plain_one(tmp_path):
    """Old logs are compressed by whoever rotates them."""
    path = written(tmp_path, gzip.compress(line() * 2), "log.jsonl.1.gz")
    assert [one.record for one in read_lines(path)] == [STATE, STATE]


def test_a_line_that_a_power_cut_tore_is_told_from_a_wrong_one(tmp_path):
    lines = list(read_lines(written(tmp_path, line() + b"nonsense\n" + line()[:40])))
    assert [(one.problem, one.is_torn) for one in lines] == [
        (None, False), ("no JSON", False), ("cut in the middle", True),
    ]  # fmt: skip


def test_a_compressed_log_that_is_cut_gives_what_it_still_has(tmp_path):
    whole = gzip.compress(b"".join(line(STATE | {"reason": str(n)}) for n in range(2000)))
    lines = list(read_lines(written(tmp_path, whole[: len(whole) // 2], "cut.gz")))
    assert lines[0].record is not None
    assert lines[-1].is_torn
    assert "cut" in (lines[-1].problem or "")


def test_a_file_without_line_breaks_is_not_read_whole(tmp_path, monkeypatch):
    """Somebody gives a video by mistake; the board has 512 MiB."""
    monkeypatch.setattr(reading, "LONGEST_LINE", 1000)
    lines = list(read_lines(written(tmp_path, b"x" * 5000)))
    assert len(lines) == 1
    assert "no log" in (lines[0].problem or "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 2}, "schema 2"),
        ({"type": "other"}, "type 'other'"),
        ({"time": "yesterday"}, "time 'yesterday'"),
        ({"time": 5}, "time 5"),
        ({"part": None}, "state without part"),
    ],
)
def test_a_record_that_is_none_of_ours_says_what_is_wrong(change, said):
    assert said in (problem_of(STATE | change) or "")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)
                    | st.dictionaries(st.sampled_from([*STATE, "latency_ms", "detections"]), inner)))  # fmt: skip
def test_no_record_makes_the_check_fail(record):
    problem_of(record)


@given(st.binary(max_size=300))
def test_no_file_makes_the_reader_fail(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("log") / "log"
    path.write_bytes(data)
    for one in read_lines(path):
        assert (one.record is None) == (one.problem is not None)


@pytest.mark.parametrize(("name", "said"), [("nosuch", "does not exist"), (".", "is a folder")])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path, name, said):
    with pytest.raises(ConfigError, match=said):
        list(read_lines(tmp_path / name))
