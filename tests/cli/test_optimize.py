"""``edge-runtime optimize``: what a user sees, and that nothing is left behind when it stops half-way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("ai_edge_quantizer", reason="the extra [optimize] is not installed")

from tests.cli.program import PATIENCE_S, PROGRAM, ROOT, Done
from tests.optimize.material import write_detector, write_pictures

Edge = Callable[..., Done]


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    return write_detector(tmp_path / "finder.tflite")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("p") / "pictures", 14)


def test_the_table_goes_to_stdout_and_quiet_says_nothing_else(edge: Edge, parent: Path, pictures: Path) -> None:
    done = edge("optimize", parent, "--technique", "int8", "--technique", "float16", "--calibration", pictures,
                "--output", "out", "-q")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split() == ["technique", "bytes", "size", "weights", "zstd", "error", "found"]
    assert [line.split()[0] for line in lines[1:3]] == ["int8", "float16"]
    assert all(line.split()[-1].partition("/")[0] != "0" for line in lines[1:3])
    assert "int8: warning: " in done.out
    assert max(map(len, lines[:7])) <= 80


def test_each_step_is_a_line_where_nobody_sits_before_it(edge: Edge, parent: Path, pictures: Path) -> None:
    """It takes minutes, and the log of a build that says nothing looks like one that hangs."""
    done = edge("optimize", parent, "--technique", "int8", "--technique", "float16", "--calibration", pictures,
                "--output", "out")  # fmt: skip
    assert done.code == 0
    assert done.err == "[0/2] making int8\n[0/10] calibrating\n[1/2] making float16\n"


def test_json_has_every_figure(edge: Edge, parent: Path, pictures: Path) -> None:
    done = edge("optimize", parent, "--technique", "prune,int8", "--calibration", pictures, "--output", "out",
                "--sparsity", "0.7", "--layers", "boxes", "--io", "uint8", "--json", "-q")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    (variant,) = found["variants"]
    assert found["failed"] == {}
    assert variant["technique"] == "prune-int8"
    assert variant["size_bytes"] == Path(parent.parent, variant["path"]).stat().st_size
    assert variant["comparison"]["detections"]["expected"] > 0
    assert {output["name"] for output in variant["comparison"]["outputs"]} == {"boxes", "scores"}


def test_a_variant_that_fails_is_named_and_the_others_are_made(edge: Edge, parent: Path, tmp_path: Path) -> None:
    done = edge("optimize", parent, "--technique", "cluster", "--technique", "dynamic", "--clusters", "65536",
                "--output", "out", "-q")  # fmt: skip
    assert done.code == 3
    assert "cluster: not made: " in done.out
    assert "cluster could not be made; " in done.err
    assert done.err.count("\n") == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["finder.dynamic.tflite"]


@pytest.mark.parametrize(
    ("flags", "code", "answer"),
    [
        (("--technique", "int9", "--output", "out"), 2, "'int9' is no technique; did you mean int8?"),
        (("--technique", "qat", "--output", "out"), 2, "needs training, so it is a call from Python"),
        (("--technique", "int8"), 2, "--output: is missing"),
        (("--technique", "int8", "--output", "out"), 2, "--calibration: is missing; the ranges of int8"),
        (("--technique", "prune", "--layers", "neck", "--output", "out"), 2, "--layers: 'neck' matches no name of a"),
        (("--technique", "prune", "--pattern", "3:4", "--output", "out"), 2, "--pattern: '3:4' is not allowed"),
        (("--technique", "prune", "--sparsity", "1", "--output", "out"), 2, "--sparsity: '1' is not allowed"),
        (("--technique", "int8", "--recipe", "x", "--output", "out"), 2, "exclude one another"),
        (("--technique", "int8", "--calibration", "none", "--output", "out"), 2, "none does not exist"),
        (("--technique", "int8", "--calibration", "finder.tflite", "--output", "out"), 2, "is one file"),
        (("--technique", "prune", "--sparsity", "2", "--output", "out"), 2, "--sparsity: '2' is not allowed"),
        (("--technique", "float16", "--input-range", "1", "--output", "out"), 2, "two numbers, as in 0,1"),
        (("--technique", "float16", "--output", "finder.tflite"), 6, "is a file; variants go to a folder"),
    ],
)
def test_what_is_wrong_is_one_line(edge: Edge, parent: Path, flags: tuple[str, ...], code: int, answer: str) -> None:
    done = edge("optimize", parent.name, *flags)
    assert (done.code, done.out) == (code, "")
    assert answer in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("flags", [("--layers", "neck", "--technique", "prune"), ("--technique", "mixed")])
def test_a_folder_that_was_made_in_vain_is_gone(
    edge: Edge, parent: Path, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    assert edge("optimize", parent, *flags, "--output", "out/deep").code == 2
    assert not (tmp_path / "out").exists()


def test_without_the_extra_the_advice_is_the_whole_of_it(edge: Edge, parent: Path, tmp_path: Path) -> None:
    """Nothing of it is there on a board that only detects; [evaluate] alone would be half of what is needed."""
    absent = tmp_path / "absent"
    absent.mkdir()
    for name in ("ai_edge_quantizer", "zstandard", "rich", "pycocotools", "flatbuffers"):
        (absent / f"{name}.py").write_text(f"raise ModuleNotFoundError('No module named {name}', name='{name}')\n")
    path = os.pathsep.join([str(absent), os.environ.get("PYTHONPATH", ""), str(ROOT)])
    done = edge("optimize", parent, "--technique", "float16", "--output", "out", variables={"PYTHONPATH": path})
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith("run: python -m pip install 'edge-runtime[optimize]'\n")
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_missing_parent_is_one_line(edge: Edge) -> None:
    done = edge("optimize", "none.tflite", "--technique", "float16", "--output", "out")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("edge-runtime: error: none.tflite: no such file")


def test_files_that_exist_stay(edge: Edge, parent: Path) -> None:
    flags = ("optimize", parent, "--technique", "float16", "--output", ".")
    assert edge(*flags).code == 0
    done = edge(*flags)
    assert (done.code, done.out) == (6, "")
    assert "add --overwrite" in done.err
    assert edge(*flags, "--overwrite").code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_half_file_anywhere(
    environment: dict[str, str], parent: Path, tmp_path: Path, number: int
) -> None:
    """Neither in the output nor in the folder for unfinished work."""
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    command = (*PROGRAM, "optimize", parent, "--technique", "int8", "--calibration", "scene", "--pictures", "200",
               "--output", "out")  # fmt: skip
    process = subprocess.Popen(command, cwd=tmp_path, env={**environment, "TMPDIR": str(unfinished)})
    while not any(unfinished.glob("edge-runtime-*")):  # calibration comes next, and takes seconds
        with suppress(subprocess.TimeoutExpired):
            assert process.wait(0.05) is None, "it ended before it began"
    process.send_signal(number)
    assert process.wait(PATIENCE_S) == 130
    assert not (tmp_path / "out").exists()
    assert list(unfinished.glob("edge-runtime-*")) == []


def test_an_interrupt_says_what_is_finished_and_keeps_it(
    start: Callable[..., subprocess.Popen[str]], parent: Path, tmp_path: Path
) -> None:
    """Ten variants take minutes; who stops after the second wants to know that two are there."""
    process = start("optimize", parent, "--technique", "float16", "--technique", "dynamic", "--technique", "int8",
                    "--calibration", "scene", "--pictures", "200", "--output", "out")  # fmt: skip
    assert process.stderr is not None
    while "making int8" not in (line := process.stderr.readline()):
        assert line, "it ended before it began"
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 130
    said = process.stderr.read().splitlines()[-1]
    assert said == "edge-runtime: interrupted; kept in out: finder.float16.tflite, finder.dynamic.tflite"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "finder.dynamic.tflite",
        "finder.float16.tflite",
    ]
