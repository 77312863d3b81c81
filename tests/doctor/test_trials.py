"""What is tried in a child process: each way it may end."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from edge_runtime.doctor import child
from edge_runtime.doctor.trials import DIED, DONE, FAILED, HUNG, UNTRIED, Task, Trial, Trials, try_all

PLAYER = """\
import json, os, signal, sys
print("the library greets on stdout")
for task in json.loads(sys.argv[1]):
    if task["kind"] == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task["kind"] == "hang":
        signal.pause()
    if task["kind"] == "leave":
        sys.exit("told on stderr")
    if task["kind"] == "end":
        sys.exit(0)
    print(json.dumps({"name": task["name"], "state": "done", "said": "", "kind": "", "facts": {"pid": os.getpid()}}),
          flush=True)
print('{"name": "torn')
"""
PLAY = (sys.executable, "-c", PLAYER)
PATIENCE_S = 60.0


def states(tasks: list[Task], timeout_s: float = PATIENCE_S) -> dict[str, tuple[str, str]]:
    return {name: (one.state, one.said) for name, one in try_all(tasks, timeout_s, command=PLAY).items()}


def test_one_child_does_all_that_goes_well() -> None:
    """A second one would cost a slow board seconds."""
    found = try_all([Task("a", "x"), Task("b", "x")], PATIENCE_S, command=PLAY)
    assert {one.state for one in found.values()} == {DONE}
    assert len({one.facts["pid"] for one in found.values()}) == 1


def test_a_crash_costs_the_one_that_crashes_and_not_the_rest() -> None:
    """A libedgetpu for another system ends every process that loads it."""
    found = states([Task("a", "x"), Task("b", "crash"), Task("c", "x"), Task("d", "leave"), Task("e", "x")])
    assert found == {
        "a": (DONE, ""),
        "b": (DIED, "SIGSEGV"),
        "c": (DONE, ""),
        "d": (FAILED, "told on stderr"),
        "e": (DONE, ""),
    }


def test_one_that_hangs_uses_up_the_time_and_is_named() -> None:
    found = states([Task("a", "x"), Task("b", "hang"), Task("c", "x")], 2.0)
    assert found["a"][0] in (DONE, HUNG)  # on a busy machine two seconds may not do for the start
    assert (found["b"][0], found["c"][0]) in ((HUNG, UNTRIED), (UNTRIED, UNTRIED))
    assert HUNG in (found["a"][0], found["b"][0])


def test_a_child_that_ends_early_leaves_the_rest_untried() -> None:
    """And is not started for ever."""
    assert states([Task("a", "end"), Task("b", "x")]) == dict.fromkeys("ab", (UNTRIED, "the child process ended early"))


def test_no_time_means_no_child() -> None:
    assert states([Task("a", "x")], 0.1)["a"][0] == UNTRIED


def test_a_child_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    found = try_all([Task("a", "x")], PATIENCE_S, command=(str(tmp_path / "none"),))
    assert (found["a"].state, "cannot be started" in found["a"].said) == (FAILED, True)


def test_trials_work_while_others_are_looked_at() -> None:
    trials = Trials([Task("a", "x")], PATIENCE_S, command=PLAY)
    assert trials.results()["a"].state == DONE
    assert trials.results()["a"].state == DONE


def test_trials_that_do_not_come_back_count_as_hung() -> None:
    """A child in a driver's hands cannot be killed; the doctor goes on without it."""
    trials = Trials([Task("a", "hang")], 0.6, command=PLAY)
    assert trials.results()["a"].state == HUNG


def attempted(capfd: pytest.CaptureFixture[str], kind: str, argument: object = None) -> Trial:
    """Return what the child says of one task."""
    child.main(json.dumps([{"name": "one", "kind": kind, "argument": argument}]))
    record = json.loads(capfd.readouterr().out)
    assert record.pop("name") == "one"
    return Trial(**record)


def test_an_import_tells_version_and_windows(capfd: pytest.CaptureFixture[str]) -> None:
    import cv2
    import numpy as np

    assert attempted(capfd, "import", "numpy").facts["version"] == np.__version__
    found = attempted(capfd, "import", "cv2")
    assert found.facts["version"] == cv2.__version__
    assert isinstance(found.facts["has_windows"], bool)


def test_a_failed_import_is_its_first_line(capfd: pytest.CaptureFixture[str]) -> None:
    found = attempted(capfd, "import", "edge_runtime_no_such_package")
    assert (found.state, found.kind) == (FAILED, "ModuleNotFoundError")
    assert found.said == "No module named 'edge_runtime_no_such_package'"


def test_the_engine_runs_the_bundled_model(capfd: pytest.CaptureFixture[str]) -> None:
    from edge_runtime.inference.engine import load_engine

    name = load_engine().name
    found = attempted(capfd, "engine", name)
    assert (found.state, found.facts["engine"]) == (DONE, name)
    assert found.facts["nodes"] > 0


def test_a_model_is_opened_as_a_run_would(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = attempted(capfd, "model", {"num_threads": 1})
    assert (found.state, found.facts["labels"], found.facts["size_wh"]) == (DONE, 6, [192, 160])
    (tmp_path / "broken.tflite").write_bytes(b"not a model")
    found = attempted(capfd, "model", {"model": str(tmp_path / "broken.tflite"), "num_threads": 1})
    assert (found.state, found.kind) == (FAILED, "ModelError")


def test_labels_that_do_not_fit_are_found(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("one\ntwo\n")
    found = attempted(capfd, "model", {"labels": str(tmp_path / "labels.txt"), "num_threads": 1})
    assert (found.state, found.kind) == (FAILED, "ConfigError")


def test_an_edge_tpu_model_is_read_and_its_device_left_alone(capfd: pytest.CaptureFixture[str], shared: Path) -> None:
    """The service may be using it at this moment."""
    (model, *_) = sorted(shared.glob("models/**/*_edgetpu.tflite"))
    found = attempted(capfd, "model", {"model": str(model), "num_threads": 1})
    assert found.state in (DONE, FAILED)
    assert "libedgetpu" not in found.said
    if found.state == DONE:
        assert found.facts["backend"] == ""


def test_a_library_tells_what_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    assert attempted(capfd, "library", "libc.so.6").facts == {"is_delegate": False, "version": ""}
    found = attempted(capfd, "library", "libedge_runtime_none.so.1")
    assert (found.state, "cannot open shared object" in found.said) == (FAILED, True)


def test_a_window_is_judged_by_the_code_that_shows_it(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    found = attempted(capfd, "display")
    assert (found.state, found.kind, found.said.startswith("window: ")) == (FAILED, "ConfigError", True)
