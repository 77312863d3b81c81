"""``edge-runtime advise``: which variants to make for which hardware, and why."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.cli.help import terminal_width
from edge_runtime.cli.settings import checked
from edge_runtime.cli.streams import show
from edge_runtime.values import path

if TYPE_CHECKING:
    from edge_runtime.compare.advise import Hardware, Measurements, Rule
    from edge_runtime.compare.rows import Row

USAGE = "[MODEL] [--hardware NAME] [FLAG ...]"
TITLES = {"make": "Make", "try": "Try", "avoid": "Avoid", "know": "Know"}
WIDEST = 98
CLOSING = (
    "None of this is a promise: the same step made one network 17 times faster and another slower. Measure on the "
    "board: edge-runtime optimize, then compare, then tune."
)
UNIT = re.compile(r"(\d) (GHz|GB|MB|ms|times)\b")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.add_argument("model", metavar="MODEL", nargs="?", help="a .tflite file; the advice then looks at what it is")
    group = parser.add_argument_group("advice")
    group.add_argument("--hardware", default="auto", metavar="NAME", help="auto, pi-zero-2w, pi3, pi4, pi5, edgetpu, "
                       "gpu, mcu, jetson or x86; auto: this board (default auto)")  # fmt: skip
    group.add_argument("--measurements", metavar="DIR", help="folder that edge-runtime compare was run on; its figures "
                       "then stand beside the rules")  # fmt: skip
    group.add_argument("--json", action="store_true", help="print one JSON object instead of a text")


def execute(args: argparse.Namespace) -> int:
    """Print what applies."""
    from edge_runtime.compare.advise import advice_for, find_hardware, read_measurements
    from edge_runtime.model.flatbuffer import read_model

    hardware = find_hardware(args.hardware)
    model = None if args.model is None else read_model(checked("MODEL", path, args.model))
    measured = None
    if args.measurements is not None:
        measured = read_measurements(Path(checked("--measurements", path, args.measurements)))
    rules = advice_for(hardware, model)
    show(_as_json(hardware, rules, measured) if args.json else _as_text(hardware, rules, measured))
    return 0


def _as_json(hardware: Hardware, rules: Sequence[Rule], measured: Measurements | None) -> str:
    from edge_runtime.compare.advise import measured_rows

    told = []
    for rule in rules:
        rows = measured_rows(rule.technique, measured.rows) if measured else []
        told.append({**dataclasses.asdict(rule), "measured": [dataclasses.asdict(row) for row in rows]})
    record = {
        "schema": 1,
        "type": "advice",
        "hardware": dataclasses.asdict(hardware),
        "rules": told,
        "measured_on": None if measured is None else {"board": measured.board, "engine": measured.engine},
    }
    return json.dumps(record, indent=1)


def _as_text(hardware: Hardware, rules: Sequence[Rule], measured: Measurements | None) -> str:
    from edge_runtime.compare.advise import measured_rows

    width = min(WIDEST, terminal_width())
    lines = _wrapped(f"{hardware.name}: {hardware.about}.", width, "")
    for rule in rules:
        title = rule.title or f"{TITLES[rule.verdict]} {rule.technique}"
        lines += ["", title, *_wrapped(rule.reason, width), *_wrapped(f"Source: {rule.source}", width)]
        for row in measured_rows(rule.technique, measured.rows) if measured else ():
            assert measured is not None, "rows come from there"
            lines += _wrapped(f"Measured: {_figures(row, measured.rows[0])}", width)
    if hardware.published:
        lines += ["", "Published by others"]
        for one in hardware.published:
            lines += _wrapped(one, width)
    lines += ["", *_closing(hardware, measured, width)]
    return "\n".join(lines)


def _wrapped(text: str, width: int, indent: str = "  ") -> list[str]:
    """Return the text in lines; a number stays with its unit."""
    joined = UNIT.sub("\\1\N{NO-BREAK SPACE}\\2", text)
    lines = textwrap.wrap(
        joined, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def _figures(row: Row, parent: Row) -> str:
    from edge_runtime.compare.rows import counted, ratios

    if not row.is_measured:
        return f"{row.name} did not run ({row.reason})"
    against = ratios(row, parent)
    parts = [
        f"{_speed(ratio, is_noise=against.is_noise[count])} the parent with {counted(count, 'thread')}"
        for count, ratio in against.speed.items()
    ]
    if against.zstd is not None:
        parts.append(f"{against.zstd:.2f} times smaller")
    if row.drop is not None:
        parts.append(f"loses {row.drop:.3f} mAP")
    return f"{row.name}: {', '.join(parts)}"


def _speed(ratio: float, *, is_noise: bool) -> str:
    return f"within noise: ~{ratio:.2f} times as fast as" if is_noise else f"{ratio:.2f} times as fast as"


def _closing(hardware: Hardware, measured: Measurements | None, width: int) -> list[str]:
    said = hardware.closing or CLOSING
    if measured is not None:
        said = (
            f"Measured on {measured.board} with {measured.engine}, {measured.made}. Figures of another board than "
            f"the one in use ({hardware.name}) say little about it."
        )
    return _wrapped(said, width, "")
