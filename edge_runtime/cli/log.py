"""``edge-runtime log``: what is in the files a run has written."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.cli.settings import checked
from edge_runtime.cli.streams import show
from edge_runtime.clock import rfc3339
from edge_runtime.config import path
from edge_runtime.errors import ConfigError

if TYPE_CHECKING:
    from edge_runtime.logbook.reading import Line
    from edge_runtime.logbook.stats import Statistics

USAGE = "verify|cat|stats|report FILE ... [FLAG ...]"
ACTIONS = ("verify", "cat", "stats", "report")
DAMAGED = 1
MOST_PROBLEMS = 5
MOST_LABELS = 10
MOST_STATES = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.add_argument("action", metavar="ACTION", help=f"one of {', '.join(ACTIONS)}")
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
    files = [checked("FILE", path, name) for name in args.files]
    if args.action == "verify":
        return _verify(files)
    if args.action == "cat":
        for line in _chosen(args, files):
            sys.stdout.buffer.write(line.text + b"\n")
        sys.stdout.flush()
        return 0
    if args.action == "stats":
        from edge_runtime.logbook.stats import gather

        found = gather(_chosen(args, files))
        show(json.dumps(as_json(found)) if args.json else describe(found))
        return 0
    if args.action == "report":
        return _report(args, files)
    raise ConfigError(f"log: {args.action!r} is not allowed; give one of {', '.join(ACTIONS)}")


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


def _verify(files: list[Path]) -> int:
    """Print a line for each file and its first problems; return 1 where there are any."""
    from collections import Counter

    from edge_runtime.logbook.reading import read_lines

    is_whole = True
    for file in files:
        kinds: Counter[str] = Counter()
        problems = []
        for line in read_lines(file):
            if line.record is None:
                problems.append(f"  line {line.number}: {line.problem}")
            else:
                kinds[line.record["type"]] += 1
        counted = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common()) or "no records"
        bad = f"; {len(problems):,} damaged" if problems else ""
        rest = [f"  and {len(problems) - MOST_PROBLEMS:,} more"] if len(problems) > MOST_PROBLEMS else []
        show("\n".join([f"{file}: {counted}{bad}", *problems[:MOST_PROBLEMS], *rest]))
        is_whole = is_whole and not problems
    return 0 if is_whole else DAMAGED


def _chosen(args: argparse.Namespace, files: list[Path]) -> Iterator[Line]:
    """Give the lines the flags leave; damaged ones only where nothing is chosen, and never to `cat`."""
    from edge_runtime.logbook.reading import TYPES, read_lines, seconds_of

    if args.type is not None and args.type not in TYPES:
        raise ConfigError(f"--type: {args.type!r} is not allowed; give one of {', '.join(TYPES)}")
    since, until = (_time(flag, getattr(args, flag)) for flag in ("since", "until"))
    is_all = (args.type, since, until, args.label) == (None, None, None, None)
    for file in files:
        for line in read_lines(file):
            if line.record is None:
                if is_all and args.action != "cat":
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


def as_json(found: Statistics) -> dict[str, object]:
    """Return the statistics as plain numbers and texts."""
    return {
        "lines": found.lines,
        "damaged": found.damaged,
        "records": dict(found.records),
        "first": None if found.first_s is None else rfc3339(found.first_s),
        "last": None if found.last_s is None else rfc3339(found.last_s),
        "frames_with_detections": found.frames_with_detections,
        "labels": dict(found.labels.most_common()),
        "sources": dict(found.sources.most_common()),
        "latency_ms": {name: _rounded(found.latency_ms.at(share)) for name, share in SHARES.items()},
        "gaps": found.gaps,
        "longest_gap_s": round(found.longest_gap_s, 3),
        "clock_jumps_back": found.clock_jumps_back,
        "dropped": found.dropped,
        "peak_rss_bytes": found.peak_rss_bytes or None,
        "hottest_celsius": found.hottest_celsius,
        "states": [dict(zip(("time", "part", "from", "to", "reason"), one, strict=True)) for one in found.states],
    }


SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "max": 1.0}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def describe(found: Statistics) -> str:
    """Return the statistics as lines to read."""
    if found.first_s is None or found.last_s is None:
        return f"no records in {found.lines:,} lines"
    rows = [
        ("from", f"{rfc3339(found.first_s)} to {rfc3339(found.last_s)}"),
        ("records", ", ".join(f"{count:,} {kind}" for kind, count in found.records.most_common())),
    ]
    if found.damaged:
        rows.append(("damaged", f"{found.damaged:,} lines; edge-runtime log verify lists them"))
    if found.records["detections"]:
        rows += _frames(found)
    if found.peak_rss_bytes:
        rows.append(("memory", f"{found.peak_rss_bytes / 2**20:.1f} MiB at most"))
    if found.hottest_celsius is not None:
        rows.append(("temperature", f"{found.hottest_celsius:.1f} °C at most"))
    lines = [f"{key:<12} {value}" for key, value in rows]
    if found.states:
        shown = found.states[-MOST_STATES:]
        lines.append(f"\nchanges of state, the last {len(shown)} of {len(found.states)}:")
        lines += [f"  {time}  {part}: {before} -> {after}  {reason}" for time, part, before, after, reason in shown]
    return "\n".join(lines)


def _frames(found: Statistics) -> list[tuple[str, str]]:
    frames = found.records["detections"]
    labels = [f"{label} {count:,}" for label, count in found.labels.most_common(MOST_LABELS)]
    more = len(found.labels) - len(labels)
    latency = "  ".join(f"{name} {value:.1f}" for name, share in SHARES.items()
                        if (value := found.latency_ms.at(share)) is not None)  # fmt: skip
    rows = [
        ("frames", f"{frames:,}, {found.frames_with_detections:,} with detections"),
        ("labels", ", ".join([*labels, *([f"and {more} more"] if more > 0 else [])]) or "none"),
        ("ms", latency or "not measured"),
        ("gaps", f"{found.gaps:,} of more than 10 s, the longest {found.longest_gap_s:,.1f} s"),
    ]
    if found.clock_jumps_back:
        rows.append(("clock", f"went back {found.clock_jumps_back:,} times"))
    return rows
