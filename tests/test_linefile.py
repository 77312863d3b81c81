"""A file of whole lines that loses nothing it held."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from edge_runtime.errors import ConfigError, OutputError
from edge_runtime.linefile import FOLLOW_NS, MOST_WAITING_BYTES, LineFile, json_line
from edge_runtime.tornline import LONGEST_TORN

ROOT = Path(__file__).resolve().parents[1]


def test_a_new_file_begins_empty_and_holds_each_line_at_once(tmp_path):
    """A reader that follows the file sees a line when it was written, not when a buffer was full."""
    file = LineFile(tmp_path / "a")
    assert file.open()
    file.write("one")
    assert (tmp_path / "a").read_bytes() == b"one\n"
    file.close()


def test_an_empty_file_is_no_loss(tmp_path):
    """mktemp makes one."""
    (tmp_path / "a").touch()
    file = LineFile(tmp_path / "a")
    assert file.open()
    file.close()


def test_append_continues_and_says_so(tmp_path):
    """CSV needs to know whether to write its header."""
    (tmp_path / "a").write_bytes(b"one\n")
    file = LineFile(tmp_path / "a", append=True)
    assert not file.open()
    file.write("two")
    file.close()
    assert (tmp_path / "a").read_bytes() == b"one\ntwo\n"


def test_append_after_a_torn_line_moves_it_aside(tmp_path, caplog):
    """A power cut leaves half a line; every line of the file stays readable, and nothing is lost."""
    (tmp_path / "a").write_bytes(b'{"whole":1}\n{"half')
    file = LineFile(tmp_path / "a", append=True)
    assert not file.open()
    file.write("two")
    file.close()
    assert (tmp_path / "a").read_bytes() == b'{"whole":1}\ntwo\n'
    assert (tmp_path / "a.torn").read_bytes() == b'{"half\n'
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    caplog.clear()


def test_a_file_of_nothing_but_a_torn_line_begins_anew(tmp_path, caplog):
    """The header of a CSV file was being written when the power went."""
    (tmp_path / "a").write_bytes(b"time,f")
    file = LineFile(tmp_path / "a", append=True, header="time,fps")
    assert file.open()
    file.close()
    assert (tmp_path / "a").read_bytes() == b"time,fps\n"
    caplog.clear()


def test_a_record_that_lacks_only_its_line_break_gets_it(tmp_path):
    """It is whole."""
    (tmp_path / "a").write_bytes(b'{"whole":1}')
    file = LineFile(tmp_path / "a", append=True)
    file.open()
    file.write("two")
    file.close()
    assert (tmp_path / "a").read_bytes() == b'{"whole":1}\ntwo\n'
    assert not (tmp_path / "a.torn").exists()


def test_zeros_that_a_file_system_left_are_cut_off(tmp_path, caplog):
    """After a power cut the size of a file may be there before its content."""
    (tmp_path / "a").write_bytes(b"one\n" + b"\0" * 5000)
    file = LineFile(tmp_path / "a", append=True)
    file.open()
    file.close()
    assert (tmp_path / "a").read_bytes() == b"one\n"
    assert not (tmp_path / "a.torn").exists()
    caplog.clear()


def test_a_second_power_cut_keeps_what_the_first_one_tore(tmp_path, caplog):
    """The parts are collected."""
    for part in (b'{"a', b'{"b'):
        (tmp_path / "a").write_bytes(part)
        file = LineFile(tmp_path / "a", append=True)
        file.open()
        file.close()
    assert (tmp_path / "a.torn").read_bytes() == b'{"a\n{"b\n'
    caplog.clear()


def test_what_is_no_file_of_lines_is_not_taken_apart(tmp_path):
    """A wrong name behind --append must not move megabytes of a picture into another file."""
    content = b"\xff" * (LONGEST_TORN + 5)
    (tmp_path / "a").write_bytes(content)
    file = LineFile(tmp_path / "a", append=True)
    file.open()
    file.close()
    assert (tmp_path / "a").read_bytes() == content + b"\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_while_another_run_writes_a_torn_line_is_only_ended(tmp_path):
    """It may be that run's line, not yet complete."""
    first = LineFile(tmp_path / "a", append=True)
    first.open()
    with (tmp_path / "a").open("ab") as file:
        file.write(b'{"half')
    second = LineFile(tmp_path / "a", append=True)
    second.open()
    second.write("two")
    first.close()
    second.close()
    assert (tmp_path / "a").read_bytes() == b'{"half\ntwo\n'


def test_runs_that_mend_a_file_let_others_in_again(tmp_path, caplog):
    """Mending needs the file alone, for a moment only."""
    (tmp_path / "a").write_bytes(b'{"half')
    first, second = (LineFile(tmp_path / "a", append=True) for _ in range(2))
    first.open()
    second.open()
    first.close()
    second.close()
    caplog.clear()


def test_of_a_job_that_writes_fast_not_every_line_looks_at_the_name(tmp_path, monkeypatch):
    """Looking costs more than writing."""
    looks = []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda *name, **how: looks.append(1) or stat(*name, **how))
    file = LineFile(tmp_path / "a", clock=count(step=FOLLOW_NS // 100).__next__)
    file.open()
    before = len(looks)
    for number in range(1000):
        file.write(str(number))
    assert 5 <= len(looks) - before <= 40
    file.close()


@pytest.mark.parametrize("settings", [{}, {"append": True}])
def test_a_file_that_is_renamed_or_deleted_is_begun_anew(tmp_path, settings, caplog):
    """logrotate, or a user who makes room; a file without a name takes lines that nobody ever sees."""
    path = tmp_path / "logs" / "a"
    path.parent.mkdir()
    file = LineFile(path, clock=count(step=FOLLOW_NS).__next__, **settings)
    file.open()
    file.write("one")
    path.rename(tmp_path / "moved")
    file.write("two")
    path.unlink()
    file.write("three")
    assert path.read_bytes() == b"three\n"
    shutil.rmtree(path.parent)
    file.write("four")
    file.close()
    assert path.read_bytes() == b"four\n"
    assert (tmp_path / "moved").read_bytes() == b"one\n"
    assert caplog.text.count("renamed or deleted by somebody else") == 3
    caplog.clear()


def test_a_file_that_was_put_in_its_place_is_continued(tmp_path, caplog):
    """logrotate's "create"; and somebody may have restored an older one."""
    path = tmp_path / "a"
    file = LineFile(path, header="head", clock=count(step=FOLLOW_NS).__next__)
    file.open()
    file.write("one")
    path.rename(tmp_path / "a.1")
    path.write_bytes(b"head\nrestored\n")
    file.write("two")
    file.close()
    assert path.read_bytes() == b"head\nrestored\ntwo\n"
    caplog.clear()


def test_a_file_cut_to_nothing_from_outside_goes_on(tmp_path):
    """logrotate's "copytruncate": no gap of zeros may stand at the beginning."""
    path = tmp_path / "a"
    file = LineFile(path)
    file.open()
    file.write("one")
    os.truncate(path, 0)
    file.write("two")
    file.close()
    assert path.read_bytes() == b"two\n"


def test_lines_wait_no_longer_than_said_and_no_more_than_fits(tmp_path):
    """Few writes spare a card; memory stays bounded."""
    now = [0]
    file = LineFile(tmp_path / "a", flush_s=2, clock=lambda: now[0])
    file.open()
    file.write("one")
    now[0] += 1_999_999_999
    file.write("two")
    assert (tmp_path / "a").read_bytes() == b""
    now[0] += 1
    file.write("three")
    assert (tmp_path / "a").read_bytes() == b"one\ntwo\nthree\n"
    file.write("x" * MOST_WAITING_BYTES)
    assert (tmp_path / "a").stat().st_size > MOST_WAITING_BYTES
    file.write("last")
    file.close()
    assert (tmp_path / "a").read_bytes().endswith(b"last\n")


@pytest.mark.parametrize(("sync_s", "waits"), [(None, 0), (0, 11), (3, 4)])
def test_the_disk_is_waited_for_as_often_as_said(tmp_path, monkeypatch, sync_s, waits):
    """Never, with each line, or every so many seconds; and at the end."""
    now, done = [0], []
    monkeypatch.setattr(os, "fdatasync", done.append)
    file = LineFile(tmp_path / "a", sync_s=sync_s, clock=lambda: now[0])
    file.open()
    for _ in range(10):
        now[0] += 1_000_000_000
        file.write("one")
    before = len(done)
    file.close()
    assert len(done) - before == (sync_s is not None) + (sync_s == 0)
    assert before == max(0, waits - 1)


def test_rotating_needs_the_file_alone(tmp_path):
    """Another run would write on into what is a closed file."""
    first, second = (LineFile(tmp_path / "a", append=True) for _ in range(2))
    first.open()
    second.open()
    assert not first.rotate(tmp_path / "b")
    second.write("two")
    second.close()
    assert first.rotate(tmp_path / "b")
    first.write("one")
    first.close()
    assert (tmp_path / "b").read_bytes() == b"two\n"
    assert (tmp_path / "a").read_bytes() == b"one\n"


SHARED_PROGRAM = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from edge_runtime.linefile import LineFile

file = LineFile(Path({path!r}), append=True)
file.open()
for number in range(8000):
    file.write(f"{{sys.argv[1]}} {{number}} " + "x" * 50)
    if number % 20 == 0:
        file.rotate(Path({path!r} + f".{{sys.argv[1]}}.{{number}}"))
file.close()
"""


def test_runs_that_share_a_file_and_rotate_it_lose_no_line(tmp_path):
    """Two cameras, one log, and each tries to rotate it a hundred times."""
    program = SHARED_PROGRAM.format(root=str(ROOT), path=str(tmp_path / "a"))
    runs = [subprocess.Popen([sys.executable, "-c", program, name]) for name in "AB"]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    lines = [line for path in tmp_path.iterdir() for line in path.read_text().splitlines()]
    assert sorted(lines) == sorted(f"{name} {number} " + "x" * 50 for name in "AB" for number in range(8000))


def test_overwrite_replaces(tmp_path):
    """It was asked for by name."""
    (tmp_path / "a").write_bytes(b"one\n")
    file = LineFile(tmp_path / "a", overwrite=True)
    assert file.open()
    file.write("two")
    file.close()
    assert (tmp_path / "a").read_bytes() == b"two\n"


def test_append_and_overwrite_together_are_refused(tmp_path):
    """One of them is a mistake, and one of them destroys."""
    with pytest.raises(ConfigError, match="append and overwrite"):
        LineFile(tmp_path / "a", append=True, overwrite=True)


def test_a_missing_folder_is_named(tmp_path):
    """The name of the folder is what has to be corrected."""
    with pytest.raises(OutputError) as caught:
        LineFile(tmp_path / "no" / "a.jsonl").open()
    assert str(caught.value) == (
        f"{tmp_path / 'no' / 'a.jsonl'}: the folder {tmp_path / 'no'} does not exist; create it first"
    )


def test_a_folder_in_the_place_of_the_file_is_said(tmp_path):
    """``--log logs/`` is an easy slip."""
    with pytest.raises(OutputError, match="is a folder; give the name of a file"):
        LineFile(tmp_path).open()


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path):
    """The system's own words are the reason then."""
    (tmp_path / "a").touch()
    with pytest.raises(OutputError, match="cannot be opened"):
        LineFile(tmp_path / "a" / "b").open()


def test_writing_before_opening_is_an_error(tmp_path):
    """A defect of ours must not vanish."""
    with pytest.raises(OutputError, match="is not open"):
        LineFile(tmp_path / "a").write("x")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to stand for a full disk")
def test_a_full_disk_is_an_output_error(tmp_path):
    """It must reach the pipeline as the failure of this output alone."""
    file = LineFile(Path("/dev/full"))
    file.open()
    with pytest.raises(OutputError, match="No space left") as caught:
        file.write("x")
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    file.close()


LIMIT_PROGRAM = """
import resource, signal, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from edge_runtime.errors import OutputError
from edge_runtime.linefile import LineFile

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
file = LineFile(Path({path!r}))
file.open()
try:
    for _ in range(10):
        file.write("x" * 29)
except OutputError as exc:
    print(exc)
"""


def test_a_line_that_fits_only_in_part_is_taken_back(tmp_path):
    """Every line in the file stays readable, also the last one before the disk was full."""
    path = tmp_path / "a"
    program = LIMIT_PROGRAM.format(root=str(ROOT), path=str(path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{path}: cannot be written (File too large)\n"
    assert path.read_bytes() == (b"x" * 29 + b"\n") * 3


def test_each_line_is_one_write_call():
    """A second writer of the same file must not come in between."""

    class Counting(io.BytesIO):
        calls = 0

        def write(self, data):
            self.calls += 1
            return super().write(data)

    stream = Counting()
    file = LineFile(None, stream=stream)
    file.open()
    file.write("x" * 100_000)
    file.write("y")
    assert stream.calls == 2


def test_a_closed_stdout_is_said(monkeypatch):
    """``>&-`` leaves Python without one."""
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OutputError, match="stdout: is closed"):
        LineFile(None).open()


def test_a_file_name_that_is_no_utf8_still_makes_valid_json(tmp_path):
    """Linux file names are bytes; one odd picture name must not end the log."""
    file = LineFile(tmp_path / "a")
    file.open()
    file.write(json_line({"source": "pic\udcff.jpg", "label": "café"}))
    file.close()
    text = (tmp_path / "a").read_bytes().decode("utf-8")
    assert json.loads(text) == {"source": "pic\ufffd.jpg", "label": "café"}
    assert "\\ud" not in text, "a strict parser refuses the escape of half a character"
    assert "café" in text


def test_numbers_json_cannot_say_are_refused():
    """Python's own NaN in a file stops every other reader."""
    with pytest.raises(ValueError, match="JSON compliant"):
        json_line({"a": math.nan})


def test_a_line_break_inside_a_text_stays_inside_its_line():
    """A reason of a state may hold one."""
    assert json_line({"reason": "a\nb"}) == '{"reason":"a\\nb"}'


def refused(file):
    with pytest.raises(OutputError, match="another run is writing it; give another name"):
        file.open()


def test_overwrite_does_not_empty_a_file_that_another_run_writes(tmp_path):
    """Both runs would end with lines missing and no error."""
    first, second = (LineFile(tmp_path / "a", overwrite=True) for _ in range(2))
    first.open()
    first.write("one")
    refused(second)
    first.write("two")
    first.close()
    assert (tmp_path / "a").read_bytes() == b"one\ntwo\n"
    second.open()
    second.close()
    assert (tmp_path / "a").read_bytes() == b""


def test_a_file_that_is_begun_belongs_to_one_run(tmp_path):
    """Nothing stands in it yet, so its size does not tell."""
    first = LineFile(tmp_path / "a")
    first.open()
    for settings in ({}, {"append": True}, {"overwrite": True}):
        refused(LineFile(tmp_path / "a", **settings))
    first.close()


def test_several_runs_may_continue_one_file_but_none_may_replace_it_meanwhile(tmp_path):
    """Two cameras can share a log: each line is written whole."""
    one, other = (LineFile(tmp_path / "a", append=True) for _ in range(2))
    one.open()
    other.open()
    one.write("1")
    other.write("2")
    refused(LineFile(tmp_path / "a", overwrite=True))
    one.close()
    other.close()
    assert (tmp_path / "a").read_bytes() == b"1\n2\n"


def test_a_file_that_is_refused_stays_as_it_was(tmp_path, caplog):
    """Only the one that may write it mends it."""
    (tmp_path / "a").write_bytes(b'{"half')
    first = LineFile(tmp_path / "a", append=True)
    first.open()
    refused(LineFile(tmp_path / "a", overwrite=True))
    refused(LineFile(tmp_path / "a"))
    first.close()
    assert (tmp_path / "a").read_bytes() == b""
    assert (tmp_path / "a.torn").read_bytes() == b'{"half\n'
    caplog.clear()
