"""``edge-runtime log`` as a user types it."""

from __future__ import annotations

import json
import os
import subprocess

import numpy as np
import pytest

from edge_runtime.capture.scene import SceneSource
from edge_runtime.detections import Detections
from edge_runtime.outputs.jsonl import JsonLinesOutput
from edge_runtime.result import Result, StateChange
from tests.cli.program import PROGRAM


@pytest.fixture
def log(tmp_path):
    """Twenty frames and a change of state, written as a run writes them."""
    path = tmp_path / "log.jsonl"
    with SceneSource(frames=20) as frames:
        output = JsonLinesOutput(path)
        output.open()
        output.write_state(StateChange("camera", "starting", "ok", "delivers frames", 1_700_000_000.0))
        for frame in frames:
            found = Detections(np.zeros((1, 4), np.float32), np.ones(1, np.float32), np.zeros(1, np.int32))
            output.write(Result(frame, found, ("star",), {"invoke": 3_000_000}, frame.captured_ns + 5_000_000), None)
        output.close()
    return path


def test_a_whole_log_is_verified(edge, log):
    done = edge("log", "verify", log)
    assert (done.code, done.out) == (0, f"{log}: detections 20, state 1\n")


def test_a_damaged_one_is_told_with_the_line(edge, log, tmp_path):
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(log.read_bytes()[:-30])
    done = edge("log", "verify", torn)
    assert done.code == 1
    assert "damaged 1\n  line 21: cut in the middle" in done.out


def test_cat_gives_only_what_is_asked_for(edge, log):
    states = edge("log", "cat", log, "--type", "state").out.splitlines()
    assert [json.loads(line)["part"] for line in states] == ["camera"]
    assert edge("log", "cat", log, "--until", "2020-01-01").out == ""
    assert len(edge("log", "cat", log, "--since", "2020-01-01").out.splitlines()) == 21


def test_stats_are_there_to_read_and_as_json(edge, log):
    assert "frames       20," in edge("log", "stats", log).out
    assert json.loads(edge("log", "stats", log, "--json").out)["records"] == {"detections": 20, "state": 1}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("burn", "x"), "one of verify, cat, stats, report"),
        (("verify", "nosuch.jsonl"), "does not exist"),
        (("cat", "LOG", "--type", "frames"), "one of detections"),
        (("cat", "LOG", "--since", "yesterday"), "2026-11-21T06:30"),
        (("report", "LOG"), "--output report.html"),
        (("cat", "LOG", "--output", "x.html"), "does nothing for log cat, only for report"),
        (("verify", "LOG", "--json"), "only for stats"),
        (("cat", "LOG", "--since", "2026-02-01", "--until", "2026-01-01"), "is after --until"),
        (("report", "LOG", "--output", "x.pdf"), ".html or .png"),
    ],
)
def test_what_is_wrong_is_one_line(edge, log, words, said):
    done = edge("log", *(str(log) if word == "LOG" else word for word in words))
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


def test_a_report_is_written_and_not_over_another(edge, log, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra [evaluate] is not installed")
    target = tmp_path / "report.html"
    assert edge("log", "report", log, "--output", target).code == 0
    before = target.read_bytes()
    again = edge("log", "report", log, "--output", target)
    assert again.code == 6
    assert "--overwrite" in again.err
    assert target.read_bytes() == before


def test_what_is_no_log_is_told_by_the_exit_code(edge, tmp_path):
    """A model given by mistake has lines, too."""
    (tmp_path / "notes.txt").write_text("one\ntwo\n")
    done = edge("log", "stats", "notes.txt")
    assert (done.code, done.out) == (1, "no records of edge-runtime among the lines: 2\n")


def test_cat_says_what_it_left_out(edge, log):
    log.write_bytes(log.read_bytes()[:-30])
    done = edge("log", "cat", log)
    assert len(done.out.splitlines()) == 20
    assert "damaged lines left out: 1" in done.err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_behind_stdout_is_one_line(log, environment):
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run([*PROGRAM, "log", "cat", str(log)], stdout=full, stderr=subprocess.PIPE, text=True,
                              env=environment, timeout=60, check=False)  # fmt: skip
    assert done.returncode == 6
    assert done.stderr.splitlines()[-1].startswith("edge-runtime: error: stdout: cannot be written")
