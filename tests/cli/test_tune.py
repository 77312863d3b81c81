"""``edge-runtime tune`` as a user types it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest

from edge_runtime.cli import build_parser
from edge_runtime.cli.tune import execute
from edge_runtime.compare import tune
from edge_runtime.compare.settings_file import UNSTEADY_REMARK
from edge_runtime.config import load
from tests.cli.program import PATIENCE_S, Done
from tests.compare.made import SHAPES, write_finder

Edge = Callable[..., Done]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    write_finder(folder / "finder.tflite")
    write_finder(folder / "finder.int8.tflite", 0.8)
    return folder


def test_the_choice_is_explained_and_written_for_the_service(edge: Edge, models: Path, tmp_path: Path) -> None:
    pytest.importorskip("pycocotools", reason="the choice between variants needs the extra evaluate")
    (tmp_path / "edge.toml").write_text("# mine\nthreshold = 0.3\n")
    flags = ("--target-fps", 0.1, "--max-drop", 1, "--max-rss", 4000, "--scenes", 2, "--num-runs", 5)
    done = edge("tune", models, *flags, "--write-config", "edge.toml", "--overwrite")
    assert done.code == 0
    steps = done.err.splitlines()
    assert steps[0].endswith("pipeline, round 1 of 1: parent cpu 1")
    assert "[0/2] accuracy: int8" in steps
    assert "settings reach 0.1 frames/s" in done.out
    assert len([line for line in done.out.splitlines() if line.startswith("*")]) == 1
    config = load({}, {}, tmp_path / "edge.toml").config
    assert config.model is not None
    assert config.model.parent == models
    assert (config.backend, config.num_threads, config.threshold) == ("cpu", 1, 0.3)
    assert (tmp_path / "edge.toml").read_text().startswith("# mine\nthreshold = 0.3\n")


def test_one_model_needs_no_pictures(edge: Edge, models: Path) -> None:
    """There is nothing it could lose; only threads are chosen."""
    done = edge("tune", models / "finder.tflite", "--target-fps", 0.1, "--num-runs", 5, "--quiet")
    assert (done.code, done.err) == (0, "")
    assert 'backend = "cpu"' in done.out
    assert "--write-config FILE" in done.out


@pytest.mark.parametrize(("rates", "is_unsteady"), [((9.0, 10.0, 11.0), False), ((5.0, 10.0, 11.0), True)])
def test_unsteady_rates_are_told_and_written_beside_the_choice(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *,
    rates: tuple[float, ...], is_unsteady: bool,
) -> None:  # fmt: skip
    """Even with --quiet: settings that rest on a busy board's rates are something that is wrong."""
    answers = cycle(rates)
    monkeypatch.setattr(tune, "thread_choices", lambda _cores: (1,))
    monkeypatch.setattr(tune, "present_accelerators", lambda: (False, False))
    monkeypatch.setattr(tune, "ask", lambda *_, **__: {"fps": next(answers), "rss_bytes": 50_000_000})
    file = models / "edge.toml"
    command = [str(models / "finder.tflite"), "--target-fps", "5", "--write-config", str(file), "--quiet"]
    assert execute(build_parser("tune").parse_all(command)) == 0
    said = capsys.readouterr()
    assert ("Rates of parent on cpu with 1 thread differ by more than 25%" in said.err) == is_unsteady
    assert ("~10.0" in said.out) == is_unsteady
    assert file.read_text().startswith(UNSTEADY_REMARK) == is_unsteady
    assert load({}, {}, file).config.num_threads == 1


def test_labels_may_stand_in_the_settings_file_as_for_every_command(edge: Edge, models: Path, tmp_path: Path) -> None:
    """`--config` is read, here as elsewhere; what is written has a flag of its own."""
    (tmp_path / "labels.txt").write_text("\n".join(SHAPES))
    (tmp_path / "edge.toml").write_text('labels = "labels.txt"\n')
    flags = ("--target-fps", 0.1, "--num-runs", 5, "--config", "edge.toml")
    done = edge("tune", models / "finder.tflite", *flags)
    assert done.code == 0
    assert f'labels = "{tmp_path / "labels.txt"}"' in done.out
    assert (tmp_path / "edge.toml").read_text() == 'labels = "labels.txt"\n'


def test_an_interrupt_says_what_is_kept(start: Start, models: Path, tmp_path: Path) -> None:
    """And no settings are written: half a measurement is no choice."""
    flags = ("--target-fps", 0.1, "--num-runs", 60, "--write-config", "edge.toml")
    process = start("tune", models / "finder.tflite", *flags)
    assert process.stderr is not None
    assert "round 1 of 3" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    said = process.stderr.read().splitlines()[-1]
    assert process.wait(PATIENCE_S) == 130
    assert "interrupted at pipeline, round 1 of 3: parent cpu 1 (0 of " in said
    assert "run the same command again to go on" in said
    assert not (tmp_path / "edge.toml").exists()


def test_a_target_out_of_reach_writes_nothing_and_says_what_would_help(
    edge: Edge, models: Path, tmp_path: Path
) -> None:
    """A script must not start a service with settings that nobody chose."""
    done = edge("tune", models / "finder.tflite", "--target-fps", 1000, "--max-rss", 1, "--num-runs", 5,
                "--write-config", "edge.toml")  # fmt: skip
    assert done.code == 3
    assert "reaches" in done.out
    line = done.err.splitlines()[-1]
    assert "no setting meets the target; closest is parent on cpu" in line
    assert "smaller input" in line
    assert not (tmp_path / "edge.toml").exists()


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        ((), 2, "--target-fps: is missing"),
        (("--target-fps", "0"), 2, "--target-fps: '0' is not allowed"),
        (("--target-fps", "fast"), 2, "--target-fps: 'fast' is not allowed"),
        (("--target-fps", "5", "--max-drop", "-1"), 2, "--max-drop: '-1' is not allowed"),
        (("--target-fps", "5", "--max-rss", "0"), 2, "--max-rss: '0' is not allowed"),
        (("--target-fps", "5"), 2, "no pictures were given"),
        (("--target-fps", "5", "--scenes", "2", "--write-config", "old.toml"), 6, "add --overwrite"),
        (("--target-fps", "5", "--scenes", "2", "--write-config", "none/new.toml"), 6, "does not exist"),
        (("--target-fps", "5", "--scenes", "2", "--write-config", "bad.toml", "--overwrite"), 2, "is not TOML"),
    ],
)
def test_a_wrong_flag_is_one_line_and_nothing_is_measured(
    edge: Edge, models: Path, tmp_path: Path, flags: tuple[str, ...], code: int, said: str
) -> None:
    (tmp_path / "old.toml").write_text("threshold = 0.3\n")
    (tmp_path / "bad.toml").write_text("threshold =\n")
    done = edge("tune", models, *flags)
    assert (done.code, done.out, len(done.err.splitlines())) == (code, "", 1)
    assert said in done.err
    assert (tmp_path / "old.toml").read_text() == "threshold = 0.3\n"
    assert not (models / ".edge-runtime-compare.json").exists()


def test_a_folder_among_files_is_refused(edge: Edge, models: Path) -> None:
    done = edge("tune", models, models / "finder.tflite", "--target-fps", "5")
    assert done.code == 2
    assert "give one folder, or .tflite files" in done.err


def test_a_model_that_does_not_run_is_an_error(edge: Edge, tmp_path: Path) -> None:
    (tmp_path / "torn.tflite").write_bytes(b"nothing")
    done = edge("tune", "torn.tflite", "--target-fps", "5")
    assert done.code == 3
    assert "the model does not run here; " in done.err


def test_a_folder_and_a_model_that_are_missing_are_told_apart(edge: Edge) -> None:
    """As everywhere: a wrong folder is a wrong argument, a model that cannot be read is a model's fault."""
    folder, file = (edge("tune", name, "--target-fps", "5") for name in ("none", "none.tflite"))
    assert (folder.code, file.code) == (2, 3)
    assert "none: does not exist; give the folder" in folder.err
    assert "none.tflite: cannot be read" in file.err


def test_help_tells_what_exit_code_3_means(edge: Edge) -> None:
    """A script that tunes must tell "too slow" from "done"."""
    assert "3: nothing that was measured meets the target" in " ".join(edge("tune", "--help").out.split())
