"""``edge-runtime compare``: every variant of a model side by side, on this board."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.cli.settings import checked
from edge_runtime.cli.streams import show
from edge_runtime.config import ENGINE_NAMES, one_of, path, whole
from edge_runtime.errors import ConfigError, OutputError
from edge_runtime.wholefile import write_whole

if TYPE_CHECKING:
    from edge_runtime.compare.accuracy import Pictures
    from edge_runtime.compare.rows import Comparison

log = logging.getLogger(__name__)

USAGE = "DIR (--images DIR --annotations FILE | --scenes N | --no-accuracy) [FLAG ...]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.add_argument("folder", metavar="DIR", help="folder of .tflite files; m.int8.tflite is a variant of m.tflite")
    group = parser.add_argument_group("variants")
    group.add_argument("--parent", metavar="FILE", help="the model the others were made from, where names do not tell")
    add_pictures(parser)
    measurement = parser.add_argument_group("measurement")
    measurement.add_argument("--no-accuracy", action="store_true",
                             help="times and sizes alone, and how far outputs are from the parent's")  # fmt: skip
    measurement.add_argument("--num-runs", default="100", metavar="N", help="invokes to time, for each variant and "
                             "number of threads (default 100)")  # fmt: skip
    add_bench(measurement)
    reports = parser.add_argument_group("reports")
    reports.add_argument("--csv", metavar="FILE", help="the table for a spreadsheet")
    reports.add_argument("--json", metavar="FILE", help="everything, for programs")
    reports.add_argument("--html", metavar="FILE", help="a page with pictures; one file that needs nothing else")
    reports.add_argument("--overwrite", action="store_true", help="replace reports that exist")


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """Add the flags that name what accuracy is measured on."""
    group = parser.add_argument_group("accuracy")
    group.add_argument("--images", metavar="DIR", help="folder of pictures with known truth")
    group.add_argument("--annotations", metavar="FILE", help="that truth, in COCO's form")
    group.add_argument("--limit", metavar="N", help="the first so many pictures only")
    group.add_argument("--scenes", metavar="N", help="so many drawn scenes of shapes instead")
    group.add_argument("--labels", metavar="FILE", help="label file, where the models have none or a wrong one")


def add_bench(group: argparse._ArgumentGroup) -> None:
    """Add the flags of every measurement."""
    group.add_argument("--engine", default="auto", metavar="NAME", help="auto, litert or tflite-runtime (default auto)")
    group.add_argument("--fresh", action="store_true", help="measure all anew; without it a broken run goes on, and "
                       "what is known stays (it lies in DIR/.edge-runtime-compare.json)")  # fmt: skip


def execute(args: argparse.Namespace) -> int:
    """Measure and report. Reports are written whole, at the end."""
    num_runs = checked("--num-runs", whole(1, 10**6), args.num_runs)
    engine = checked("--engine", one_of(*ENGINE_NAMES), args.engine)
    reports = {kind: report_path(kind, getattr(args, kind), args.overwrite) for kind in ("csv", "json", "html")}
    labels = label_file(args)
    check_pictures(args, is_needed=not args.no_accuracy)
    require_extra(needs_pictures=reports["html"] is not None, needs_accuracy=not args.no_accuracy)
    from edge_runtime.compare.measure import open_bench, state_beside
    from edge_runtime.compare.run import compare
    from edge_runtime.compare.table import colored, plain
    from edge_runtime.compare.variants import models_in, order_variants

    folder = checked("DIR", path, args.folder)
    variants = order_variants(models_in(folder), None if args.parent is None else Path(args.parent).expanduser())
    if len(variants) < 2:
        raise ConfigError(
            f"{folder}: holds one model and nothing to compare it with; make variants with edge-runtime optimize"
        )
    pictures = None if args.no_accuracy else load_pictures(args)
    bench = open_bench(state_beside(folder, is_fresh=args.fresh), engine, progress(args.quiet))
    try:
        comparison = compare(bench, variants, pictures=pictures, labels=labels, num_runs=num_runs)
    finally:
        end_progress(args.quiet)
    for kind, file in reports.items():
        if file is not None:
            write_report(kind, file, comparison)
    width = shutil.get_terminal_size().columns
    show(colored(comparison, width) if sys.stdout.isatty() else plain(comparison))
    return 0


def check_pictures(args: argparse.Namespace, *, is_needed: bool) -> None:
    """Raise ConfigError unless the flags name one set of pictures, or none where that is allowed."""
    has_coco = args.images is not None or args.annotations is not None
    if has_coco and args.scenes is not None:
        raise ConfigError("--scenes and --images: give either drawn scenes or pictures with annotations, not both")
    if has_coco and (args.images is None or args.annotations is None):
        missing, given = ("--images", "--annotations") if args.images is None else ("--annotations", "--images")
        raise ConfigError(f"{missing}: is missing, {given} alone has no truth; give both, or --scenes N")
    if args.limit is not None and not has_coco:
        raise ConfigError("--limit: is for --images; with --scenes give the number there")
    if is_needed and not has_coco and args.scenes is None:
        raise ConfigError(
            "accuracy: no pictures were given; use --images DIR --annotations FILE, or --scenes N for models that "
            "know the drawn shapes"
        )
    if not is_needed and (has_coco or args.scenes is not None):
        raise ConfigError("--no-accuracy: pictures were given, too; leave one of the two out")


def load_pictures(args: argparse.Namespace) -> Pictures | None:
    """Return the pictures these flags name; None where they name none."""
    from edge_runtime.compare.accuracy import coco_pictures, scene_pictures

    if args.scenes is not None:
        return scene_pictures(checked("--scenes", whole(1, 10**6), args.scenes))
    if args.images is None:
        return None
    limit = None if args.limit is None else checked("--limit", whole(1, 10**9), args.limit)
    return coco_pictures(
        checked("--images", path, args.images), checked("--annotations", path, args.annotations), limit
    )


def label_file(args: argparse.Namespace) -> Path | None:
    """Return what --labels names.

    Raises:
        ConfigError: there is no such file.
    """
    if args.labels is None:
        return None
    file = Path(checked("--labels", path, args.labels))
    if not file.is_file():
        raise ConfigError(f"--labels: {file} is no file; give the path of a label file")
    return file


def require_extra(*, needs_pictures: bool, needs_accuracy: bool) -> None:
    """Import what will be needed at the end, so that a missing package shows before minutes of measuring."""
    import zstandard  # noqa: F401

    if sys.stdout.isatty():
        import rich  # noqa: F401
    if needs_pictures:
        import matplotlib  # noqa: F401
    if needs_accuracy:
        import pycocotools  # noqa: F401


def report_path(flag: str, raw: str | None, may_replace: bool) -> Path | None:
    """Return where a report goes.

    Raises:
        ConfigError: it is no path.
        OutputError: there is a file already, or no folder.
    """
    if raw is None:
        return None
    file = Path(checked(f"--{flag}", path, raw))
    if file.is_dir():
        raise OutputError(f"--{flag}: {file} is a folder; give the name of a file")
    if file.exists() and not may_replace:
        raise OutputError(f"--{flag}: {file} exists; add --overwrite to replace it, or give another name")
    if not file.parent.is_dir():
        raise OutputError(f"--{flag}: the folder {file.parent} does not exist; create it first")
    return file


def write_report(kind: str, file: Path, comparison: Comparison) -> None:
    """Write one report, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    from edge_runtime.compare.rows import as_record
    from edge_runtime.compare.table import as_csv

    if kind == "html":
        from edge_runtime.compare.report import html

        text = html(comparison)
    else:
        text = as_csv(comparison) if kind == "csv" else json.dumps(as_record(comparison), indent=1) + "\n"
    write_whole(file, text.encode())


def progress(is_quiet: bool) -> Callable[[str], None]:
    """Return what takes word of each step: one line of the terminal, written over; elsewhere the log of --verbose."""
    if is_quiet or not _has_terminal():
        return lambda step: log.info("%s", step)
    return lambda step: print(f"\r\x1b[K{step}", end="", file=sys.stderr, flush=True)


def end_progress(is_quiet: bool) -> None:
    """Clear the line that `progress` wrote."""
    if not is_quiet and _has_terminal():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _has_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
