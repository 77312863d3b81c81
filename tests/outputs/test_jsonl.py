"""JSON lines to a file and to stdout."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.errors import OutputError
from edge_runtime.outputs import OUTPUTS
from edge_runtime.outputs.jsonl import JsonLinesOutput
from edge_runtime.storage.limits import Limits
from edge_runtime.storage.store import Storage

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_of_outputs_names_this_one():
    """The table is what the command line goes by."""
    assert OUTPUTS["jsonl"].endswith(f":{JsonLinesOutput.__name__}")
    assert JsonLinesOutput(None).name == "jsonl"
    assert not JsonLinesOutput(None).needs_drawing


def test_results_and_states_are_one_line_each_in_the_order_they_came(tmp_path, make_result, change):
    """Line by line is how everybody reads the file."""
    output = JsonLinesOutput(tmp_path / "found.jsonl")
    output.open()
    for sequence in range(3):
        output.write(make_result(sequence), None)
    output.write_state(change)
    lines = (tmp_path / "found.jsonl").read_text(encoding="utf-8").splitlines()  # before close: nothing waits inside
    output.close()
    output.close()
    records = [json.loads(line) for line in lines]
    assert [record.get("sequence") for record in records] == [0, 1, 2, None]
    assert records[-1]["type"] == "state"


def test_a_file_with_something_in_it_is_not_touched_without_a_word(tmp_path, make_result):
    """Last night's detections must survive the same command typed again."""
    path = tmp_path / "found.jsonl"
    path.write_text("x" * 12_345, encoding="utf-8")
    with pytest.raises(OutputError) as caught:
        JsonLinesOutput(path).open()
    assert str(caught.value) == (
        f"{path}: exists (12,345 bytes); add --append to continue it or --overwrite to replace it"
    )
    assert path.stat().st_size == 12_345


def test_a_stream_of_the_callers_takes_the_lines_and_stays_open(make_result):
    """Programs that embed the runtime hand in their own pipe."""
    stream = io.BytesIO()
    output = JsonLinesOutput(None, stream=stream)
    output.open()
    output.write(make_result(4), None)
    output.close()
    assert json.loads(stream.getvalue())["sequence"] == 4


def test_stdout_carries_the_lines(capfdbinary, make_result):
    """Headless, stdout is the default output."""
    output = JsonLinesOutput(None)
    output.open()
    output.write(make_result(5), None)
    output.close()
    assert json.loads(capfdbinary.readouterr().out)["sequence"] == 5


def test_a_used_up_day_is_one_state_in_the_log_and_states_go_on(tmp_path, make_result, change):
    """The last lines of the log say why it ends there."""
    output = JsonLinesOutput(tmp_path / "found.jsonl", storage=Storage(Limits(max_bytes_per_day=1000)))
    output.open()
    output.watch(output.write_state, keeps_trying=True)
    for sequence in range(20):
        output.write(make_result(sequence), None)
    output.write_state(change)
    output.close()
    records = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text(encoding="utf-8").splitlines()]
    states = [(one["part"], one["to"]) for one in records if one["type"] == "state"]
    assert states == [("storage", "paused"), ("camera", "lost")]
    assert output.lost == 20 - sum(one["type"] == "detections" for one in records) > 0
    assert not output.is_failing


PIPE_PROGRAM = """
import sys
sys.path.insert(0, {root!r})
import numpy as np
from edge_runtime.detections import Detections
from edge_runtime.errors import OutputError
from edge_runtime.frame import Frame
from edge_runtime.outputs.jsonl import JsonLinesOutput
from edge_runtime.result import Result

output = JsonLinesOutput(None)
output.open()
failures = 0
for sequence in range(100_000):
    frame = Frame(np.zeros((1, 1, 3), np.uint8), sequence, 0, 0.0, "camera 0")
    try:
        output.write(Result(frame, Detections.empty(), (), {{}}, 0), None)
    except OutputError as exc:
        print(exc, file=sys.stderr)
        break
output.close()
print("a word of goodbye")
sys.exit(6)
"""


def test_a_reader_that_goes_away_ends_in_one_error_and_no_traceback(tmp_path):
    """``| head -3`` is typed by everybody, and Python's own flush at exit would fail a second time."""
    with subprocess.Popen(
        [sys.executable, "-c", PIPE_PROGRAM.format(root=str(ROOT))], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = [json.loads(process.stdout.readline())["sequence"] for _ in range(3)]
        process.stdout.close()
        errors = process.stderr.read().decode()
        code = process.wait(timeout=60)
    assert first == [0, 1, 2]
    assert errors == "stdout: whoever read it has gone (broken pipe)\n"
    assert code == 6


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to stand for a full disk")
def test_a_full_disk_behind_stdout_ends_the_same_way(tmp_path):
    """``> /mnt/card/found.jsonl`` fills up some day."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", PIPE_PROGRAM.format(root=str(ROOT))],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.stderr.decode() == "stdout: cannot be written (No space left on device)\n"
    assert done.returncode == 6
