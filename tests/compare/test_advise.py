"""The rules: each has a reason and a source, and the right ones apply."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.compare.advise import (
    VERDICTS,
    advice_for,
    find_hardware,
    measured_rows,
    read_measurements,
    read_rules,
    traits,
)
from edge_runtime.compare.rows import as_record
from edge_runtime.compare.run import LAST
from edge_runtime.compare.state import FILE_NAME, State
from edge_runtime.errors import ConfigError
from edge_runtime.model.flatbuffer import read_model
from tests.compare.made import row, three_variants, write_finder
from tests.factory.models import write_echo, write_model, write_ssd

HARDWARE, RULES = read_rules()
IDS = ("pi-zero-2w", "pi3", "pi4", "pi5", "edgetpu", "gpu", "mcu", "jetson", "x86")


def made_for(hardware: str) -> list[str]:
    return [one.technique for one in advice_for(find_hardware(hardware)) if one.verdict == "make"]


def test_every_rule_is_complete() -> None:
    """Advice without a reason and a source is an opinion."""
    assert set(HARDWARE) == set(IDS)
    for rule in RULES:
        assert rule.verdict in VERDICTS
        assert set(rule.hardware) <= set(HARDWARE)
        assert len(rule.reason) > 20
        assert len(rule.source) > 3
        assert rule.when in (None, "depthwise", "float", "integer", "edgetpu", "postprocess")


def test_every_rule_has_a_heading_that_says_something() -> None:
    """A bare "Make" makes nobody wiser."""
    for rule in RULES:
        assert bool(rule.title) != bool(rule.technique), "a technique is the heading, a title stands in for it"


def test_every_technique_is_one_that_can_be_made() -> None:
    """`qat` is made by training; the others are recipes."""
    from edge_runtime.optimize.recipe import ALL

    assert {one.technique for one in RULES} - {"", "qat"} <= set(ALL)


@pytest.mark.parametrize(
    ("hardware", "technique"),
    [("pi-zero-2w", "int8"), ("pi3", "int8"), ("pi4", "int8"), ("pi5", "int8"), ("mcu", "int8"),
     ("edgetpu", "edgetpu"), ("gpu", "float16")],
)  # fmt: skip
def test_each_kind_of_hardware_gets_its_arithmetic(hardware: str, technique: str) -> None:
    assert made_for(hardware) == [technique]


def test_on_nvidia_it_is_tensorrt_and_on_a_pc_nothing_is_promised() -> None:
    [rule] = [one for one in advice_for(find_hardware("jetson")) if one.verdict == "make"]
    assert "TensorRT" in rule.reason
    assert made_for("x86") == []
    assert "0.6 times" in " ".join(one.reason for one in advice_for(find_hardware("x86")))


@pytest.mark.parametrize("hardware", IDS)
def test_slow_arithmetic_is_never_recommended(hardware: str) -> None:
    verdicts = {one.technique: one.verdict for one in advice_for(find_hardware(hardware))}
    assert verdicts.get("int16x8", "avoid") == "avoid"
    assert verdicts.get("dynamic", "avoid") == "avoid"


@pytest.mark.parametrize(
    ("board", "machine", "expected"),
    [("Raspberry Pi Zero 2 W Rev 1.0", "aarch64", "pi-zero-2w"),
     ("Raspberry Pi 3 Model B Plus Rev 1.3", "armv7l", "pi3"),
     ("Raspberry Pi 400 Rev 1.0", "aarch64", "pi4"), ("Raspberry Pi Compute Module 4 Rev 1.1", "aarch64", "pi4"),
     ("Raspberry Pi 5 Model B Rev 1.0", "aarch64", "pi5"), ("NVIDIA Jetson Nano Developer Kit", "aarch64", "jetson"),
     ("Standard PC (Q35 + ICH9, 2009)", "x86_64", "x86")],
)  # fmt: skip
def test_boards_are_known_by_what_they_call_themselves(board: str, machine: str, expected: str) -> None:
    assert find_hardware("auto", board=board, machine=machine).id == expected


@pytest.mark.parametrize("board", ["Raspberry Pi Zero W Rev 1.1", "Raspberry Pi Model B Rev 2", "Radxa ROCK 5B"])
def test_a_board_that_is_not_known_is_not_guessed(board: str) -> None:
    with pytest.raises(ConfigError, match=r"unknown; give one of pi-zero-2w, pi3"):
        find_hardware("auto", board=board, machine="aarch64")


def test_a_wrong_name_lists_the_choices() -> None:
    with pytest.raises(ConfigError, match="'pi6' is unknown; choose from auto, pi-zero-2w"):
        find_hardware("pi6")


def test_what_the_model_is_comes_first(tmp_path: Path) -> None:
    integer = read_model(write_finder(tmp_path / "a.tflite"))
    compiled = read_model(write_ssd(tmp_path / "b.tflite", custom_op="edgetpu-custom-op"))
    real = read_model(write_echo(tmp_path / "c.tflite", dtype="float32"))
    assert traits(integer) == {"integer", "postprocess"}
    assert traits(real) == {"float"}
    assert advice_for(find_hardware("pi4"), integer)[0].when == "integer"
    assert advice_for(find_hardware("pi4"), compiled)[0].when == "edgetpu"
    assert all(one.when is None for one in advice_for(find_hardware("pi4"), real))


def test_a_model_without_depthwise_convolutions_is_not_warned_of_them(tmp_path: Path) -> None:
    dense = read_model(write_model(tmp_path / "m.tflite", input_dtype="float32", heavy=1, outputs=[]))
    assert "dynamic" not in {one.technique for one in advice_for(find_hardware("pi4"), dense)}
    assert "dynamic" in {one.technique for one in advice_for(find_hardware("pi4"))}


def test_figures_of_a_comparison_stand_beside_their_technique(tmp_path: Path) -> None:
    State(tmp_path / FILE_NAME).add(LAST, as_record(three_variants()))
    found = read_measurements(tmp_path)
    assert found.board == "Test board"
    assert [one.name for one in measured_rows("int8", found.rows)] == ["int8"]


def test_joined_techniques_count_for_each_and_parts_of_words_for_none() -> None:
    rows = [row("prune-int8"), row("int8x"), row("int16x8"), row("INT8.strip")]
    assert [one.name for one in measured_rows("int8", rows)] == ["prune-int8", "INT8.strip"]
    assert measured_rows("", rows) == []


@pytest.mark.parametrize("entry", [None, {}, {"rows": [{}]}, {"rows": 3}])
def test_a_folder_without_a_comparison_says_how_to_make_one(tmp_path: Path, entry: dict[str, object] | None) -> None:
    if entry is not None:
        State(tmp_path / FILE_NAME).add(LAST, entry)
    with pytest.raises(ConfigError, match="edge-runtime compare"):
        read_measurements(tmp_path)
