"""Few values that stand for many: near them, no more than asked for, the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_runtime.optimize.kmeans import centres_of, nearest

NUMBERS = arrays(np.float32, st.integers(1, 60), elements=st.floats(-100, 100, width=32))


@given(NUMBERS, st.integers(1, 9))
def test_there_are_no_more_centres_than_asked_for_and_each_value_takes_its_nearest(values, count):
    """The file packs only as well as there are few."""
    centres = centres_of(values, count, seed=0)
    shared = nearest(values, centres)
    assert 1 <= len(centres) <= count
    assert (np.diff(centres) > 0).all()
    assert values.min() <= centres[0] <= centres[-1] <= values.max()
    distances = np.abs(values[:, None].astype(np.float64) - centres)
    assert np.abs(values.astype(np.float64) - shared) == pytest.approx(distances.min(axis=1), abs=1e-4)


@given(NUMBERS)
def test_as_many_centres_as_different_values_change_nothing(values):
    """A layer that is clustered already must come through exactly."""
    count = len(np.unique(values))
    assert np.array_equal(nearest(values, centres_of(values, count, seed=0)), values)


def test_clusters_that_are_plain_to_see_are_found():
    """Whatever their sizes and distances: one far away must not be averaged in with the crowd."""
    values = np.repeat(np.array([-9, -1, 0, 0.5, 70], np.float32), [3, 500, 4000, 200, 1])
    values += np.random.default_rng(0).normal(0, 0.01, values.size).astype(np.float32)
    assert centres_of(values, 5, seed=0) == pytest.approx([-9, -1, 0, 0.5, 70], abs=0.05)


def test_the_error_is_near_the_best_there_is():
    """For 32 of a normal distribution the best quantiser loses 0.0025 of the variance.

    Source: J. Max, Quantizing for minimum distortion, 1960, table I: 0.002499 for 32 levels.
    """
    values = np.random.default_rng(0).normal(0, 1, 50_000).astype(np.float32)
    shared = nearest(values, centres_of(values, 32, seed=0))
    assert np.mean((values - shared) ** 2) < 0.0025 * 1.06


def test_the_same_seed_gives_the_same_centres():
    """A variant that cannot be made again cannot be checked."""
    values = np.random.default_rng(1).standard_cauchy(3000).astype(np.float32)
    assert np.array_equal(centres_of(values, 16, seed=4), centres_of(values, 16, seed=4))
