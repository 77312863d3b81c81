"""A file of whole lines that loses nothing it held."""

from __future__ import annotations

import errno
import io
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.errors import ConfigError, OutputError
from edge_runtime.linefile import LineFile, json_line

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


def test_append_after_a_torn_line_begins_a_line_of_its_own(tmp_path):
    """A power cut leaves half a line; gluing the next record to it would spoil two."""
    (tmp_path / "a").write_bytes(b'{"half')
    file = LineFile(tmp_path / "a", append=True)
    file.open()
    file.write("two")
    file.close()
    assert (tmp_path / "a").read_bytes() == b'{"half\ntwo\n'


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
    assert json.loads(text) == {"source": "pic\udcff.jpg", "label": "café"}
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


def test_a_file_that_is_refused_stays_as_it_was(tmp_path):
    """Also the half line at its end, which another run may be writing just now."""
    (tmp_path / "a").write_bytes(b'{"half')
    first = LineFile(tmp_path / "a", append=True)
    first.open()
    refused(LineFile(tmp_path / "a", overwrite=True))
    first.close()
    assert (tmp_path / "a").read_bytes() == b'{"half\n'
