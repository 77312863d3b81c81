"""The steps of a recipe: each takes the file the one before left and leaves another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edge_runtime.errors import OptimizeError
from edge_runtime.optimize.calibration import Feed, Pictures
from edge_runtime.optimize.check import Outputs, answers
from edge_runtime.optimize.cluster import check_clusters, cluster
from edge_runtime.optimize.edgetpu import HOW_TO_GET_IT, check_edgetpu, compile_model, find_compiler
from edge_runtime.optimize.layers import choose, layers_of
from edge_runtime.optimize.mixed import choose_mix
from edge_runtime.optimize.modelfile import load
from edge_runtime.optimize.normalise import normalise
from edge_runtime.optimize.prune import check_pruning, prune
from edge_runtime.optimize.quantize import Quantised, check_floats, quantize
from edge_runtime.optimize.ranges import Ranges, measure_ranges
from edge_runtime.optimize.recipe import Step
from edge_runtime.optimize.rules import Scheme
from edge_runtime.wholefile import write_whole

_MEASURED = 4  # pictures on which each layer is measured

Tick = Callable[[str, int, int], None]  # what is being done, so many, of so many


@dataclass
class Work:
    """What the variants of one parent share."""

    parent: Path
    feed: Feed
    pictures: Pictures
    folder: Path  # for what is not finished
    has_own_range: bool
    tick: Tick
    base: Path = field(init=False)  # the parent, normalised
    reference: list[Outputs] = field(init=False)  # its answers
    ranges: dict[Path, Ranges] = field(default_factory=dict)  # by the file they were measured on

    def __post_init__(self) -> None:
        self.base = self.folder / "base.tflite"
        normalise(self.parent, self.base)
        self.reference = answers(self.parent, self.feed, self.pictures.check)

    def ranges_of(self, model: Path) -> Ranges:
        if model not in self.ranges:
            readers = self.pictures.calibration

            def tensors() -> Iterator[NDArray[Any]]:
                for number, tensor in enumerate(self.feed.tensors(readers)):
                    self.tick("calibrating", number, len(readers))
                    yield tensor

            self.ranges[model] = measure_ranges(model, tensors(), self.feed.span)
        return self.ranges[model]


@dataclass
class Made:
    """A file between two steps, and what was learnt on the way."""

    path: Path
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def _scheme(step: Step) -> Scheme:
    options = step.options
    return Scheme(
        weights=options["weights"],
        activations=options["activations"],
        io=options["io"],
        float_operators=tuple(options["float_operators"]),
        float_layers=tuple(options["float_layers"]),
    )


def check_step(step: Step, model: Path) -> None:
    """Raise ConfigError for what this step cannot do with the normalised parent; the message begins with the option."""
    options = step.options
    if step.kind == "prune":
        check_pruning(options["sparsity"], options["pattern"] or None, options["include_depthwise"])
    if step.kind == "cluster":
        check_clusters(options["clusters"])
    if options.get("layers"):
        choose(layers_of(load(model)), options["layers"], include_depthwise=options.get("include_depthwise", True))
    if "float_layers" in options:
        check_floats(model, _scheme(step))


def _quantize(work: Work, step: Step, made: Made, target: Path) -> None:
    scheme = _scheme(step)
    ranges = work.ranges_of(made.path) if scheme.needs_ranges else None
    _note(made, scheme, quantize(made.path, target, scheme, ranges=ranges))
    made.path = target


def _mixed(work: Work, step: Step, made: Made, target: Path) -> None:
    ranges = work.ranges_of(made.path)
    readers = work.pictures.calibration  # those for the comparison have no part in the choice
    mix = choose_mix(
        made.path,
        _scheme(step),
        ranges,
        work.feed,
        readers[:_MEASURED],
        work.folder,
        target=step.options["target"],
        most_float=step.options["most_float"],
        tick=work.tick,
    )
    made.notes.append(mix.explain())
    quantize(made.path, target, mix.scheme, ranges=ranges)
    made.path = target


def _prune(_: Work, step: Step, made: Made, target: Path) -> None:
    options = step.options
    changed = prune(
        made.path,
        target,
        sparsity=options["sparsity"],
        pattern=options["pattern"] or None,
        layers=options["layers"] or None,
        include_depthwise=options["include_depthwise"],
    )
    made.notes.append(f"{len(changed)} layers pruned without training; fine-tuning would win back what is lost")
    made.path = target


def _cluster(_: Work, step: Step, made: Made, target: Path) -> None:
    options = step.options
    changed = cluster(
        made.path,
        target,
        clusters=options["clusters"],
        layers=options["layers"] or None,
        keep_zeros=options["keep_zeros"],
        seed=options["seed"],
    )
    made.notes.append(f"{len(changed)} layers with at most {options['clusters']} different weights each")
    made.path = target


STEPS: Mapping[str, Callable[[Work, Step, Made, Path], None]] = {
    "quantize": _quantize,
    "mixed": _mixed,
    "edgetpu": _quantize,
    "prune": _prune,
    "cluster": _cluster,
}


def _note(made: Made, scheme: Scheme, found: Quantised) -> None:
    """Say which operators stay float where integers were wanted throughout."""
    if scheme.needs_ranges and found.float_operators:
        listed = ", ".join(f"{count} {name}" for name, count in found.float_operators)
        made.warnings.append(f"these have no integer form or were left out, and stay float: {listed}")


def finish_edgetpu(staged: Path, made: Made, target: Path) -> None:
    """Check the model for the Edge TPU and compile it where that is possible; it is kept either way."""
    made.warnings += check_edgetpu(staged)
    compiler = find_compiler()
    if compiler is None:
        made.notes.append(HOW_TO_GET_IT)
        return
    try:
        compiled = compile_model(staged, staged.parent, compiler)
    except OptimizeError as exc:
        made.warnings.append(str(exc))
        return
    path = target.with_name(compiled.path.name)
    write_whole(path, compiled.path.read_bytes())
    made.notes.append(
        f"compiled to {path.name}: {compiled.on_tpu} operators on the Edge TPU, {compiled.on_cpu} on the CPU"
    )
    if compiled.on_cpu:
        made.warnings.append(f"{path.name}: {compiled.on_cpu} operators run on the CPU")
