"""``edge-runtime selftest``: is what this board sees, and how fast, what is known to be there?"""

from __future__ import annotations

import argparse
import json
import re
from typing import TYPE_CHECKING, Any

from edge_runtime.cli.settings import GROUPS, add_settings, checked, load_settings
from edge_runtime.cli.streams import show, tell
from edge_runtime.config import Config
from edge_runtime.values import number, path, text, whole

if TYPE_CHECKING:
    from edge_runtime.detector import Detector
    from edge_runtime.selftest.run import Report

USAGE = "[--source NAME] [--print-card FILE] [FLAG ...]"
SETTINGS = (*(name for name in GROUPS["model"] if name != "task"), "threshold")
FAILED = 1
SCENE_PICTURES, SOURCE_PICTURES = 60, 300
SCENE_FPS = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    group = parser.add_argument_group(
        "self-test",
        "Checks recall, colour order (of the source, and of the model's input), orientation and latency. Exit code 0: "
        f"all passed; {FAILED}: a check failed or could not be made; the others as for every command.",
    )
    # Not the setting of that name: the settings of a service name the camera, and the card is not before it yet.
    group.add_argument("--source", metavar="NAME", help="a camera, stream, video or picture that shows the test card; "
                       "without it drawn scenes, with the card in each fifth of them")  # fmt: skip
    group.add_argument("--frames", metavar="N", help=f"most pictures to look at (default {SCENE_PICTURES}; with "
                       f"--source {SOURCE_PICTURES}, fewer if the card was seen in 10)")  # fmt: skip
    group.add_argument("--max-latency-ms", metavar="MS", help="fail if the p95 from picture to detections is longer; "
                       "without it, longer than the source's frame interval is noted")  # fmt: skip
    group.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    card = parser.add_argument_group("test card")
    card.add_argument("--print-card", metavar="FILE", help="write the card (A4) as .pdf, .svg or .png, and end")
    card.add_argument("--overwrite", action="store_true", help="replace that file if it exists")
    add_settings(parser, SETTINGS)


def execute(args: argparse.Namespace) -> int:
    """Write the card if it is asked for, else run the self-test and print its report."""
    config = load_settings(args, SETTINGS).config
    if args.print_card is not None:
        file = checked("--print-card", path, args.print_card)
        from edge_runtime.selftest.printing import print_card

        print_card(file, overwrite=args.overwrite)
        if not args.quiet:
            tell(f"wrote {file}", level=6)
        return 0
    source = "scene" if args.source is None else checked("--source", text, args.source)
    most = SOURCE_PICTURES if args.source else SCENE_PICTURES
    frames = most if args.frames is None else checked("--frames", whole(1, 10**6), args.frames)
    latency = args.max_latency_ms
    max_latency_ms = None if latency is None else checked("--max-latency-ms", number(0.01, 10**6, "ms"), latency)
    report, facts = _test(config, source, frames, max_latency_ms)
    show(json.dumps({**facts, **report.record()}) if args.json else table(report, facts))
    return 0 if report.has_passed else FAILED


def _test(config: Config, source: str, frames: int, max_latency_ms: float | None) -> tuple[Report, dict[str, Any]]:
    from edge_runtime.capture.open import redact
    from edge_runtime.service import build_detector, require_model

    facts: dict[str, Any] = {"model": str(require_model(config)), "source": redact(source)}
    with build_detector(config) as detector:
        facts["backend"] = str(detector.describe())
        scene = re.fullmatch(r"\s*scene(?::(\d+))?\s*", source)
        if scene is None:
            return _test_source(detector, source, frames, max_latency_ms), facts
        from edge_runtime.selftest.frames import SEED, shown_scenes
        from edge_runtime.selftest.run import run_selftest

        pictures = shown_scenes(frames, SEED if scene[1] is None else int(scene[1]))
        return run_selftest(detector, pictures, interval_ms=1000 / SCENE_FPS, max_latency_ms=max_latency_ms), facts


def _test_source(detector: Detector, text: str, frames: int, max_latency_ms: float | None) -> Report:
    from edge_runtime.capture.open import open_source
    from edge_runtime.selftest.run import ENOUGH, require_shapes, run_selftest, watched

    require_shapes(detector)  # before somebody takes up the card
    with open_source(text) as source:
        if source.is_live:
            tell(f"hold the test card before the camera, this side up; looking for it in {frames} pictures")
        return run_selftest(
            detector,
            watched(source, frames),
            interval_ms=1000 / (source.fps or SCENE_FPS),
            max_latency_ms=max_latency_ms,
            enough=ENOUGH,
        )


def table(report: Report, facts: dict[str, Any]) -> str:
    """Return the report for a terminal: one line for each check."""
    head = [
        f"model     {facts['model']}",
        f"backend   {facts['backend']}",
        f"source    {facts['source']}, pictures: {report.pictures}, with the test card in sight: {report.cards_seen}",
        "",
        f"{'check':<15} {'result':<8} {'figure':>8} {'limit':>8}",
    ]
    rows = [
        f"{one.name:<15} {one.status:<8} {'-' if one.figure is None else f'{one.figure:.2f}':>8} {one.limit:>8.2f}  "
        f"{one.said}"
        for one in report.checks
    ]
    wrong = ", ".join(one.name for one in report.checks if one.status not in ("pass", "note"))
    return "\n".join([*head, *rows, "", *_advice(report), "failed: " + wrong if wrong else "passed"])


def _advice(report: Report) -> list[str]:
    """Return what to do, each thing once, with the checks that want it."""
    names: dict[str, list[str]] = {}
    for one in report.checks:
        names.setdefault(one.advice, []).append(one.name)
    return [f"{', '.join(wanting)}: {advice}" for advice, wanting in names.items() if advice]
