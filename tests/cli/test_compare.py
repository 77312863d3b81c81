"""``edge-runtime compare`` as a user types it."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_runtime.compare.state import FILE_NAME
from tests.cli.program import PATIENCE_S, Done
from tests.compare.made import write_family, write_finder

Edge = Callable[..., Done]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return write_family(tmp_path / "models")


def test_one_table_and_three_reports(edge: Edge, models: Path, tmp_path: Path) -> None:
    """The whole way: two that run, one that is no detector, one that is torn; then again from what is known."""
    for package in ("pycocotools", "zstandard", "matplotlib"):
        pytest.importorskip(package, reason="the comparison needs the extra evaluate")
    flags = ("--scenes", 3, "--num-runs", 1, "--csv", "t.csv", "--json", "t.json", "--html", "t.html")
    done = edge("compare", models, *flags)
    assert done.code == 0
    steps = done.err.splitlines()
    assert steps[0] == "[0/4] times, round 1 of 1: parent"
    assert "[0/3] accuracy: int8" in steps
    assert "\x1b" not in done.err
    table = [line.split()[0] for line in done.out.split("\n\n")[1].splitlines()]
    assert table == ["variant", "parent", "int8", "other", "torn"]
    assert "torn: " in done.out
    assert "classifier" in done.out
    record = json.loads((tmp_path / "t.json").read_text())
    assert record["rows"][1]["drop"] is not None
    assert len(list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))) == 4
    assert (tmp_path / "t.html").read_text().startswith("<!doctype html>")

    known = (models / ".edge-runtime-compare.json").read_text()
    again = edge("compare", models, "--scenes", 3, "--num-runs", 1, "--quiet")
    assert again.err == ""
    assert again.out.split("\n\n")[1] == done.out.split("\n\n")[1]
    assert len((models / ".edge-runtime-compare.json").read_text()) == len(known)


def test_a_model_that_is_no_detector_is_compared_without_accuracy(edge: Edge, models: Path) -> None:
    pytest.importorskip("zstandard", reason="the comparison needs the extra evaluate")
    (models / "finder.torn.tflite").unlink()
    (models / "finder.int8.tflite").unlink()
    done = edge("compare", models, "--no-accuracy", "--num-runs", 1)
    assert done.code == 0
    assert "error" in done.out
    assert "mAP" not in done.out


def test_an_existing_report_is_kept_and_told_before_measuring(edge: Edge, models: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("mine")
    done = edge("compare", models, "--scenes", 3, "--csv", "t.csv")
    assert (done.code, done.out) == (6, "")
    assert "--overwrite" in done.err
    assert (tmp_path / "t.csv").read_text() == "mine"
    assert not (models / ".edge-runtime-compare.json").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "no pictures were given; use --images DIR --annotations FILE, or --scenes N"),
        (("--images", "."), "--annotations: is missing"),
        (("--annotations", "x"), "--images: is missing"),
        (("--scenes", "3", "--images", ".", "--annotations", "x"), "not both"),
        (("--scenes", "0"), "--scenes: '0' is not allowed"),
        (("--scenes", "3", "--limit", "2"), "--limit: is for --images"),
        (("--scenes", "3", "--no-accuracy"), "leave one of the two out"),
        (("--scenes", "3", "--num-runs", "0"), "--num-runs: '0' is not allowed"),
        (("--scenes", "3", "--engine", "x"), "engine: 'x' is not allowed"),
        (("--scenes", "3", "--config", "none.toml"), "none.toml"),
        (("--images", "none", "--annotations", "x"), "none: there is no such folder"),
        (("--scenes", "3", "--csv", "a", "--json", "a"), "two of them name the same file"),
        (("--scenes", "3", "--labels", "none.txt"), "--labels: none.txt is no file"),
    ],
)
def test_a_wrong_flag_is_one_line_and_nothing_is_measured(
    edge: Edge, models: Path, flags: tuple[str, ...], said: str
) -> None:
    done = edge("compare", models, *flags)
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert said in done.err
    assert not (models / ".edge-runtime-compare.json").exists()


def test_a_parent_that_is_missing_is_a_model_that_is_missing(edge: Edge, models: Path) -> None:
    """The same mistake has the same exit code in every command."""
    done = edge("compare", models, "--scenes", "3", "--parent", "none.tflite")
    assert (done.code, done.out, len(done.err.splitlines())) == (3, "", 1)
    assert "none.tflite: cannot be read" in done.err


def test_the_parent_is_found_one_folder_up_and_named(edge: Edge, models: Path) -> None:
    """As optimize leaves it: the parent here, its variants in a folder."""
    pytest.importorskip("zstandard", reason="the comparison needs the extra evaluate")
    (models / "variants").mkdir()
    (models / "finder.int8.tflite").rename(models / "variants" / "finder.int8.tflite")
    done = edge("compare", models / "variants", "--no-accuracy", "--num-runs", 1)
    assert done.code == 0
    assert done.err.splitlines()[0] == f"parent: {models / 'finder.tflite'}, whose name the others extend"
    assert [line.split()[0] for line in done.out.split("\n\n")[1].splitlines()] == ["variant", "parent", "int8"]


WITHOUT = """
import runpy, sys
sys.modules[sys.argv[1]] = None
sys.argv = ["edge-runtime", *sys.argv[2:]]
runpy.run_module("edge_runtime", run_name="__main__")
"""


@pytest.mark.parametrize("command", ["compare", "tune"])
@pytest.mark.parametrize("package", ["pycocotools", "ai_edge_litert"])
def test_a_missing_package_leaves_nothing_behind(edge: Edge, models: Path, command: str, package: str) -> None:
    """Not even an empty file of results: the folder is the user's, and may be under version control."""
    before = sorted(models.iterdir())
    flags = ("--scenes", "3", "--engine", "litert", *(("--target-fps", "5") if command == "tune" else ()))
    done = edge("-c", WITHOUT, package, command, models, *flags, program=[sys.executable])
    assert done.code in (2, 5)
    assert len(done.err.splitlines()) == 1
    assert "pip" in done.err
    assert sorted(models.iterdir()) == before


def test_an_interrupt_says_what_is_kept_and_the_next_run_goes_on(start: Start, edge: Edge, models: Path) -> None:
    """Ctrl-C after ten minutes must not feel like ten minutes lost."""
    pytest.importorskip("zstandard", reason="the comparison needs the extra evaluate")
    for name in ("torn", "other"):
        (models / f"finder.{name}.tflite").unlink()
    process = start("compare", models, "--no-accuracy", "--num-runs", 2)
    assert process.stderr is not None
    while "[1/4]" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    said = process.stderr.read().splitlines()[-1]
    assert process.wait(PATIENCE_S) == 130
    assert "interrupted at times, round " in said
    assert f"is kept in {models / FILE_NAME}; run the same command again to go on" in said
    assert [path.name for path in models.iterdir() if path.name.startswith(".")] == [FILE_NAME]
    again = edge("compare", models, "--no-accuracy", "--num-runs", 2)
    assert again.code == 0
    assert "[0/4]" not in again.err, "this one is known"


def test_a_folder_that_cannot_be_compared_says_why(edge: Edge, tmp_path: Path) -> None:
    """Empty, missing, one model alone, two families, strangers."""
    folder = tmp_path / "models"
    flags = ("--scenes", "3")
    assert "does not exist" in edge("compare", folder, *flags).err
    folder.mkdir()
    assert "holds no .tflite file" in edge("compare", folder, *flags).err
    write_finder(folder / "a.tflite")
    assert "nothing to compare it with" in edge("compare", folder, *flags).err
    write_finder(folder / "b.tflite")
    assert "name it with --parent FILE" in edge("compare", folder, *flags).err
    for name in ("a.int8.tflite", "b.int8.tflite"):
        write_finder(folder / name)
    done = edge("compare", folder, *flags)
    assert "2 files could be it (a.tflite, b.tflite)" in done.err
    assert (done.code, len(done.err.splitlines())) == (2, 1)


def test_a_folder_that_cannot_be_written_is_an_error_at_once(edge: Edge, models: Path) -> None:
    (models / ".edge-runtime-compare.json").mkdir()
    done = edge("compare", models, "--scenes", "3")
    assert (done.code, done.out) == (6, "")
    assert "results cannot be kept there" in done.err
