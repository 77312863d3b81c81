"""``edge-runtime evaluate``: how much of what is in pictures a model finds."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.cli.progress import interruptible, progress
from edge_runtime.cli.settings import GROUPS, add_settings, checked, load_settings
from edge_runtime.cli.streams import show
from edge_runtime.config import STDOUT, Config
from edge_runtime.errors import ConfigError
from edge_runtime.values import number, path, whole
from edge_runtime.wholefile import check_output, write_whole

if TYPE_CHECKING:
    from edge_runtime.evaluate.dataset import Dataset
    from edge_runtime.evaluate.run import Evaluation

USAGE = "MODEL (--images DIR --annotations FILE | --scenes N) [FLAG ...]"
SETTINGS = (*(name for name in GROUPS["model"] if name not in ("model", "task", "fallback")), "iou")
"""Not what serves instead where a backend fails: its figures would be another's."""

THRESHOLD = 0.001
MAX_DETECTIONS = 100
PLOTS = (".png", ".svg")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.add_argument_group("what is measured").add_argument("model", metavar="MODEL", help="a .tflite file")
    data = parser.add_argument_group("pictures with known truth")
    data.add_argument("--images", metavar="DIR", help="folder of the pictures")
    data.add_argument("--annotations", metavar="FILE", help="what is in them, JSON in COCO's form")
    data.add_argument("--scenes", metavar="N", help="instead of these, so many drawn scenes")
    data.add_argument("--seed", metavar="N", help="what the scenes are drawn from (default 2)")
    data.add_argument("--limit", metavar="N", help="only the first so many pictures")
    measure = parser.add_argument_group("measurement")
    # Not the setting of that name: what a service reports is a choice, what a model can find is not.
    measure.add_argument("--threshold", metavar="SCORE", default=f"{THRESHOLD:g}",
                         help=f"lowest score to count, 0 to 1 (default {THRESHOLD:g}); mAP needs the low ones, "
                              "too")  # fmt: skip
    files = parser.add_argument_group("files")
    files.add_argument("--json", metavar="FILE", help="all figures, for programs; - is stdout, instead of the table")
    files.add_argument("--results", metavar="FILE", help="every detection, JSON in COCO's form")
    files.add_argument("--plot", metavar="FILE", help="precision over recall and the classes, .png or .svg")
    files.add_argument("--overwrite", action="store_true", help="replace files that exist")
    add_settings(parser, SETTINGS)


def execute(args: argparse.Namespace) -> int:
    """Print the figures and write the files asked for; all of them, once everything is known."""
    config = load_settings(args, SETTINGS).config
    model = checked("MODEL", path, args.model)
    threshold = checked("--threshold", number(0, 1), args.threshold)
    files = _files(args)
    import pycocotools  # noqa: F401 (missing, it says so now and not after the last picture)

    if "plot" in files:
        import matplotlib  # noqa: F401
    from edge_runtime.evaluate.run import evaluate
    from edge_runtime.service import build_detector

    dataset = _dataset(args)
    wanted = replace(config, model=model, threshold=threshold, max_detections=MAX_DETECTIONS)
    with build_detector(wanted) as detector:
        info = detector.describe()
        with interruptible(_last_word), progress(quiet=args.quiet) as tick:
            found = evaluate(detector, dataset, on_progress=lambda done, total: tick("evaluating", done, total))
    from edge_runtime.evaluate.report import record

    settings = _settings(args, config, threshold)
    report = record(found, model=model, backend=info, settings=settings, dataset=dataset.name)
    with interruptible(_last_word):
        _write(files, report, found)
    _show(report, as_json=args.json == str(STDOUT))
    return 0


def _last_word() -> str:
    return "edge-runtime: interrupted; not all pictures were looked at, so there are no figures, and nothing is written"


def _files(args: argparse.Namespace) -> dict[str, Path]:
    """Return the files to write, each of which can be written as far as is known."""
    named = {
        name: checked(f"--{name}", path, value)
        for name in ("json", "results", "plot")
        if (value := getattr(args, name)) is not None and not (name == "json" and value == str(STDOUT))
    }
    if "plot" in named and named["plot"].suffix.lower() not in PLOTS:
        raise ConfigError(f"--plot: {named['plot']} has another ending than {' or '.join(PLOTS)}; use one of these")
    if len({one.resolve() for one in named.values()}) < len(named):
        raise ConfigError("--json, --results, --plot: two of them name the same file; give each a file of its own")
    for one in named.values():
        check_output(one, overwrite=args.overwrite)
    return named


def _dataset(args: argparse.Namespace) -> Dataset:
    from edge_runtime.evaluate.dataset import load_coco, scenes

    limit = None if args.limit is None else checked("--limit", whole(1, 10**9), args.limit)
    if args.scenes is not None:
        others = [f"--{name}" for name in ("images", "annotations", "limit") if getattr(args, name) is not None]
        if others:
            raise ConfigError(f"--scenes and {others[0]}: exclude one another; leave one out")
        seed = 2 if args.seed is None else checked("--seed", whole(0, 2**63 - 1), args.seed)
        return scenes(checked("--scenes", whole(1, 10**6), args.scenes), seed=seed)
    if args.seed is not None:
        raise ConfigError("--seed: is for drawn scenes; give --scenes N or leave it out")
    missing = [f"--{name}" for name in ("images", "annotations") if getattr(args, name) is None]
    if missing:
        raise ConfigError(
            f"{' and '.join(missing)}: missing; give --images DIR and --annotations FILE, or --scenes N for drawn ones"
        )
    return load_coco(
        checked("--images", path, args.images), checked("--annotations", path, args.annotations), limit=limit
    )


def _settings(args: argparse.Namespace, config: Config, threshold: float) -> dict[str, Any]:
    """Return what was asked for, so that it can be asked for again."""
    return {
        "images": args.images,
        "annotations": args.annotations,
        "limit": None if args.limit is None else int(args.limit),
        "scenes": None if args.scenes is None else int(args.scenes),
        "seed": None if args.scenes is None else int(args.seed or 2),
        "labels": None if config.labels is None else str(config.labels),
        "backend": config.backend,
        "engine": config.engine,
        "num_threads": config.num_threads,
        "threshold": threshold,
        "iou": config.iou,
        "max_detections": MAX_DETECTIONS,
    }


def _write(files: dict[str, Path], report: dict[str, Any], found: Evaluation) -> None:
    """Write the files; the contents of all are made before the first is written."""
    contents: dict[str, bytes] = {}
    if "json" in files:
        # A path that is no UTF-8 has lone surrogates in it; JSON has an escape of the same look for them.
        contents["json"] = f"{_as_json(report)}\n".encode("utf-8", "backslashreplace")
    if "results" in files:
        contents["results"] = (json.dumps(found.results, separators=(",", ":"), allow_nan=False) + "\n").encode()
    if "plot" in files:
        from edge_runtime.evaluate.plot import draw_plot

        title = f"{Path(report['model']['path']).name} on {found.images:,} pictures from {report['dataset']}"
        contents["plot"] = draw_plot(found, title, files["plot"].suffix.lower())
    for name, data in contents.items():
        write_whole(files[name], data)


def _as_json(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)


def _show(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show(_as_json(report))
        return
    from edge_runtime.cli.help import terminal_width
    from edge_runtime.evaluate.report import text

    show(text(report, width=terminal_width() if sys.stdout is not None and sys.stdout.isatty() else None))
