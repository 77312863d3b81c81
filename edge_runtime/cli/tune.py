"""``edge-runtime tune``: the variant, backend and threads that reach a frame rate on this board."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.cli.compare import (
    SETTINGS,
    add_fresh,
    add_parent,
    add_pictures,
    check_pictures,
    label_file,
    load_pictures,
    measuring,
    variants_in,
)
from edge_runtime.cli.settings import add_settings, checked, load_settings
from edge_runtime.cli.streams import show, tell
from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.values import number, path, whole

if TYPE_CHECKING:
    from edge_runtime.compare.accuracy import Pictures
    from edge_runtime.compare.choose import Setting, Target
    from edge_runtime.compare.measure import Bench
    from edge_runtime.compare.variants import Variant

USAGE = "(DIR | MODEL ...) --target-fps N [FLAG ...]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.add_argument("models", metavar="DIR|MODEL", nargs="+", help="a folder of variants, or .tflite files")
    target = parser.add_argument_group(
        "target",
        "Exit code 0: a choice was made; 3: nothing that was measured meets the target, or no model runs, and nothing "
        "is written; the others as for every command.",
    )
    target.add_argument("--target-fps", metavar="N", help="frames per second of the whole pipeline")
    target.add_argument("--max-drop", default="0.01", metavar="N", help="most mAP to lose against the parent, 0 to 1 "
                        "(default 0.01)")  # fmt: skip
    target.add_argument("--max-rss", metavar="MB", help="most memory of the process")
    add_parent(target)
    add_pictures(parser)
    measurement = parser.add_argument_group("measurement")
    measurement.add_argument("--num-runs", default="180", metavar="N", help="frames to run through each setting, in up "
                             "to three rounds (default 180)")  # fmt: skip
    add_fresh(measurement)
    result = parser.add_argument_group("result")
    result.add_argument("--write-config", metavar="FILE", help="settings file of the service to write the choice to")
    result.add_argument("--overwrite", action="store_true", help="set model, backend and num_threads in a file that "
                        "exists; all else in it stays")  # fmt: skip
    add_settings(parser, SETTINGS)


def execute(args: argparse.Namespace) -> int:
    """Measure, choose, say why, and write the settings. Without a choice nothing is written and the exit code is 3."""
    from edge_runtime.compare.choose import choose, unsteady_note

    config = load_settings(args, SETTINGS).config
    target, file, labels = _target(args), _file_to_write(args), label_file(config)
    num_frames = checked("--num-runs", whole(5, 10**6), args.num_runs)
    variants, folder = _variants(args)
    check_pictures(args, is_needed=len(variants) > 1)
    pictures = None
    if len(variants) > 1:
        import pycocotools  # noqa: F401 (missing, it says so now and not after minutes)

        pictures = load_pictures(args)
    from edge_runtime.compare.measure import open_bench, state_beside

    with measuring(args, folder) as tick:
        bench = open_bench(state_beside(folder, is_fresh=args.fresh), config.engine, tick)
        settings, failed = _measure(bench, variants, pictures, labels, num_frames)
    chosen = choose(settings, target)
    show(_table(settings, target, chosen))
    for label, reason in failed.items():
        show(f"{label}: {reason}")
    if note := unsteady_note(settings):
        tell(note, level=4)
    if chosen is None:
        raise ModelError(_nothing(settings, target, variants))
    _report(chosen, settings, target, file, labels)
    return 0


def _target(args: argparse.Namespace) -> Target:
    from edge_runtime.compare.choose import Target

    if args.target_fps is None:
        raise ConfigError("--target-fps: is missing; give the frames per second to reach, as in --target-fps 15")
    max_rss_mb = None if args.max_rss is None else checked("--max-rss", number(1, 10**6, "MB"), args.max_rss)
    return Target(
        fps=checked("--target-fps", number(0.1, 1000), args.target_fps),
        max_drop=checked("--max-drop", number(0, 1), args.max_drop),
        max_rss_bytes=None if max_rss_mb is None else int(max_rss_mb * 1e6),
    )


def _file_to_write(args: argparse.Namespace) -> Path | None:
    from edge_runtime.compare.settings_file import check_target

    if args.write_config is None:
        return None
    file = Path(checked("--write-config", path, args.write_config))
    check_target(file, overwrite=args.overwrite)
    return file


def _variants(args: argparse.Namespace) -> tuple[Sequence[Variant], Path]:
    """Return the models named, the parent first, and the folder that keeps what is measured."""
    from edge_runtime.compare.variants import SUFFIX, order_variants

    named = [Path(checked("DIR|MODEL", path, one)) for one in args.models]
    folders = [one for one in named if one.is_dir() or (one.suffix != SUFFIX and not one.exists())]
    if folders and len(named) > 1:
        raise ConfigError(f"{folders[0]}: is a folder among {len(named)} names; give one folder, or .tflite files")
    if folders:
        return variants_in(args, folders[0]), folders[0]
    variants = order_variants(named, None if args.parent is None else Path(checked("--parent", path, args.parent)))
    return variants, variants[0].path.parent


def _measure(
    bench: Bench, variants: Sequence[Variant], pictures: Pictures | None, labels: Path | None, num_frames: int
) -> tuple[list[Setting], dict[str, str]]:
    """Return what can be chosen from, and by name what cannot and why.

    The rates first: a model that crashes does so in a child then, and is left out of the rest.
    """
    from edge_runtime.compare.accuracy import losses
    from edge_runtime.compare.run import none_of
    from edge_runtime.compare.tune import candidates, measure_rates, present_accelerators, settings_of
    from edge_runtime.inference.threads import available_cores

    has_edgetpu, has_gpu = present_accelerators()
    asked = candidates(variants, cores=available_cores(), has_edgetpu=has_edgetpu, has_gpu=has_gpu)
    rates, failures = measure_rates(bench, asked, labels=labels, num_frames=num_frames)
    failed = {one.label: reason for one, reason in failures.items()}
    if not rates:
        reason = next(iter(failed.values()), "compiled for an Edge TPU, and none is plugged in")
        raise ModelError(f"{none_of(len(variants))}; {reason}")
    running = [one for one in variants if any(candidate.variant is one for candidate in rates)]
    if pictures is None:
        return settings_of(rates, {variants[0].name: 0.0}), failed
    drops, reasons = losses(bench, running, pictures, parent=variants[0], labels=labels)
    return settings_of(rates, drops), failed | reasons


def _table(settings: Sequence[Setting], target: Target, chosen: Setting | None) -> str:
    from edge_runtime.compare.choose import lacks

    head = f"{'':2}{'variant':<16} {'backend':<8} {'threads':>7} {'frames/s':>9} {'drop':>7} {'MB':>5}"
    lines = [head]
    for one in sorted(settings, key=lambda one: -one.fps):
        drop = "-" if one.drop is None else f"{one.drop:.3f}".replace("-0.000", "0.000")
        memory = "-" if one.rss_bytes is None else f"{one.rss_bytes / 1e6:.0f}"
        mark = "*" if one is chosen else " "
        rate = f"{'~' if one.is_unsteady else ''}{one.fps:.1f}"
        why = "; ".join(lacks(one, target))
        lines.append(
            f"{mark} {one.name:<16} {one.backend:<8} {one.num_threads:>7} {rate:>9} {drop:>7} {memory:>5}  {why}"
        )
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _nothing(settings: Sequence[Setting], target: Target, variants: Sequence[Variant]) -> str:
    from edge_runtime.compare.choose import advice, closest, lacks
    from edge_runtime.compare.variants import is_integer

    near = closest(settings, target)
    assert near is not None, "some setting has been measured"
    hints = advice(settings, target, has_integers=any(is_integer(one.path) for one in variants))
    what = f"; what would help: {'; '.join(hints)}" if hints else ""
    return f"no setting meets the target; closest is {near}, which {' and '.join(lacks(near, target))}{what}"


def _report(
    chosen: Setting, settings: Sequence[Setting], target: Target, file: Path | None, labels: Path | None
) -> None:
    from edge_runtime.compare.choose import reasons
    from edge_runtime.compare.settings_file import chosen_values, lines_of, write_settings

    show("\n".join(reasons(chosen, settings, target)))
    values = chosen_values(chosen, file, labels)
    is_unsteady = any(one.is_unsteady for one in settings)  # each was weighed against the chosen one
    if file is None:
        lines = lines_of(values, is_unsteady=is_unsteady).rstrip()
        show(f"\nSettings for the service, which --write-config FILE would write:\n\n{lines}")
        return
    write_settings(file, values, is_unsteady=is_unsteady)
    show(f"\n{file}: written; start with edge-runtime run --config {file}")
