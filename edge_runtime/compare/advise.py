"""What to make of a model for which hardware: rules from a file, each with its reason and source."""

from __future__ import annotations

import platform
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edge_runtime.compare.rows import Row, row_from_record
from edge_runtime.compare.run import LAST
from edge_runtime.compare.state import FILE_NAME, read_entries
from edge_runtime.errors import ConfigError
from edge_runtime.model.flatbuffer import ModelFile
from edge_runtime.telemetry.board import BoardProbe

AUTO = "auto"
VERDICTS = ("make", "try", "avoid", "know")
_BOARDS = (
    (r"raspberry pi zero 2", "pi-zero-2w"),
    (r"raspberry pi (3|compute module 3)", "pi3"),
    (r"raspberry pi (4|compute module 4)", "pi4"),
    (r"raspberry pi (5|compute module 5)", "pi5"),
    (r"jetson|nvidia", "jetson"),
)
"""What firmware calls a board -> its id; "Raspberry Pi 400" and "500" are a 4 and a 5."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """A kind of board or accelerator."""

    id: str
    name: str
    about: str
    published: tuple[str, ...]  # times others have published, with where
    closing: str = ""  # how to measure there; empty: with edge-runtime on the board


@dataclass(frozen=True, slots=True)
class Rule:
    """One piece of advice."""

    hardware: tuple[str, ...]
    technique: str  # as optimize calls it, or empty
    verdict: str  # one of VERDICTS
    reason: str
    source: str
    when: str | None = None  # what the model must have
    title: str = ""  # its heading; empty: verdict and technique


@cache
def read_rules() -> tuple[dict[str, Hardware], tuple[Rule, ...]]:
    """Return the hardware by id, and the rules in the order of their file."""
    table = tomllib.loads(Path(__file__).with_name("rules.toml").read_text(encoding="utf-8"))
    known = {
        key: Hardware(id=key, **{**one, "published": tuple(one["published"])}) for key, one in table["hardware"].items()
    }
    return known, tuple(Rule(**{**one, "hardware": tuple(one["hardware"])}) for one in table["rule"])


def find_hardware(asked: str, *, board: str | None = None, machine: str | None = None) -> Hardware:
    """Return the hardware of this id; for "auto" that of this board.

    Args:
        asked: an id, or "auto".
        board: what the board calls itself; None asks it.
        machine: "aarch64", "x86_64"; None asks the system.

    Raises:
        ConfigError: it is unknown.
    """
    known, _ = read_rules()
    if asked in known:
        return known[asked]
    choices = ", ".join(known)
    if asked != AUTO:
        raise ConfigError(f"--hardware: {asked!r} is unknown; choose from {AUTO}, {choices}")
    name = BoardProbe().model() if board is None else board
    kind = platform.machine() if machine is None else machine
    found = next((one for pattern, one in _BOARDS if re.search(pattern, name, re.IGNORECASE)), None)
    if found is None and kind in ("x86_64", "AMD64", "i686"):
        found = "x86"
    if found is None:
        raise ConfigError(
            f"--hardware: this board calls itself {name!r} ({kind}), which is unknown; give one of {choices}"
        )
    return known[found]


def traits(model: ModelFile) -> set[str]:
    """Return what the rules ask of a model: "depthwise", "float", "integer", "edgetpu", "postprocess"."""
    found = set()
    if model.is_edgetpu:
        found.add("edgetpu")
    if "DEPTHWISE_CONV_2D" in model.operators:
        found.add("depthwise")
    if "TFLite_Detection_PostProcess" in model.custom_operators:
        found.add("postprocess")
    is_integer = any(one.dtype.kind in "iu" and one.quantization for one in (*model.inputs, *model.outputs))
    found.add("integer" if is_integer else "float")
    return found


def advice_for(hardware: Hardware, model: ModelFile | None = None) -> list[Rule]:
    """Return the rules that apply, "make" first, then "try", "avoid" and "know".

    What the model is leads. Where none is given, what holds for most detectors applies.
    """
    _, rules = read_rules()
    has = {"depthwise", "postprocess"} if model is None else traits(model)
    apply = [one for one in rules if hardware.id in one.hardware and (one.when is None or one.when in has)]
    return sorted(apply, key=lambda one: (one.when not in ("edgetpu", "integer"), VERDICTS.index(one.verdict)))


@dataclass(frozen=True, slots=True)
class Measurements:
    """What a comparison on a board has found."""

    board: str
    engine: str
    made: str
    rows: tuple[Row, ...]


def read_measurements(folder: Path) -> Measurements:
    """Return the last comparison in a folder.

    Raises:
        ConfigError: there is none, or no folder.
    """
    if not folder.is_dir():
        raise ConfigError(f"--measurements: {folder} is no folder; give the one that edge-runtime compare was run on")
    record = read_entries(folder / FILE_NAME).get(LAST)
    try:
        return _measurements(record or {})
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise ConfigError(
            f"--measurements: {folder} holds no comparison; make one with edge-runtime compare {folder}"
        ) from exc


def _measurements(record: Mapping[str, Any]) -> Measurements:
    rows = tuple(row_from_record(one) for one in record["rows"])
    return Measurements(str(record["board"]), str(record["engine"]), str(record["made"]), rows)


def measured_rows(technique: str, rows: Sequence[Row]) -> list[Row]:
    """Return the rows of variants that this technique made: "int8" is in "int8", "prune-int8" and "int8.uint8"."""
    words = (re.split(r"[^a-z0-9]+", row.name.lower()) for row in rows)
    return [row for row, parts in zip(rows, words, strict=True) if technique and technique.lower() in parts]
