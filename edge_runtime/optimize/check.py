"""A variant beside its float parent, on pictures: how far the outputs are apart, and what becomes of detections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import OptimizeError
from edge_runtime.inference import Backend, TensorSpec
from edge_runtime.inference.tflite import open_cpu
from edge_runtime.optimize.calibration import Feed, Reader
from edge_runtime.optimize.matching import DetectionError, compare_detections
from edge_runtime.optimize.modelfile import brief
from edge_runtime.vision.preprocess import InputFormat, Preprocessor

LEAST_COSINE, LEAST_MATCHED = 0.98, 0.95
"""Below these there is a warning. It says where to look; how good a variant is only an evaluation says."""

_COARSE_SCORE, _COARSE_BOX = 0.01, 0.01  # a step of a score; of a box, as a share of the input

Outputs = list[NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class OutputError:
    """How far one output is from the parent's over all pictures."""

    name: str
    relative: float  # RMS of the difference over RMS of the parent's values
    cosine: float  # 1 is the same direction
    column: float  # the same for each column against that column's own size, the mean over columns


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that was compared."""

    outputs: tuple[OutputError, ...]
    detections: DetectionError | None  # None where the parent is no detector that is decoded here
    warnings: tuple[str, ...]

    @property
    def column_error(self) -> float:
        """The worst output's error, column by column."""
        return max(output.column for output in self.outputs)


def compare(
    parent: Path, variant: Path, feed: Feed, readers: Sequence[Reader], *, reference: Sequence[Outputs] | None = None
) -> Comparison:
    """Return how far the variant is from its parent on these pictures.

    Args:
        parent: the float model.
        variant: made from it; what it needs beside it lies beside it.
        feed: how pictures go into the parent.
        readers: the pictures.
        reference: what the parent answers to them, where that is known already.

    Raises:
        OptimizeError: the variant answers with what are no numbers, or with other outputs.
    """
    expected = reference or answers(parent, feed, readers)
    found = answers(variant, feed, readers)
    specs = _specs_of(variant)
    outputs = output_errors([spec.name for spec in _specs_of(parent)], expected, found)
    warnings = [*_far(outputs), *coarse_steps(specs, feed)]
    detections = compare_detections(parent, variant, readers) if feed.spec else None
    if detections and detections.matched < LEAST_MATCHED * detections.expected:
        warnings.append(
            f"finds {detections.matched} of the {detections.expected} detections of its parent; evaluate it before use"
        )
    return Comparison(outputs, detections, tuple(warnings))


def answers(model: Path, feed: Feed, readers: Sequence[Reader]) -> list[Outputs]:
    """Return the outputs of a model for each picture as real numbers, whatever its types are.

    Raises:
        OptimizeError: they are no numbers.
    """
    backend = open_cpu(model, engine="litert", num_threads=1)
    try:
        preprocessor = Preprocessor(_format_of(backend.inputs[0], feed.format))
        return [_answer(backend, preprocessor.finish(preprocessor.shrink(read())), model) for read in readers]
    finally:
        backend.close()


def _answer(backend: Backend, tensor: NDArray[Any], model: Path) -> Outputs:
    stored = backend.invoke([tensor])
    outputs = [real(one, spec) for one, spec in zip(stored, backend.outputs, strict=True)]
    for one, spec in zip(outputs, backend.outputs, strict=True):
        if not np.isfinite(one).all():
            raise OptimizeError(
                f"{model.name}: output {brief(spec.name)} holds values that are no numbers; it is not kept"
            )
    return outputs


def _format_of(tensor: TensorSpec, plain: InputFormat) -> InputFormat:
    """Return the format of the float parent for this input; pixels without scaling are meant as 0 to 255."""
    found = replace(plain, dtype=tensor.dtype)
    if tensor.quantization is None:
        return found
    zeros, ones = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return replace(
        found,
        mean=plain.mean or zeros,
        std=plain.std or ones,
        scale=tensor.quantization.scale,
        zero_point=tensor.quantization.zero_point,
    )


def real(stored: NDArray[Any], spec: TensorSpec) -> NDArray[np.float32]:
    """Return the real numbers that stored values stand for."""
    values = np.asarray(stored, np.float32)
    if spec.quantization is None:
        return values
    return (values - np.float32(spec.quantization.zero_point)) * np.float32(spec.quantization.scale)


def _specs_of(model: Path) -> tuple[TensorSpec, ...]:
    backend = open_cpu(model, engine="litert", num_threads=1)
    specs = tuple(backend.outputs)
    backend.close()
    return specs


def output_errors(
    names: Sequence[str], expected: Sequence[Outputs], found: Sequence[Outputs]
) -> tuple[OutputError, ...]:
    """Return the error of each output over all pictures.

    Raises:
        OptimizeError: the variant has other outputs.
    """
    shapes = [[one.shape for one in outputs] for outputs in (expected[0], found[0])]
    if shapes[0] != shapes[1]:
        raise OptimizeError(f"the outputs have the shapes {shapes[1]}, those of the parent {shapes[0]}; it is not kept")
    errors = []
    for index, name in enumerate(names):
        before = np.stack([outputs[index] for outputs in expected]).astype(np.float64)
        after = np.stack([outputs[index] for outputs in found]).astype(np.float64)
        errors.append(OutputError(name, *_distances(before, after), column_error(before, after)))
    return tuple(errors)


def _distances(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float, float]:
    """Return (relative error, cosine); for a parent that is all zeros 0 and 1 if the variant is, too."""
    length, other = float(np.linalg.norm(before)), float(np.linalg.norm(after))
    if not length:
        return (0.0, 1.0) if not other else (1.0, 0.0)
    cosine = float(before.ravel() @ after.ravel()) / (length * other) if other else 0.0
    return float(np.linalg.norm(before - after)) / length, cosine


def column_error(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Return the mean over columns of the RMS difference against the column's own greatest value.

    An output may hold boxes in pixels beside scores from 0 to 1: over the whole the boxes drown the scores, which are
    what a scale for both destroys. Columns are the shorter side of [1, N, C] and [1, C, N]; a flat output is one.

    Args:
        before: (pictures, 1, ...) of the parent.
        after: the same of the variant.
    """
    if before.ndim < 4:
        before, after = before.reshape(-1, 1), after.reshape(-1, 1)
    else:
        axis = 2 + int(np.argmin(before.shape[2:]))
        columns = before.shape[axis]
        before, after = (np.moveaxis(one, axis, -1).reshape(-1, columns) for one in (before, after))
    sizes = np.abs(before).max(axis=0)
    differences = np.sqrt(np.mean((before - after) ** 2, axis=0))
    used = sizes > 1e-3 * max(float(sizes.max()), 1e-12)
    return float(np.mean(differences[used] / sizes[used])) if used.any() else float(differences.mean())


def _far(outputs: Iterable[OutputError]) -> list[str]:
    return [
        f"output {brief(one.name)} is far from the parent's (cosine {one.cosine:.3f}); evaluate it before use"
        for one in outputs
        if one.cosine < LEAST_COSINE
    ]


def coarse_steps(specs: Sequence[TensorSpec], feed: Feed) -> list[str]:
    """Return warnings of outputs whose integers are too coarse for what they hold.

    Args:
        specs: the outputs of the variant.
        feed: its spec, where there is one, says which output holds what.
    """
    warnings = []
    roles = {index: role for role, index in feed.spec.roles.items()} if feed.spec else {}
    for index, spec in enumerate(specs):
        if spec.quantization is None or spec.dtype.itemsize > 1:
            continue
        step = spec.quantization.scale
        if _holds_both(specs, spec):
            if step > _COARSE_SCORE:
                steps = int(1 / step)
                warnings.append(
                    f"output {brief(spec.name)} holds boxes and scores under one scale: a step is {step:.4g}, a score "
                    f"from 0 to 1 has {steps} steps; keep the last layers float (float_layers in a recipe)"
                )
        elif _is_box(spec, roles.get(index)) and (share := box_step(spec, feed)) > _COARSE_BOX:
            said = f"a step of its boxes is {step:.4g}, {share:.1%} of the input"
            warnings.append(f"output {brief(spec.name)}: {said}")
    return warnings


def _holds_both(specs: Sequence[TensorSpec], spec: TensorSpec) -> bool:
    """Return whether the only output is a table with boxes and scores in its columns."""
    return len(specs) == 1 and len(spec.shape) == 3 and min(spec.shape[1:]) > 4


def _is_box(spec: TensorSpec, role: str | None) -> bool:
    named = role is not None and ("box" in role or "regress" in role)
    return named or (role is None and len(spec.shape) == 3 and spec.shape[-1] in (4, 16))


def box_step(spec: TensorSpec, feed: Feed) -> float:
    """Return one step of a box as a share of the input.

    Distances of fcos are in cells. Of others, values beyond 4 are pixels, and smaller ones go from 0 to 1.
    """
    assert spec.quantization is not None
    step, zero_point = spec.quantization.scale, spec.quantization.zero_point
    if feed.spec and feed.spec.decoder == "fcos":
        return step * max(feed.spec.strides) / max(feed.format.size_wh)
    limits = np.iinfo(spec.dtype)
    reach = max(abs(limits.min - zero_point), abs(limits.max - zero_point)) * step
    return step / max(feed.format.size_wh) if reach > 4 else step
