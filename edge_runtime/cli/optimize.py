"""``edge-runtime optimize``: the variants of a float model, each compared with it before it is kept."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.cli.progress import Tick, interruptible, progress
from edge_runtime.cli.settings import checked
from edge_runtime.cli.streams import show
from edge_runtime.errors import ConfigError, EdgeRuntimeError, OptimizeError
from edge_runtime.values import number, path, text, whole

if TYPE_CHECKING:
    from edge_runtime.optimize.convert import Converted
    from edge_runtime.optimize.recipe import Recipe
    from edge_runtime.optimize.run import Variant

USAGE = "PARENT --output DIR [--technique NAME] [FLAG ...]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    model = parser.add_argument_group("files")
    model.add_argument("parent", metavar="PARENT", help="the float32 or float16 .tflite model; of an .onnx or .pt2 "
                       "file PARENT.tflite is made first")  # fmt: skip
    model.add_argument("--output", metavar="DIR", help="folder for the variants, PARENT.TECHNIQUE.tflite")
    model.add_argument("--overwrite", action="store_true", help="replace files that exist")
    what = parser.add_argument_group("what to make")
    what.add_argument("--technique", metavar="NAME", action="append",
                      help="float16, dynamic, int8, int16x8, mixed, prune, cluster, edgetpu, or all (the default); "
                           "steps joined by commas make one variant, as in prune,int8; may be repeated; float only "
                           "converts an .onnx or .pt2 file")  # fmt: skip
    what.add_argument("--recipe", metavar="FILE", help="TOML file with the steps of one variant")
    what.add_argument("--io", metavar="TYPE", help="input and outputs of int8 and mixed: int8, uint8 or float")
    what.add_argument("--sparsity", metavar="SHARE", help="of the weights that prune makes zero (default 0.5)")
    what.add_argument("--pattern", metavar="2:4", help="prune two of every four weights instead")
    what.add_argument("--clusters", metavar="N", help="different weights that cluster leaves a layer (default 32)")
    what.add_argument("--layers", metavar="REGEX", help="layers that prune and cluster change")
    what.add_argument("--input-shape", metavar="N,N,N,N",
                      help="of an .onnx or .pt2 file that leaves it open: 1,3,416,416")  # fmt: skip
    data = parser.add_argument_group("calibration")
    data.add_argument(
        "--calibration", metavar="DIR", help="pictures as the camera will see them, or scene for drawn ones"
    )
    data.add_argument("--pictures", metavar="N", default="100", help="most to calibrate with, 10 to 200 (default 100)")
    data.add_argument("--seed", metavar="N", default="0", help="of the order of the pictures (default 0)")
    data.add_argument("--input-range", metavar="LOW,HIGH",
                      help="what black and white become, if the model does not say: 0,1 or -1,1 or 0,255")  # fmt: skip
    parser.add_argument_group("report").add_argument(
        "--json", action="store_true", help="print one JSON object instead of a table"
    )


@dataclass
class Done:
    """What has been finished so far, and is kept."""

    converted: Converted | None = None
    made: list[Variant] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)  # technique -> why

    def last_word(self) -> str:
        """Return what to say when Ctrl-C ends it."""
        paths = [self.converted.path] if self.converted else []
        paths += [variant.path for variant in self.made]
        if not paths:
            return "edge-runtime: interrupted; no variant was finished, and nothing is kept"
        return f"edge-runtime: interrupted; kept in {paths[0].parent}: {', '.join(path.name for path in paths)}"


def execute(args: argparse.Namespace) -> int:
    """Print what was made. One variant that cannot be made stops no other, but the command then ends with an error."""
    if args.output is None:
        raise ConfigError("--output: is missing; give the folder the variants go to")
    if args.recipe is not None and args.technique is not None:
        raise ConfigError("--recipe and --technique: exclude one another; leave one out")
    parent, output = checked("PARENT", path, args.parent), checked("--output", path, args.output)
    recipe = None if args.recipe is None else checked("--recipe", path, args.recipe)
    words = [word.strip() for word in args.technique or ["all"]]
    asked = {
        "technique": [word for word in words if word != "float"],
        "recipe": recipe,
        "options": _options(args),
        "calibration": None if args.calibration is None else checked("--calibration", path, args.calibration),
        "pictures": checked("--pictures", whole(10, 200), args.pictures),
        "seed": checked("--seed", whole(0, 2**63 - 1), args.seed),
        "input_range": None if args.input_range is None else checked("--input-range", _span, args.input_range),
        "overwrite": args.overwrite,
    }
    shape = None if args.input_shape is None else checked("--input-shape", _shape, args.input_shape)
    from edge_runtime.optimize.recipe import choose_recipes

    # What is wrong is said before the packages load.
    recipes = choose_recipes(asked["technique"], recipe, asked["options"]) if asked["technique"] or recipe else ()
    import ai_edge_quantizer  # noqa: F401  (before what a smaller extra has: one advice, and the whole of it)

    from edge_runtime.optimize.folder import no_empty_folder

    done = Done()
    with interruptible(done.last_word), progress(quiet=args.quiet) as tick, no_empty_folder(output):
        done.converted = _convert(parent, output, recipes, asked, shape, tick, is_asked="float" in words)
        if recipes:
            parent = done.converted.path if done.converted else parent
            _make(parent, output, asked, done, tick)
    show(json.dumps(_record(done), indent=2) if args.json else _report(done))
    if done.failures:
        names, first = ", ".join(done.failures), next(iter(done.failures.values()))
        raise OptimizeError(f"{parent}: {names} could not be made; {first}")
    return 0


def _make(parent: Path, output: Path, asked: dict[str, Any], done: Done, tick: Tick) -> None:
    from edge_runtime.optimize.run import optimize

    def on_failure(name: str, exc: Exception) -> None:
        done.failures[name] = str(exc)

    try:
        optimize(parent, output=output, tick=tick, on_made=done.made.append, on_failure=on_failure, **asked)
    except EdgeRuntimeError as exc:
        if done.converted is None:
            raise
        raise type(exc)(
            f"{exc}; {done.converted.source.name} is converted and {parent} kept, so give that the next time"
        ) from exc


def _convert(
    parent: Path,
    output: Path,
    recipes: Sequence[Recipe],
    asked: dict[str, Any],
    shape: tuple[int, ...] | None,
    tick: Tick,
    *,
    is_asked: bool,
) -> Converted | None:
    """Return the float model made of one of another framework; None where the parent needs no conversion.

    What would stop the variants is said before, lest it is done in vain.
    """
    from edge_runtime.optimize.calibration import load_pictures
    from edge_runtime.optimize.convert import SUFFIXES, convert, is_foreign
    from edge_runtime.optimize.run import check_calibration, check_targets

    if not is_foreign(parent):
        for flag, is_given in (("--technique float", is_asked), ("--input-shape", shape is not None)):
            if is_given:
                raise ConfigError(f"{flag}: is for {' and '.join(SUFFIXES)} files; {parent} needs no conversion")
        return None
    folder, overwrite = asked["calibration"], asked["overwrite"]
    check_calibration(recipes, folder)
    check_targets(parent, recipes, output, overwrite=overwrite)
    pictures = () if folder is None else load_pictures(folder, size_wh=(320, 320), count=10, seed=asked["seed"]).check
    tick(f"converting {parent.name}", 0, 0)
    return convert(parent, output, input_shape=shape, pictures=pictures, overwrite=overwrite)


def _shape(value: str) -> tuple[int, ...]:
    try:
        sides = tuple(int(side) for side in value.split(","))
    except ValueError:
        sides = ()
    if len(sides) != 4 or not all(0 < side <= 1 << 14 for side in sides):
        raise ValueError("four whole numbers, as in 1,3,416,416")
    return sides


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of steps that were given."""
    parsers = {
        "io": text,
        "sparsity": _share,
        "pattern": text,
        "clusters": whole(2, 65536),
        "layers": text,
    }
    given = {name: value for name in parsers if (value := getattr(args, name)) is not None}
    return {name: checked(f"--{name}", parsers[name], value) for name, value in given.items()}


def _share(value: str) -> float:
    """Return what prune takes: nothing and everything are no sparsity."""
    share: float = number(0, 1)(value)
    if share in (0, 1):
        raise ValueError("a number between 0 and 1, as in 0.5")
    return share


def _span(value: str) -> tuple[float, float]:
    parts = value.split(",")
    try:
        low, high = (float(part) for part in parts)
    except ValueError:
        raise ValueError("two numbers, as in 0,1 or -1,1 or 0,255") from None
    if not -1e6 <= low < high <= 1e6:
        raise ValueError("two numbers, the smaller first, as in 0,1")
    return low, high


def _record(done: Done) -> dict[str, Any]:
    variants = []
    for variant in done.made:
        row = asdict(variant)
        row["path"], row["parent"] = str(variant.path), str(variant.parent)
        variants.append(row)
    record = {"schema": 1, "variants": variants, "failed": done.failures}
    if done.converted:
        paths = {"path": str(done.converted.path), "source": str(done.converted.source)}
        record["converted"] = {**asdict(done.converted), **paths}
    return record


def _report(done: Done) -> str:
    """Return a line for each variant, then what is to be known about them."""
    made = done.made
    lines = [done.converted.explain()] if done.converted else []
    if made:
        name = max(9, *(len(variant.technique) for variant in made))
        lines += [
            f"{'technique':<{name}} {'bytes':>10} {'size':>6} {'weights':>8} {'zstd':>10} {'error':>8} {'found':>9}"
        ]
        lines += [_row(variant, name) for variant in made]
        lines += [
            "",
            "size and weights: share of the parent's bytes; zstd: bytes of the packed file;",
            "error: of the worst output against the parent, 0 is equal; found: of the",
            f"parent's detections in {_pictures(made)}. Variants are in {made[0].path.parent}",
        ]
    for variant in made:
        lines += [f"{variant.technique}: {said}" for said in variant.notes]
        lines += [f"{variant.technique}: warning: {said}" for said in variant.warnings]
    lines += [f"{technique}: not made: {why}" for technique, why in done.failures.items()]
    return "\n".join(lines)


def _row(variant: Variant, width: int) -> str:
    error = max(output.relative for output in variant.comparison.outputs)
    found = variant.comparison.detections
    matched = "-" if found is None else f"{found.matched}/{found.expected}"
    return (
        f"{variant.technique:<{width}} {variant.size_bytes:>10,} {variant.size_bytes / variant.parent_bytes:>6.2f} "
        f"{variant.weight_bytes / max(1, variant.parent_weight_bytes):>8.2f} {variant.zstd_bytes:>10,} "
        f"{error:>8.4f} {matched:>9}"
    )


def _pictures(made: list[Variant]) -> str:
    found = made[0].comparison.detections
    return "pictures, not counted here (no detector that is decoded)" if found is None else f"{found.pictures} pictures"
