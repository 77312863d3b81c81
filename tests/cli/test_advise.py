"""``edge-runtime advise`` as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_runtime.compare.rows import as_record
from edge_runtime.compare.run import LAST
from edge_runtime.compare.state import FILE_NAME, State
from tests.cli.program import Done
from tests.compare.made import three_variants

Edge = Callable[..., Done]


@pytest.mark.parametrize("hardware", ["pi-zero-2w", "pi3", "pi4", "pi5", "edgetpu", "gpu", "mcu", "jetson", "x86"])
def test_every_kind_of_hardware_has_advice_with_sources_that_fits_a_terminal(edge: Edge, hardware: str) -> None:
    done = edge("advise", "--hardware", hardware)
    assert (done.code, done.err) == (0, "")
    assert done.out.count("Source: ") >= 2
    assert not {"Make", "Try", "Avoid", "Know"} & set(done.out.splitlines()), "a heading names its matter"
    assert "Measure on the" in done.out
    assert max(len(line) for line in done.out.splitlines() if "/" not in line) <= 80


def test_json_has_the_same_rules(edge: Edge) -> None:
    record = json.loads(edge("advise", "--hardware", "pi4", "--json").out)
    assert (record["schema"], record["hardware"]["id"]) == (1, "pi4")
    assert record["rules"][0]["technique"] == "int8"
    assert all(one["source"] for one in record["rules"])


def test_the_model_is_looked_at(edge: Edge, model: Path) -> None:
    done = edge("advise", model, "--hardware", "pi4")
    assert done.code == 0
    assert "This model is quantised already" in done.out


def test_own_figures_stand_beside_the_rules(edge: Edge, tmp_path: Path) -> None:
    """A published figure is of another board and another model."""
    State(tmp_path / FILE_NAME).add(LAST, as_record(three_variants()))
    done = edge("advise", "--hardware", "pi4", "--measurements", ".")
    assert done.code == 0
    said = " ".join(done.out.split())
    assert "int8: 2.00 times as fast as the parent with 1 thread, 1.50 times as fast as the parent" in said
    assert "3.00 times smaller, loses 0.010 mAP" in said
    assert "Test board" in said
    record = json.loads(edge("advise", "--hardware", "pi4", "--measurements", ".", "--json").out)
    assert record["measured_on"]["board"] == "Test board"
    assert record["rules"][0]["measured"][0]["name"] == "int8"


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (("--hardware", "pi6"), 2, "'pi6' is unknown; choose from auto, pi-zero-2w"),
        (("--hardware", "pi4", "--measurements", "."), 2, "holds no comparison"),
        (("--hardware", "pi4", "--measurements", "none"), 2, "--measurements: none is no folder"),
        (("none.tflite", "--hardware", "pi4"), 3, "no such file"),
    ],
)
def test_what_is_wrong_is_one_line(edge: Edge, flags: tuple[str, ...], code: int, said: str) -> None:
    done = edge("advise", *flags)
    assert (done.code, done.out, len(done.err.splitlines())) == (code, "", 1)
    assert said in done.err
