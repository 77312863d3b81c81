"""Which layers to keep float: each is quantised alone and its effect on the outputs measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_runtime.errors import OptimizeError
from edge_runtime.optimize import layers, modelfile
from edge_runtime.optimize.calibration import Feed, Reader
from edge_runtime.optimize.check import Outputs, answers, output_errors
from edge_runtime.optimize.quantize import missing_int8, quantized_bytes
from edge_runtime.optimize.ranges import Ranges
from edge_runtime.optimize.rules import Scheme, exactly

MOST_GROUPS = 48
"""Larger graphs are measured in groups of neighbouring layers: each measurement quantises and runs the model."""

Tick = Callable[[str, int, int], None]  # what is done, so many, of so many


@dataclass(frozen=True, slots=True)
class Group:
    """Neighbouring layers, by the names of their outputs."""

    names: tuple[str, ...]
    error: float = 0.0  # of the outputs when only this group is quantised

    def __str__(self) -> str:
        first, last = layers.short_name(self.names[0]), layers.short_name(self.names[-1])
        return first if len(self.names) == 1 else f"{first} to {last}"


@dataclass(frozen=True, slots=True)
class Mix:
    """What was found out."""

    scheme: Scheme  # with the layers that stay float
    kept: tuple[Group, ...]  # worst first
    groups: int
    error_int8: float  # of the outputs, column by column, with nothing float
    error: float  # with these float

    def explain(self) -> str:
        """Return how many stay float and why, in one line."""
        count = sum(len(group.names) for group in self.kept)
        shown = ", ".join(f"{group} (alone {group.error:.4f})" for group in self.kept[:4])
        more = f" and {len(self.kept) - 4} more" if len(self.kept) > 4 else ""
        return (
            f"{count} layers in {len(self.kept)} of {self.groups} groups stay float, they lose most when quantised "
            f"alone: {shown}{more}; error {self.error_int8:.4f} as int8, {self.error:.4f} mixed"
        )


def choose_mix(
    source: Path,
    scheme: Scheme,
    ranges: Ranges,
    feed: Feed,
    readers: Sequence[Reader],
    folder: Path,
    *,
    target: float = 0.5,
    most_float: float = 0.3,
    tick: Tick = lambda *_: None,
) -> Mix:
    """Return the scheme with the layers that are better left float.

    Args:
        source: a normalised float model.
        scheme: full integer, to begin with.
        ranges: of its tensors.
        feed: how pictures go into it.
        readers: the pictures to measure on.
        folder: for trials.
        target: enough is the error of int8 times this.
        most_float: never more than this share of the groups.
        tick: is told of the progress.

    Raises:
        OptimizeError: no layer can be quantised, or keeping the worst ones float helps nothing.
    """
    expected = answers(source, feed, readers)

    def error_of(trial: Scheme) -> float:
        path = folder / "trial.tflite"
        path.write_bytes(quantized_bytes(source, trial, ranges))
        return _error(expected, answers(path, feed, readers))

    error_int8 = error_of(scheme)
    measured = []
    found = groups_of(source)
    for number, group in enumerate(found):
        tick("layers measured", number, len(found))
        alone = replace(scheme, only=exactly(group.names), io="float")
        measured.append(replace(group, error=error_of(alone)))
    ranked = sorted(measured, key=lambda group: -group.error)
    return _fewest(scheme, ranked, error_int8, error_of, target=target, most=max(1, int(most_float * len(ranked))))


def _fewest(
    scheme: Scheme,
    ranked: Sequence[Group],
    error_int8: float,
    error_of: Callable[[Scheme], float],
    *,
    target: float,
    most: int,
) -> Mix:
    """Return the mix with the fewest of the worst groups float that reaches the target, else the best there is."""
    best: Mix | None = None
    for count in dict.fromkeys(min(most, step) for step in (1, 2, 3, 4, 6, 8, 12, 16, 24)):
        kept = tuple(ranked[:count])
        trial = replace(scheme, float_layers=(*scheme.float_layers, *(exactly(group.names) for group in kept)))
        mix = Mix(trial, kept, len(ranked), error_int8, error_of(trial))
        if best is None or mix.error < best.error:
            best = mix
        if mix.error <= target * error_int8:
            break
    if best is None or best.error >= error_int8:
        raise OptimizeError(
            f"mixed: keeping the {most} worst of {len(ranked)} groups of layers float leaves the error at "
            f"{error_int8:.4f}; use int8, or float16"
        )
    return best


def groups_of(source: Path) -> tuple[Group, ...]:
    """Return the layers that can be quantised, in the order they run, in groups of neighbours.

    Raises:
        OptimizeError: there are none.
    """
    model = modelfile.load(source)
    steps = [(layers.code_of(model, step), layers.indices(step.outputs)) for step in layers.steps_of(model)]
    impossible = missing_int8(name for name, _ in steps)
    names = [
        modelfile.text(model.graph.tensors[outputs[0]].name)
        for name, outputs in steps
        if name not in impossible and name not in ("QUANTIZE", "DEQUANTIZE") and outputs
    ]
    if not names:
        raise OptimizeError(f"{source.name}: no layer of it can be quantised to int8; its operators are "
                            f"{modelfile.few(impossible, 12)}")  # fmt: skip
    size = -(-len(names) // MOST_GROUPS)
    return tuple(Group(tuple(names[start : start + size])) for start in range(0, len(names), size))


def _error(expected: Sequence[Outputs], found: Sequence[Outputs]) -> float:
    names = [str(index) for index in range(len(expected[0]))]
    return max(output.column for output in output_errors(names, expected, found))
