"""Whether an accelerator computes what the CPU computes, seen on one picture before it is trusted.

Zeros would not do: what is wrong in a shader or a library often leaves zeros alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.inference import Backend, TensorSpec

MAX_SPREAD = 0.2
"""The root mean square difference that passes, as a share of the output's own standard deviation. Right results were
seen up to 0.11 (int8 and dynamic-range models, where each engine rounds at other places), wrong ones from 0.9."""
MAX_SHARE = 0.5
"""The largest single difference that passes, as a share of the output's range. Right results were seen up to 0.31 (one
anchor among thousands, in an int8 model); a part of the output that is not computed at all is beyond."""
LEAST_SPREAD = 0.01
"""Outputs that hardly move on this picture, as the scores of a model that finds nothing in it, are not blown up."""
CLEAR = 0.1
"""By how much the score of a ranked row must lie above the last one's: the rest change places with other rows."""
MOST_ROWS = 1000
SEED = 20_240_229

FLOAT_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
"""What float models want pixels scaled to. Which one is not written in the tensors."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one output is from the CPU's."""

    output: str  # name of the tensor
    largest: float  # largest difference, in real values
    share: float  # the same, of the range of the CPU's values
    spread: float  # root mean square of the differences, of the standard deviation of the CPU's values

    @property
    def is_wrong(self) -> bool:
        return not (self.share <= MAX_SHARE and self.spread <= MAX_SPREAD)  # NaN is wrong, too

    def __str__(self) -> str:
        return f"{self.output!r} differs by up to {self.largest:.3g} ({100 * self.share:.0f} % of its range)"


@dataclass(frozen=True, slots=True)
class Ranked:
    """Where a model with built-in post-processing puts its rows, which are in the order of their scores."""

    boxes: int  # index of the output
    classes: int
    scores: int


def compare_backends(reference: Backend, found: Backend, ranked: Ranked | None = None) -> Difference | None:
    """Return the worst difference on a picture; None where there is no output to compare.

    The scale of the pixels is not known here. A picture of another scale leads a model where rounding counts for more,
    so the scale is tried at which the two agree best; what is broken is wrong at each.

    Args:
        reference: the CPU.
        found: what is to be trusted, with the same inputs and outputs.
        ranked: of a model with built-in post-processing.

    Raises:
        InvokeError: one of them failed.
    """
    best: Difference | None = None
    for inputs in pictures(reference.inputs):
        worst = compare(reference.invoke(inputs), found.invoke(inputs), reference.outputs, ranked)
        if best is None or (worst is not None and worst.spread < best.spread):
            best = worst
        if best is None or not best.is_wrong:
            break
    return best


def compare(
    reference: Sequence[NDArray[Any]],
    found: Sequence[NDArray[Any]],
    specs: Sequence[TensorSpec],
    ranked: Ranked | None = None,
) -> Difference | None:
    """Return the worst difference between two lists of outputs, as they are stored; None where there are none."""
    real = [
        (spec, _real(one, spec), _real(other, spec)) for spec, one, other in zip(specs, reference, found, strict=True)
    ]
    if ranked is not None:
        real = _clear_rows(real, ranked)
    elif rows := _built_in_nms(real):
        real = _clear_rows(rows, Ranked(0, 1, 2))
    differences = [_difference(spec, one, other) for spec, one, other in real if one.size]
    return max(differences, key=_badness, default=None)


def pictures(specs: Sequence[TensorSpec]) -> Iterator[list[NDArray[Any]]]:
    """Yield inputs that show the same picture, once for each scale that pixels may have."""
    is_float = any(spec.dtype.kind == "f" for spec in specs)
    for low, high in FLOAT_RANGES if is_float else FLOAT_RANGES[:1]:
        yield [_input(spec, low, high) for spec in specs]


def picture(height: int, width: int, channels: int, seed: int = SEED) -> NDArray[np.uint8]:
    """Return (height, width, channels): patches of every size, the larger the stronger, as in pictures of the world.

    Source: D. J. Field, "Relations between the statistics of natural images", 1987: amplitude falls as 1/frequency.
    """
    random = np.random.default_rng(seed)
    total = np.zeros((height, width, channels), np.float32)
    cells, strength = 2, 1.0
    while cells < 2 * max(height, width):
        patches = random.normal(size=(cells, cells, channels)).astype(np.float32)
        rows, columns = (np.arange(side) * cells // side for side in (height, width))
        total += strength * patches[rows][:, columns]
        cells, strength = 2 * cells, strength / 2
    total = (total - total.mean()) * (60 / max(float(total.std()), 1e-6))
    pixels: NDArray[np.uint8] = np.clip(total + 125, 0, 255).astype(np.uint8)
    return pixels


def _input(spec: TensorSpec, low: float, high: float) -> NDArray[Any]:
    if len(spec.shape) != 4:  # a state or a setting
        return np.full(spec.shape, spec.quantization.zero_point if spec.quantization else 0).astype(spec.dtype)
    _, first, second, last = spec.shape
    is_nchw = first in (1, 3) and last not in (1, 3)
    height, width, channels = (second, last, first) if is_nchw else (first, second, last)
    pixels = picture(height, width, channels)
    pixels = np.ascontiguousarray((pixels.transpose(2, 0, 1) if is_nchw else pixels)[None])
    if spec.dtype.kind == "f":
        return (low + pixels.astype(np.float32) * ((high - low) / 255)).astype(spec.dtype)
    if spec.dtype == np.uint8:
        return pixels
    middle = pixels.astype(np.int32) - 128
    return (middle if spec.dtype.itemsize == 1 else middle * 256).astype(spec.dtype)


def _real(stored: NDArray[Any], spec: TensorSpec) -> NDArray[np.float64]:
    values = stored.astype(np.float64)
    if spec.quantization is not None:
        values = (values - spec.quantization.zero_point) * spec.quantization.scale
    return values


def _difference(spec: TensorSpec, one: NDArray[np.float64], other: NDArray[np.float64]) -> Difference:
    if one.shape != other.shape or not np.isfinite(other).all():
        return Difference(spec.name, np.inf, np.inf, np.inf)
    apart = np.abs(other - one)
    step = spec.quantization.scale if spec.quantization else 0.0
    largest, size = float(apart.max()), float(np.abs(one).max())
    floor = max(LEAST_SPREAD, 2 * step, size / 100)
    return Difference(
        output=spec.name,
        largest=largest,
        share=largest / max(float(np.ptp(one)) or size, 4 * floor),
        spread=float(np.sqrt(np.mean(apart**2))) / max(float(one.std()), floor),
    )


def _badness(difference: Difference) -> float:
    badness = max(difference.share / MAX_SHARE, difference.spread / MAX_SPREAD)
    return np.inf if np.isnan(badness) else badness


_Real = tuple[TensorSpec, NDArray[np.float64], NDArray[np.float64]]


def _built_in_nms(real: Sequence[_Real]) -> list[_Real]:
    """Return boxes, classes and scores of a single output (1, n, 6) of x, y, x, y, score, class; empty for others.

    Source: Ultralytics' export with nms=True; more rows than it ever gives are anchors of a model with one class.
    """
    if len(real) != 1 or real[0][1].shape[::2] != (1, 6) or real[0][1].ndim != 3 or real[0][1].shape[1] > MOST_ROWS:
        return []
    spec, one, other = real[0]
    return [(spec, one[..., part], other[..., part]) for part in (slice(0, 4), slice(5, 6), slice(4, 5))]


def _clear_rows(real: list[_Real], ranked: Ranked) -> list[_Real]:
    """Return what can be compared of rows in the order of their scores: the scores, and the boxes found again.

    A small difference of two scores makes their rows change places, and lets others drop out at the end.
    """
    (box_spec, boxes, boxes_2), (_, classes, classes_2), (score_spec, scores, scores_2) = (
        real[index] for index in (ranked.boxes, ranked.classes, ranked.scores)
    )
    scores, scores_2 = scores.ravel(), scores_2.ravel()
    boxes, boxes_2 = boxes.reshape(-1, 4), boxes_2.reshape(-1, 4)
    classes, classes_2 = classes.ravel(), classes_2.ravel()
    last = max(scores.min(initial=1.0), scores_2.min(initial=1.0))
    ones, others = [], []
    for row in np.flatnonzero(scores > last + CLEAR):
        same = np.flatnonzero(classes_2 == classes[row])
        if same.size == 0:
            return [(box_spec, boxes[[row]], np.full((1, 4), np.nan))]
        apart = np.abs(boxes_2[same] - boxes[row]).max(axis=1)
        ones.append(boxes[row])
        others.append(boxes_2[same[int(apart.argmin())]])
    found: list[_Real] = [(score_spec, np.sort(scores), np.sort(scores_2))]
    if ones:
        found.append((box_spec, np.array(ones), np.array(others)))
    return found
