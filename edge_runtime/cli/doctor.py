"""``edge-runtime doctor``: what of this machine and its settings is in order, and what mends the rest."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from edge_runtime import __version__
from edge_runtime.cli.help import terminal_width
from edge_runtime.cli.settings import add_settings, checked, load_settings
from edge_runtime.cli.streams import show
from edge_runtime.errors import ConfigError
from edge_runtime.values import number

if TYPE_CHECKING:
    from edge_runtime.doctor.finding import Finding, Report
    from edge_runtime.doctor.machine import Settings

USAGE = "[--json] [--max-secs S] [--config FILE] [FLAG ...]"
FAILED = 1
COLOURS = {"ok": "32", "warning": "33", "error": "1;31", "skipped": "2"}
"""SGR codes for a terminal. Source: ECMA-48, 8.3.117."""
INDENT = 12
_CONTINUES = " \\"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command, and those of run, so that a command line can be tried out."""
    group = parser.add_argument_group(
        "doctor",
        "Looks at Python, packages, board, cameras, accelerators, power, storage, memory, clock, display, service and "
        "settings; says what mends each fault; changes nothing. Without --config it takes the settings of the "
        f"installed service, if there are any. Exit code 0: no errors; {FAILED}: at least one.",
    )
    group.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    group.add_argument("--max-secs", metavar="S", help="most seconds to take (default 8.5); a slow or busy board may "
                       "need more for what is tried in a child process")  # fmt: skip
    add_settings(parser)


def execute(args: argparse.Namespace) -> int:
    """Print what was found."""
    from edge_runtime.doctor.machine import Machine
    from edge_runtime.doctor.run import TOTAL_S, examine

    total_s = TOTAL_S if args.max_secs is None else checked("--max-secs", number(3, 3600, "seconds"), args.max_secs)
    machine = Machine()
    report = examine(machine, settings_of(args), total_s)
    if args.json:
        show(json.dumps(report.record(__version__, machine.wall_clock()), ensure_ascii=False))
    else:
        paints = has_colours(sys.stdout, os.environ)
        show(table(report, terminal_width(), paints=paints, only_wrong=args.quiet))
    return 0 if report.has_passed else FAILED


def settings_of(
    args: argparse.Namespace, environment: Mapping[str, str] = os.environ, service_file: Path | None = None
) -> Settings:
    """Return the settings in force; an error in them is part of them, so that the rest is looked at all the same.

    Where no file is named, and the service has one, it is that one.

    Args:
        args: of this command.
        environment: the process's variables.
        service_file: where that of the service lies; None is where its unit looks.
    """
    from edge_runtime.config import Config
    from edge_runtime.doctor.configuration import SERVICE_FILE
    from edge_runtime.doctor.machine import Settings

    named = args.config or environment.get("EDGE_RUNTIME_CONFIG")
    service_file = service_file or SERVICE_FILE
    is_service = named is None and os.access(service_file, os.R_OK)
    if is_service:
        args.config = str(service_file)
    file = service_file if is_service else Path(named).expanduser() if named else None
    try:
        return Settings(load_settings(args).config, file, is_service)
    except ConfigError as exc:
        return Settings(Config(), file, is_service, str(exc))


def has_colours(stream: TextIO | None, environment: Mapping[str, str]) -> bool:
    """Return whether to colour what goes to a stream. Source: no-color.org."""
    if stream is None or not stream.isatty():
        return False
    return not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def table(report: Report, width: int, *, paints: bool = False, only_wrong: bool = False) -> str:
    """Return the report for a terminal, `width` columns wide.

    Args:
        report: what was found.
        width: columns; a word longer than a line is not torn.
        paints: colour the statuses.
        only_wrong: leave out what is in order, and what was skipped.
    """
    blocks = []
    for section, findings in report.sections.items():
        chosen = [one for one in findings if not only_wrong or one.status in ("warning", "error")]
        if chosen:
            blocks.append("\n".join([section, *(row for one in chosen for row in _rows(one, width, paints=paints))]))
    return "\n\n".join([*blocks, _summary(report)])


def _rows(one: Finding, width: int, *, paints: bool) -> Iterator[str]:
    """Yield the lines of one finding: its status, what was found, and below what to do."""
    status = f"{one.status:<{INDENT - 3}}"
    if paints:
        status = f"\x1b[{COLOURS[one.status]}m{status}\x1b[0m"
    margin = " " * INDENT
    lines = textwrap.wrap(f"{one.name}: {one.said}", width - INDENT, break_long_words=False, break_on_hyphens=False)
    yield f"  {status} {lines[0]}"
    yield from (margin + line for line in lines[1:])
    if one.advice:
        yield from textwrap.wrap(one.advice, width, initial_indent=f"{margin}> ", subsequent_indent=f"{margin}  ",
                                 break_long_words=False, break_on_hyphens=False)  # fmt: skip
    if one.command:
        yield from _command_lines(one.command, width)


def _command_lines(command: str, width: int) -> Iterator[str]:
    """Yield a command over as many lines as it needs; they work when they are copied as they stand."""
    lead, follow = " " * INDENT + "$ ", " " * (INDENT + 4)
    line = lead
    for word in _words(command):
        if line.strip(" $") and len(line) + len(word) + len(_CONTINUES) > width:
            yield line.rstrip() + _CONTINUES
            line = follow
        line += f"{word} "
    yield line.rstrip()


def _words(command: str) -> list[str]:
    """Return the words of a command as they are written, quoted ones whole: a line must not end within quotes."""
    lexer = shlex.shlex(command, posix=False, punctuation_chars="")
    lexer.whitespace_split, lexer.commenters = True, ""
    return list(lexer)


def _summary(report: Report) -> str:
    counted = [(report.count(status), status) for status in ("error", "warning")]
    if not any(count for count, _ in counted):
        return "all is well"
    return ", ".join(f"{count or 'no'} {word}{'' if count == 1 else 's'}" for count, word in counted)
