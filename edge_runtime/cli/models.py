"""``edge-runtime models``: public models, fetched from where their authors keep them, and checked."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.cli.settings import checked
from edge_runtime.cli.streams import show
from edge_runtime.errors import ConfigError, ModelError, OutputError
from edge_runtime.values import path

if TYPE_CHECKING:
    from edge_runtime.registry.entries import Entry
    from edge_runtime.registry.pulled import Verified

USAGE = "list | pull NAME ... | verify [NAME|FILE ...] | remove NAME ... [FLAG ...]"
ACTIONS = ("list", "pull", "verify", "remove")
FLAGS_OF = {"to": ("pull",), "overwrite": ("pull",), "json": ("list", "verify")}
"""The actions that have a use for a flag, where it is not all of them."""

Registry = Mapping[str, "Entry"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.add_argument("words", metavar="ACTION", nargs="*",
                        help="list: what there is; pull: fetch models by name; verify: check those pulled, or files; "
                        "remove: take pulled ones away")  # fmt: skip
    group = parser.add_argument_group("models")
    group.add_argument("--to", metavar="DIR", help="pull: put the files there, and not among those that --model finds "
                       "by name")  # fmt: skip
    group.add_argument(
        "--registry", metavar="FILE", help="a registry of your own, in place of the one that comes along"
    )
    group.add_argument("--overwrite", action="store_true", help="pull: replace another file of the same name")
    group.add_argument("--json", action="store_true", help="list, verify: print JSON instead of a table")


def execute(args: argparse.Namespace) -> int:
    """Do what the first word says."""
    from edge_runtime.registry.entries import bundled_registry, load_registry

    if not args.words:
        raise ConfigError(f"ACTION: is missing; give one of {', '.join(ACTIONS)}")
    action, names = args.words[0], args.words[1:]
    if action not in ACTIONS:
        raise ConfigError(f"{action!r}: is no action; give one of {', '.join(ACTIONS)}")
    _refuse_idle_flags(action, args)
    file = bundled_registry() if args.registry is None else Path(checked("--registry", path, args.registry))
    registry = load_registry(file)
    if action == "pull":
        return _pull(names, registry, args)
    if action == "verify":
        return _verify(names, registry, is_json=args.json)
    return _remove(names, registry) if action == "remove" else _list(names, registry, is_json=args.json)


def _refuse_idle_flags(action: str, args: argparse.Namespace) -> None:
    """Raise a ConfigError for a flag that does nothing for this action: whoever gave it expects something of it."""
    for flag, actions in FLAGS_OF.items():
        if getattr(args, flag) and action not in actions:
            raise ConfigError(f"--{flag}: is for {' and '.join(actions)}, {action} has no use for it; leave it out")


def _list(names: Sequence[str], registry: Registry, *, is_json: bool) -> int:
    from dataclasses import asdict

    from edge_runtime.model.store import pulled, store_folder
    from edge_runtime.registry.entries import choose

    chosen = [choose(registry, name) for name in names] or list(registry.values())
    places = {entry.name: pulled(entry.name, store_folder()) for entry in chosen}
    if is_json:
        rows = [{**asdict(entry), "pulled": _text(places[entry.name])} for entry in chosen]
        show(json.dumps(rows, indent=1))
    else:
        show(table(chosen, places))
    return 0


def table(entries: Sequence[Entry], places: Mapping[str, Path | None]) -> str:
    """Return the models for a terminal, two lines each."""
    lines = [f"{'  name':<32}{'MB':>6}  {'input':<17}{'classes':>7}  licence"]
    for one in entries:
        mark = "*" if places[one.name] else " "
        lines.append(f"{mark} {one.name:<30}{one.size / 1e6:6.1f}  {one.input:<17}{one.classes:7}  {one.licence}")
        lines.append(f"    {one.family}: {one.suited}")
    count = sum(place is not None for place in places.values())
    lines += ["", f"* pulled, {count} of {len(entries)}; edge-runtime models pull NAME, then edge-runtime --model NAME"]
    return "\n".join(lines)


def _pull(names: Sequence[str], registry: Registry, args: argparse.Namespace) -> int:
    from edge_runtime.registry.entries import choose
    from edge_runtime.registry.pulled import pull, require_store

    if not names:
        raise ConfigError("pull: NAME is missing; edge-runtime models list shows what there is")
    entries = [choose(registry, name) for name in names]
    folder = require_store() if args.to is None else Path(checked("--to", path, args.to))
    for entry in entries:
        with _made(folder) if args.to is None else nullcontext():
            done = pull(entry, folder, may_replace=args.overwrite, bring=partial(_bring, entry.name, args.quiet))
        state = "was there, sha256 right" if done.was_there else f"{entry.size / 1e6:.1f} MB, sha256 right"
        show(f"{entry.name}: {state}: {done.path}")
        show(f"  licence {entry.licence}, {entry.page}")
        if done.sidecar:
            show(f"  {len(entry.labels)} labels: {done.sidecar}")
        show(f"  next: edge-runtime --model {entry.name if args.to is None else done.path}")
    return 0


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make the folder; where nothing comes into it, those that were made go again."""
    new = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{folder}: cannot be made ({exc.strerror}); choose another folder with --to") from exc
    try:
        yield
    except BaseException:
        with suppress(OSError):  # something lies in it: the part of a model
            for one in new:
                one.rmdir()
        raise


def _bring(name: str, quiet: bool, wanted: Any, target: Path) -> None:
    from edge_runtime.cli.progress import interruptible, progress
    from edge_runtime.registry.download import download, part_files

    def kept() -> str:
        part = part_files(target)[0]
        if not part.exists():
            return f"{name}: nothing had come yet, so nothing is kept"
        return f"{name}: {part.stat().st_size / 1e6:.1f} MB are kept, the same command goes on from there"

    with progress(quiet=quiet) as tick, interruptible(kept):
        download(wanted, target, tick=lambda have: tick(f"{name}, kB", have // 1000, wanted.size // 1000))


def _verify(names: Sequence[str], registry: Registry, *, is_json: bool) -> int:
    from edge_runtime.registry.pulled import verify

    files = [_file_of(name) for name in names] or _all_pulled()
    results = [verify(file, registry) for file in files]
    if is_json:
        keys = ("name", "is_right", "said")
        show(json.dumps([{"path": str(one.path), **{key: getattr(one, key) for key in keys}} for one in results]))
    else:
        for one in results:
            state = "right" if one.is_right else "WRONG" if one.name else "other"
            show(f"{state}  {one.name or '-'}  {one.path}  {one.said}")
        if not results:
            show("nothing is pulled; edge-runtime models list shows what there is")
    _require_right(results)
    return 0


def _require_right(results: Sequence[Verified]) -> None:
    damaged = [one for one in results if not one.is_right and one.name]
    strange = [one for one in results if not one.is_right and not one.name]
    if damaged:
        raise ModelError(
            f"{damaged[0].path}: is not the file it should be ({len(damaged)} of {len(results)} wrong); "
            f"edge-runtime models pull {damaged[0].name} --overwrite fetches it anew"
        )
    if strange:
        raise ModelError(
            f"{strange[0].path}: is in no registry, neither by its name nor by its content, so nothing says what it "
            f"should be ({len(strange)} of {len(results)} files); give the registry that has it with --registry FILE"
        )


def _file_of(name: str) -> Path:
    from edge_runtime.model.store import pulled, store_folder

    found = pulled(name, store_folder())
    if found is None and not Path(name).is_file():
        raise ConfigError(
            f"{name!r}: is neither a pulled model nor a file; edge-runtime models list shows what is pulled"
        )
    return found or Path(name)


def _all_pulled() -> list[Path]:
    from edge_runtime.model.store import SUFFIXES, store_folder

    folder = store_folder()
    there = folder.iterdir() if folder is not None and folder.is_dir() else ()
    return sorted(file for file in there if file.suffix in SUFFIXES and file.is_file())


def _remove(names: Sequence[str], registry: Registry) -> int:
    from edge_runtime.registry.pulled import remove, require_store

    if not names:
        raise ConfigError("remove: NAME is missing; edge-runtime models list shows what is pulled")
    for name in names:
        gone, kept = remove(name, require_store(), registry)
        for file in gone:
            show(f"removed {file}")
        for file in kept:
            show(f"kept    {file}: is not as pull wrote it")
    return 0


def _text(place: Path | None) -> str | None:
    return None if place is None else str(place)
