"""``edge-runtime optimize``: what a user sees, and that nothing is left behind when it stops half-way."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("ai_edge_quantizer", reason="the extra [optimize] is not installed")

from tests.cli.program import PATIENCE_S, PROGRAM, Done
from tests.optimize.material import write_detector, write_pictures

Edge = Callable[..., Done]


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    return write_detector(tmp_path / "finder.tflite")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("p") / "pictures", 14)


def test_the_table_goes_to_stdout_and_nothing_else_is_said(edge: Edge, parent: Path, pictures: Path) -> None:
    done = edge("optimize", parent, "--technique", "int8", "--technique", "float16", "--calibration", pictures,
                "--output", "out")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split() == ["technique", "bytes", "size", "weights", "zstd", "error", "found"]
    assert [line.split()[0] for line in lines[1:3]] == ["int8", "float16"]
    assert all(line.split()[-1].partition("/")[0] != "0" for line in lines[1:3])
    assert "int8: warning: " in done.out
    assert max(map(len, lines[:7])) <= 80


def test_json_has_every_figure(edge: Edge, parent: Path, pictures: Path) -> None:
    done = edge("optimize", parent, "--technique", "prune,int8", "--calibration", pictures, "--output", "out",
                "--sparsity", "0.7", "--layers", "boxes", "--io", "uint8", "--json")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    (variant,) = found["variants"]
    assert found["failed"] == {}
    assert variant["technique"] == "prune-int8"
    assert variant["size_bytes"] == Path(parent.parent, variant["path"]).stat().st_size
    assert variant["comparison"]["detections"]["expected"] > 0
    assert {output["name"] for output in variant["comparison"]["outputs"]} == {"boxes", "scores"}


def test_a_variant_that_fails_is_named_and_the_others_are_made(edge: Edge, parent: Path, tmp_path: Path) -> None:
    done = edge(
        "optimize", parent, "--technique", "prune", "--technique", "dynamic", "--layers", "nothing", "--output", "out"
    )
    assert done.code == 3
    assert "prune: not made: layers 'nothing' match nothing" in done.out
    assert "prune could not be made" in done.err
    assert done.err.count("\n") == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["finder.dynamic.tflite"]


@pytest.mark.parametrize(
    ("flags", "code", "answer"),
    [
        (("--technique", "int9", "--output", "out"), 2, "'int9' is no technique; did you mean int8?"),
        (("--technique", "qat", "--output", "out"), 2, "needs training, so it is a call from Python"),
        (("--technique", "int8"), 2, "--output: is missing"),
        (("--technique", "int8", "--output", "out"), 2, "int8 need pictures to take ranges from"),
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
    assert list((tmp_path / "out").iterdir()) == []
    assert list(unfinished.glob("edge-runtime-*")) == []
