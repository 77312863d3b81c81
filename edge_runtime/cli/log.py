"""``edge-runtime log``: what is in the files a run has written."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.cli.settings import checked
from edge_runtime.cli.streams import show, show_lines, tell
from edge_runtime.errors import ConfigError
from edge_runtime.values import path

if TYPE_CHECKING:
    from edge_runtime.logbook.reading import Line

USAGE = "verify|cat|stats|report FILE ... [FLAG ...]"
CHOOSING = ("type", "since", "until", "label")
FLAGS = {
    "verify": (),
    "cat": CHOOSING,
    "stats": (*CHOOSING, "json"),
    "report": (*CHOOSING, "output", "overwrite"),
}
"""What each action takes; a flag that would do nothing is refused."""
FAILED = 1
MOST_PROBLEMS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.add_argument("action", metavar="ACTION", help=f"one of {', '.join(FLAGS)}")
    parser.add_argument("files", metavar="FILE", nargs="+", help="logs and telemetry in JSON lines, also .gz; in order")
    chosen = parser.add_argument_group("cat, stats and report")
    chosen.add_argument("--type", metavar="TYPE", help="only detections, state, telemetry or event")
    chosen.add_argument("--since", metavar="TIME", help="not before 2026-11-21 or 2026-11-21T06:30 (UTC)")
    chosen.add_argument("--until", metavar="TIME", help="not after")
    chosen.add_argument("--label", metavar="NAME", help="only frames with one of these")
    making = parser.add_argument_group("stats and report")
    making.add_argument("--json", action="store_true", help="stats as JSON")
    making.add_argument("--output", metavar="FILE", help="report: .html or .png to write")
    making.add_argument("--overwrite", action="store_true", help="replace a file that exists")


def execute(args: argparse.Namespace) -> int:
    """Do one of the four."""
    if args.action not in FLAGS:
        raise ConfigError(f"log: {args.action!r} is not allowed; give one of {', '.join(FLAGS)}")
    for flag in dict.fromkeys(one for flags in FLAGS.values() for one in flags):
        if getattr(args, flag) and flag not in FLAGS[args.action]:
            takers = ", ".join(action for action, flags in FLAGS.items() if flag in flags)
            raise ConfigError(f"--{flag}: does nothing for log {args.action}, only for {takers}; leave it out")
    files = [checked("FILE", path, name) for name in args.files]
    return {"verify": _verify, "cat": _cat, "stats": _stats, "report": _report}[args.action](args, files)


def _cat(args: argparse.Namespace, files: list[Path]) -> int:
    damaged = 0

    def whole() -> Iterator[bytes]:
        nonlocal damaged
        for line in _chosen(args, files):
            if line.record is None:
                damaged += 1
            else:
                yield line.text

    show_lines(whole())
    if damaged:
        tell(f"damaged lines left out: {damaged:,}; edge-runtime log verify lists them", level=4)
    return 0


def _stats(args: argparse.Namespace, files: list[Path]) -> int:
    from edge_runtime.logbook.stats import as_json, describe, gather

    found = gather(_chosen(args, files))
    show(json.dumps(as_json(found)) if args.json else describe(found))
    return 0 if found.records or not found.damaged else FAILED


def _report(args: argparse.Namespace, files: list[Path]) -> int:
    from edge_runtime.wholefile import check_output, write_whole

    if args.output is None:
        raise ConfigError("--output: is missing; name the report, as in --output report.html")
    target = checked("--output", path, args.output)
    if target.suffix.lower() not in (".html", ".png"):
        raise ConfigError(f"--output: {target} is not allowed; give a name that ends in .html or .png")
    check_output(target, overwrite=args.overwrite)
    from edge_runtime.logbook.report import html_report, png_report

    make = html_report if target.suffix.lower() == ".html" else png_report
    write_whole(target, make(_chosen(args, files)))
    show(f"wrote {target}")
    return 0


def _verify(args: argparse.Namespace, files: list[Path]) -> int:
    """Print a line for each file and its first problems; return 1 where there are any."""
    del args
    from edge_runtime.logbook.reading import read_lines
    from edge_runtime.logbook.stats import counted

    is_whole = True
    for file in files:
        kinds: Counter[str] = Counter()
        first: list[str] = []
        damaged = 0
        for line in read_lines(file):
            if line.record is not None:
                kinds[line.record["type"]] += 1
                continue
            damaged += 1
            if len(first) < MOST_PROBLEMS:
                first.append(f"  line {line.number}: {line.problem}")
        bad = f"; damaged {damaged:,}" if damaged else ""
        rest = [f"  and {damaged - len(first):,} more"] if damaged > len(first) else []
        show("\n".join([f"{file}: {counted(kinds)}{bad}", *first, *rest]))
        is_whole = is_whole and not damaged
    return 0 if is_whole else FAILED


def _chosen(args: argparse.Namespace, files: list[Path]) -> Iterator[Line]:
    """Give the lines the flags leave; damaged ones only where nothing is chosen."""
    from edge_runtime.logbook.reading import TYPES, read_lines, seconds_of

    if args.type is not None and args.type not in TYPES:
        raise ConfigError(f"--type: {args.type!r} is not allowed; give one of {', '.join(TYPES)}")
    since, until = (_time(flag, getattr(args, flag)) for flag in ("since", "until"))
    if since is not None and until is not None and since > until:
        raise ConfigError(f"--since: {args.since!r} is after --until {args.until!r}; give the earlier time first")
    is_all = not any(getattr(args, flag) for flag in CHOOSING)
    for file in files:
        for line in read_lines(file):
            if line.record is None:
                if is_all:
                    yield line
                continue
            seconds = seconds_of(line.record)
            assert seconds is not None, "a record without a time is a problem"
            if args.type not in (None, line.record["type"]):
                continue
            if (since is not None and seconds < since) or (until is not None and seconds > until):
                continue
            if args.label is not None and not _has_label(line.record, args.label):
                continue
            yield line


def _has_label(record: dict[str, object], label: str) -> bool:
    found = record.get("detections")
    return isinstance(found, list) and any(isinstance(one, dict) and one.get("label") == label for one in found)


def _time(flag: str, said: str | None) -> float | None:
    if said is None:
        return None
    try:
        parsed = datetime.fromisoformat(said)
    except ValueError:
        raise ConfigError(
            f"--{flag}: {said!r} is not allowed; give a time as in 2026-11-21 or 2026-11-21T06:30"
        ) from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
