"""``edge-runtime compare``: every variant of a model side by side, on this board."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.cli.progress import Tick, interruptible, progress
from edge_runtime.cli.settings import add_settings, checked, load_settings
from edge_runtime.cli.streams import show, tell
from edge_runtime.config import Config
from edge_runtime.errors import ConfigError
from edge_runtime.values import path, whole
from edge_runtime.wholefile import check_output, write_whole

if TYPE_CHECKING:
    from edge_runtime.compare.accuracy import Pictures
    from edge_runtime.compare.rows import Comparison
    from edge_runtime.compare.variants import Variant

USAGE = "DIR (--images DIR --annotations FILE | --scenes N | --no-accuracy) [FLAG ...]"
SETTINGS = ("labels", "engine")
REPORTS = ("csv", "json", "html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.add_argument("folder", metavar="DIR", help="folder of .tflite files; m.int8.tflite is a variant of m.tflite")
    group = parser.add_argument_group("variants")
    add_parent(group)
    add_pictures(parser)
    measurement = parser.add_argument_group("measurement")
    measurement.add_argument("--no-accuracy", action="store_true",
                             help="times and sizes alone, and how far outputs are from the parent's")  # fmt: skip
    measurement.add_argument("--num-runs", default="100", metavar="N", help="invokes to time, for each variant and "
                             "number of threads (default 100)")  # fmt: skip
    add_fresh(measurement)
    reports = parser.add_argument_group("reports")
    reports.add_argument("--csv", metavar="FILE", help="the table for a spreadsheet")
    reports.add_argument("--json", metavar="FILE", help="everything, for programs")
    reports.add_argument("--html", metavar="FILE", help="a page with pictures; one file that needs nothing else")
    reports.add_argument("--overwrite", action="store_true", help="replace reports that exist")
    add_settings(parser, SETTINGS)


def add_parent(group: argparse._ArgumentGroup) -> None:
    """Add the flag that names the parent."""
    group.add_argument("--parent", metavar="FILE", help="the model the others were made from; without it the one "
                       "whose name all others extend, in the folder or one above")  # fmt: skip


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """Add the flags that name what accuracy is measured on."""
    group = parser.add_argument_group("accuracy")
    group.add_argument("--images", metavar="DIR", help="folder of pictures with known truth")
    group.add_argument("--annotations", metavar="FILE", help="that truth, in COCO's form")
    group.add_argument("--limit", metavar="N", help="the first so many pictures only")
    group.add_argument("--scenes", metavar="N", help="so many drawn scenes of shapes instead")


def add_fresh(group: argparse._ArgumentGroup) -> None:
    """Add the flag that forgets what is known."""
    group.add_argument("--fresh", action="store_true", help="measure all anew; without it a broken run goes on, and "
                       "what is known stays (it lies in DIR/.edge-runtime-compare.json)")  # fmt: skip


def execute(args: argparse.Namespace) -> int:
    """Measure and report. Reports are written whole, at the end."""
    config = load_settings(args, SETTINGS).config
    num_runs = checked("--num-runs", whole(1, 10**6), args.num_runs)
    reports = _reports(args)
    labels = label_file(config)
    check_pictures(args, is_needed=not args.no_accuracy)
    require_extra(draws="html" in reports, needs_accuracy=not args.no_accuracy)
    from edge_runtime.compare.measure import open_bench, state_beside
    from edge_runtime.compare.run import compare
    from edge_runtime.compare.table import colored, plain

    folder = Path(checked("DIR", path, args.folder))
    variants = variants_in(args, folder)
    if len(variants) < 2:
        raise ConfigError(
            f"{folder}: holds one model and nothing to compare it with; make variants with edge-runtime optimize"
        )
    pictures = None if args.no_accuracy else load_pictures(args)
    with measuring(args, folder) as tick:
        bench = open_bench(state_beside(folder, is_fresh=args.fresh), config.engine, tick)
        comparison = compare(bench, variants, pictures=pictures, labels=labels, num_runs=num_runs)
        for kind, file in reports.items():
            write_whole(file, _report(kind, comparison).encode())
    width = shutil.get_terminal_size().columns
    show(colored(comparison, width) if sys.stdout.isatty() else plain(comparison))
    return 0


def variants_in(args: argparse.Namespace, folder: Path) -> Sequence[Variant]:
    """Return the models of a folder, the parent first, and say it where that one lies elsewhere.

    Raises:
        ConfigError, ModelError: see `models_in` and `order_variants`.
    """
    from edge_runtime.compare.variants import models_in, order_variants

    parent = None if args.parent is None else Path(checked("--parent", path, args.parent))
    above = folder.resolve().parent
    variants = order_variants(models_in(folder), parent, above=above)
    if parent is None and variants[0].path.parent == above and not args.quiet:
        tell(f"parent: {variants[0].path}, whose name the others extend", level=6)
    return variants


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
    """Return the pictures these flags name; None where they name none.

    Raises:
        ConfigError, CaptureError: see `coco_pictures` and `scene_pictures`.
    """
    from edge_runtime.compare.accuracy import coco_pictures, scene_pictures

    if args.scenes is not None:
        return scene_pictures(checked("--scenes", whole(1, 10**6), args.scenes))
    if args.images is None:
        return None
    limit = None if args.limit is None else checked("--limit", whole(1, 10**9), args.limit)
    images, annotations = (checked(f"--{name}", path, getattr(args, name)) for name in ("images", "annotations"))
    return coco_pictures(images, annotations, limit)


def label_file(config: Config) -> Path | None:
    """Return the label file of the settings.

    Raises:
        ConfigError: there is no such file.
    """
    if config.labels is not None and not config.labels.is_file():
        raise ConfigError(f"--labels: {config.labels} is no file; give the path of a label file")
    return config.labels


def require_extra(*, draws: bool = False, needs_accuracy: bool) -> None:
    """Import what will be needed at the end, so that a missing package shows before minutes of measuring."""
    import zstandard  # noqa: F401

    if sys.stdout.isatty():
        import rich  # noqa: F401
    if draws:
        import matplotlib  # noqa: F401
    if needs_accuracy:
        import pycocotools  # noqa: F401


@contextmanager
def measuring(args: argparse.Namespace, folder: Path) -> Iterator[Tick]:
    """Yield what takes word of each measurement; at Ctrl-C say how far it came and how to go on."""
    from edge_runtime.compare.state import FILE_NAME

    reached = ""

    def last_word() -> str:
        if not reached:
            return "edge-runtime: interrupted before the first measurement"
        again = "again without --fresh" if args.fresh else "again"
        kept = f"what was measured before is kept in {folder / FILE_NAME}"
        return f"edge-runtime: interrupted at {reached}; {kept}; run the same command {again} to go on"

    with interruptible(last_word), progress(quiet=args.quiet) as tick:

        def noted(what: str, done: int, total: int) -> None:
            nonlocal reached
            reached = f"{what} ({done} of {total})"
            tick(what, done, total)

        yield noted


def _reports(args: argparse.Namespace) -> dict[str, Path]:
    """Return by kind the files to write, each of which can be written as far as is known."""
    named = {kind: getattr(args, kind) for kind in REPORTS if getattr(args, kind) is not None}
    files = {kind: Path(checked(f"--{kind}", path, raw)) for kind, raw in named.items()}
    if len({one.resolve() for one in files.values()}) < len(files):
        raise ConfigError("--csv, --json, --html: two of them name the same file; give each a file of its own")
    for file in files.values():
        check_output(file, overwrite=args.overwrite)
    return files


def _report(kind: str, comparison: Comparison) -> str:
    from edge_runtime.compare.rows import as_record
    from edge_runtime.compare.table import as_csv

    if kind == "html":
        from edge_runtime.compare.report import html

        return html(comparison)
    return as_csv(comparison) if kind == "csv" else json.dumps(as_record(comparison), indent=1) + "\n"
