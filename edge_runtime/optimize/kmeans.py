"""k-means of single numbers: a few values that stand for many.

Source: S. Lloyd, Least squares quantization in PCM, 1982; D. Arthur and S. Vassilvitskii, k-means++, 2007.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_ROUNDS = 100
_SEEDINGS = 3


def centres_of(values: NDArray[np.floating], count: int, seed: int) -> NDArray[np.float32]:
    """Return at most `count` centres, ascending; the same numbers and seed give the same ones.

    The best of several beginnings: evenly spread, one for each equal share of the values, and k-means++ by `seed`.

    Args:
        values: any shape, at least one number.
        count: 1 or more; where there are no more different values than this, these are the centres.
        seed: for the beginnings that are drawn.
    """
    different = np.unique(values)
    if len(different) <= count:
        return different.astype(np.float32)
    ordered = np.sort(values, axis=None).astype(np.float64)
    random = np.random.default_rng(seed)
    shares = (np.arange(count) + 0.5) / count
    beginnings = [np.linspace(ordered[0], ordered[-1], count), np.quantile(ordered, shares)]
    beginnings += [_plus_plus(ordered, count, random) for _ in range(_SEEDINGS)]
    sums = np.concatenate([[0], np.cumsum(ordered)])
    found = [_lloyd(ordered, sums, np.unique(one)) for one in beginnings]
    return np.unique(min(found, key=lambda centres: _error(ordered, centres)).astype(np.float32))


def nearest(values: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each value's nearest centre, in the shape of the values; `centres` ascend."""
    return centres[np.searchsorted(_between(centres.astype(np.float64)), values)]


def _between(centres: Numbers) -> Numbers:
    return (centres[:-1] + centres[1:]) / 2


def _plus_plus(ordered: Numbers, count: int, random: np.random.Generator) -> Numbers:
    """Return centres drawn from the values, each with a probability that grows with its distance from the others."""
    centres = [ordered[random.integers(len(ordered))]]
    distance = (ordered - centres[0]) ** 2
    while len(centres) < count and distance.any():
        drawn = random.random() * distance.sum()
        centres.append(ordered[min(np.searchsorted(np.cumsum(distance), drawn), len(ordered) - 1)])
        distance = np.minimum(distance, (ordered - centres[-1]) ** 2)
    return np.array(centres)


def _lloyd(ordered: Numbers, sums: Numbers, centres: Numbers) -> Numbers:
    """Move each centre to the mean of its values until none moves; one without values goes."""
    for _ in range(_ROUNDS):
        ends = np.concatenate([[0], np.searchsorted(ordered, _between(centres)), [len(ordered)]])
        used = np.diff(ends) > 0
        moved = (np.diff(sums[ends]) / np.maximum(np.diff(ends), 1))[used]
        if len(moved) == len(centres) and np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def _error(ordered: Numbers, centres: Numbers) -> float:
    return float(np.sum((ordered - centres[np.searchsorted(_between(centres), ordered)]) ** 2))
