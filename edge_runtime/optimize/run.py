"""From one float model to its variants: each step, the comparison with the parent, and only then a file."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from edge_runtime.errors import ConfigError, EdgeRuntimeError, ModelError, OptimizeError, OutputError
from edge_runtime.optimize import beside, modelfile
from edge_runtime.optimize.calibration import Feed, Pictures, Span, load_pictures, resolve_feed, scenes
from edge_runtime.optimize.check import Comparison, compare
from edge_runtime.optimize.edgetpu import compiled_path
from edge_runtime.optimize.folder import no_empty_folder
from edge_runtime.optimize.recipe import Recipe, choose_recipes, flag_of
from edge_runtime.optimize.steps import STEPS, Made, Tick, Work, check_step, finish_edgetpu
from edge_runtime.optimize.strip import strip
from edge_runtime.optimize.weights import weight_bytes
from edge_runtime.wholefile import write_whole

ZSTD_LEVEL = 19

OnFailure = Callable[[str, Exception], None]  # which variant, why


@dataclass(frozen=True, slots=True)
class Variant:
    """A file that was made, and how it stands beside its parent."""

    technique: str  # its steps, joined by dashes
    path: Path
    parent: Path
    size_bytes: int
    parent_bytes: int
    weight_bytes: int
    parent_weight_bytes: int  # as float32 or as they are stored
    zstd_bytes: int
    comparison: Comparison
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def optimize(
    parent: str | Path,
    technique: str | Sequence[str] = "all",
    output: str | Path = ".",
    *,
    calibration: str | Path | None = None,
    recipe: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    pictures: int = 100,
    seed: int = 0,
    input_range: Span | None = None,
    overwrite: bool = False,
    tick: Tick = lambda *_: None,
    on_made: Callable[[Variant], None] = lambda _: None,
    on_failure: OnFailure | None = None,
) -> list[Variant]:
    """Write the variants of a float model to a folder; return them.

    Args:
        parent: a float32 or float16 .tflite model; a sidecar is looked for beside it.
        technique: "all", a technique, or steps joined by commas, which make one variant; several in a list.
        output: a folder; made if it does not exist.
        calibration: a folder of pictures, or "scene" for drawn ones; needed for integer activations.
        recipe: a TOML file with steps; takes the place of `technique`.
        options: for every step that has them: io, sparsity, pattern, clusters, layers.
        pictures: most to calibrate with.
        seed: of the shuffle of the pictures.
        input_range: what a pixel of 0 and one of 255 become, where the model does not say it.
        overwrite: replace files that exist.
        tick: is told of the progress.
        on_made: is told of each variant once it is written.
        on_failure: is told of a variant that cannot be made, and the others go on; without it that is raised.

    Raises:
        ConfigError: an argument is wrong, or calibration is missing.
        ModelError: the parent cannot be used.
        OptimizeError: a variant cannot be made, or came out wrong.
        OutputError: a file exists or cannot be written.
    """
    source, folder = Path(parent), Path(output)
    recipes = choose_recipes(technique, recipe, options or {})
    feed = resolve_feed(source, input_range=input_range)
    shown = _pictures(recipes, feed, calibration, pictures, seed)
    try:
        with no_empty_folder(folder), tempfile.TemporaryDirectory(prefix="edge-runtime-") as name:
            targets = check_targets(source, recipes, folder, overwrite=overwrite)
            work = Work(source, feed, shown, Path(name), input_range is not None, tick)
            _check_steps(work.base, recipes, options or {})
            with _hushed():
                return _make_all(work, recipes, targets, on_made, on_failure)
    except EdgeRuntimeError:
        raise
    except OSError as exc:
        where = exc.filename or tempfile.gettempdir()
        raise OutputError(
            f"{where}: cannot be written ({exc.strerror or exc}); make room there, or name another place in TMPDIR"
        ) from exc


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep to itself what opening a model says: it was said of the parent, and of a variant it names a passing file."""
    loggers = [logging.getLogger(f"edge_runtime.{name}") for name in ("detector", "model.spec")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _check_steps(model: Path, recipes: Sequence[Recipe], flags: Mapping[str, Any]) -> None:
    """Raise ConfigError for what a step cannot do with this model, naming the flag or the file that wants it."""
    for recipe in recipes:
        for step in recipe.steps:
            try:
                check_step(step, model)
            except ConfigError as exc:
                key, _, said = str(exc).partition(": ")
                where = flag_of(key) if key in flags else f"{recipe.source}: {key}"
                raise ConfigError(f"{where}: {said}") from exc


def _make_all(
    work: Work,
    recipes: Sequence[Recipe],
    targets: Mapping[str, Path],
    on_made: Callable[[Variant], None],
    on_failure: OnFailure | None,
) -> list[Variant]:
    found = []
    for number, recipe in enumerate(recipes):
        work.tick(f"making {recipe.name}", number, len(recipes))
        try:
            found.append(_make(work, recipe, targets[recipe.name]))
            on_made(found[-1])
        except (OptimizeError, ModelError) as exc:
            if on_failure is None:
                raise
            on_failure(recipe.name, exc)
    return found


def _pictures(recipes: Sequence[Recipe], feed: Feed, calibration: str | Path | None, count: int, seed: int) -> Pictures:
    check_calibration(recipes, calibration)
    if calibration is None:
        return scenes(feed.format.size_wh)
    return load_pictures(calibration, size_wh=feed.format.size_wh, count=count, seed=seed)


def check_calibration(recipes: Sequence[Recipe], calibration: str | Path | None) -> None:
    """Raise ConfigError where a recipe needs pictures and none are given."""
    needing = [recipe.name for recipe in recipes if recipe.needs_pictures]
    if needing and calibration is None:
        raise ConfigError(
            f"--calibration: is missing; the ranges of {', '.join(needing)} come from pictures, so give a folder with "
            "50 to 200 of them as the camera will see them, or scene for drawn ones"
        )


def check_targets(parent: Path, recipes: Sequence[Recipe], folder: Path, *, overwrite: bool) -> dict[str, Path]:
    """Return where each variant goes, by name, once it is known that it can.

    Raises:
        OutputError: the folder is none, cannot be made or written, or a file is in the way.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".edge-runtime-"):
            pass
    except FileExistsError as exc:
        raise OutputError(f"{folder}: is a file; variants go to a folder, give another --output") from exc
    except OSError as exc:
        raise OutputError(f"{folder}: cannot be written to ({exc.strerror}); give another --output") from exc
    targets = {recipe.name: folder / f"{parent.stem}.{recipe.name}.tflite" for recipe in recipes}
    for recipe in recipes:
        target = targets[recipe.name]
        compiled = [compiled_path(target)] if recipe.steps[-1].kind == "edgetpu" else []
        for path in (target, target.with_suffix(".toml"), *compiled):
            if path.exists() and path.samefile(parent):
                raise OutputError(f"{path}: is the parent itself, which is never replaced; give another --output")
            if path.exists() and not overwrite:
                raise OutputError(f"{path}: exists; add --overwrite to replace it, or give another --output")
    return targets


def _make(work: Work, recipe: Recipe, target: Path) -> Variant:
    """Make one variant beside the others' work, compare it, and only then give it its name."""
    made = Made(work.base, warnings=list(recipe.warnings))
    for number, step in enumerate(recipe.steps):
        STEPS[step.kind](work, step, made, work.folder / f"{recipe.name}.{number}.tflite")
    stage = work.folder / recipe.name
    stage.mkdir()
    staged = stage / target.name
    strip(made.path, staged)
    modelfile.carry(work.parent, staged)
    table = beside.variant_sidecar(work.parent, staged, work.feed, has_own_range=work.has_own_range)
    if table:
        staged.with_suffix(".toml").write_bytes(beside.sidecar_bytes(table, work.parent, stage))
    comparison = compare(work.parent, staged, work.feed, work.pictures.check, reference=work.reference)
    if recipe.needs_pictures and work.pictures.warning:
        made.warnings.append(work.pictures.warning)
    if recipe.steps[-1].kind == "edgetpu":
        finish_edgetpu(staged, made, target)
    made.warnings += _publish(work.parent, staged, target, table)
    return Variant(
        technique=recipe.name,
        path=target,
        parent=work.parent,
        size_bytes=staged.stat().st_size,
        parent_bytes=work.parent.stat().st_size,
        weight_bytes=weight_bytes(staged),
        parent_weight_bytes=weight_bytes(work.parent),
        zstd_bytes=_compressed_bytes(staged),
        comparison=comparison,
        notes=tuple(made.notes),
        warnings=(*made.warnings, *comparison.warnings),
    )


def _publish(parent: Path, staged: Path, target: Path, table: Mapping[str, Any]) -> list[str]:
    """Give the variant and its sidecar their names, both or neither; return what is to be said about it."""
    sidecar = target.with_suffix(".toml")
    is_new = not sidecar.exists()
    if table:
        write_whole(sidecar, beside.sidecar_bytes(table, parent, target.parent))
    try:
        write_whole(target, staged.read_bytes())
    except OutputError:
        if table and is_new:
            sidecar.unlink(missing_ok=True)
        raise
    if table or is_new:
        return []
    return [f"{sidecar.name} was there before and still says how the variant is read; remove it if it is out of date"]


def _compressed_bytes(path: Path) -> int:
    return len(zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(path.read_bytes()))
