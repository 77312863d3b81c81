"""Sets the smallest weights of a float model to zero: it packs better; on the engines known here it is no faster.

The first convolution and the depthwise ones are left alone unless asked for. They hold few of the weights, nine for
each channel where a 1x1 convolution has hundreds, and everything behind them sees the picture only through these.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.errors import ConfigError, OptimizeError
from edge_runtime.optimize.layers import (
    DEPTHWISE,
    Weights,
    choose,
    layers_of,
    refuse_unless_float32,
    replace_weights,
    weights_of,
)
from edge_runtime.optimize.modelfile import load
from edge_runtime.optimize.weights import sparsity_of

TWO_OF_FOUR = "2:4"


@dataclass(frozen=True, slots=True)
class PrunedLayer:
    """What became of one layer."""

    name: str  # of its output tensor
    operator: str
    shape: tuple[int, ...]  # of its weights
    sparsity_before: float  # share of zeros, 0 to 1
    sparsity: float


def prune(
    source: Path,
    target: Path,
    *,
    sparsity: float = 0.5,
    pattern: str | None = None,
    layers: str | None = None,
    include_depthwise: bool = False,
) -> tuple[PrunedLayer, ...]:
    """Write the model at `source` to `target` with the smallest weights of each layer set to zero.

    Args:
        source: a float32 model.
        target: where to; replaced when it is there.
        sparsity: share of each layer's weights that is zero afterwards; of equal weights the first ones go.
        pattern: "2:4" keeps the two largest of each four along the input channels instead, which some accelerators
            want; in a rest of fewer than four, two stay.
        layers: regular expression found in the name of the output tensor, or that is the operator (CONV_2D,
            FULLY_CONNECTED, ...); None takes all but the first convolution.
        include_depthwise: prune depthwise convolutions, too.

    Raises:
        ConfigError: an argument is not allowed.
        ModelError: the model cannot be read or is not float32.
        OptimizeError: no layer is chosen, no weight changed, or the result is not what it should be.
        OutputError: it cannot be written.
    """
    check_pruning(sparsity, pattern, include_depthwise)
    model = load(source)
    refuse_unless_float32(model)
    chosen = choose(layers_of(model), layers, include_depthwise=include_depthwise)
    before = {layer: weights_of(model, layer) for layer in chosen}
    after = {layer: keep_two_of_four(old) if pattern else zero_smallest(old, sparsity) for layer, old in before.items()}
    if all(np.array_equal(after[layer], before[layer]) for layer in chosen):
        raise OptimizeError(
            f"{source}: expected {pattern or f'{sparsity:.0%} zeros'} to change weights of {len(chosen)} layers, "
            "and none changed; it is pruned this far already, or its layers are too small"
        )
    replace_weights(model, target, after)
    return tuple(
        PrunedLayer(layer.name, layer.operator, old.shape, sparsity_of(old), sparsity_of(after[layer]))
        for layer, old in before.items()
    )


def zero_smallest(weights: Weights, sparsity: float) -> Weights:
    """Return the weights with this share of them zero, the smallest in magnitude; of equal ones the first go."""
    flat = weights.flatten()
    flat[np.argsort(np.abs(flat), kind="stable")[: round(sparsity * flat.size)]] = 0
    return flat.reshape(weights.shape)


def keep_two_of_four(weights: Weights) -> Weights:
    """Return the weights with at most two that are not zero in each four along the last axis."""
    channels = weights.shape[-1]
    rows = weights.reshape(-1, channels)
    fours = np.pad(rows, ((0, 0), (0, -channels % 4))).reshape(-1, 4)
    sizes = np.pad(np.abs(rows), ((0, 0), (0, -channels % 4)), constant_values=-1).reshape(-1, 4)  # what is added goes
    np.put_along_axis(fours, np.argsort(sizes, axis=1, kind="stable")[:, :2], 0, axis=1)
    return np.ascontiguousarray(fours.reshape(len(rows), -1)[:, :channels]).reshape(weights.shape)


def check_pruning(sparsity: float, pattern: str | None, include_depthwise: bool) -> None:
    """Raise ConfigError where these do not go together."""
    if not 0 < sparsity < 1:
        raise ConfigError(f"sparsity: {sparsity} is not allowed; allowed is a share between 0 and 1, such as 0.5")
    if pattern not in (None, TWO_OF_FOUR):
        raise ConfigError(f"pattern: {pattern!r} is not allowed; give {TWO_OF_FOUR}, or leave it out")
    if pattern and sparsity != 0.5:
        raise ConfigError(f"sparsity: {sparsity} does not go with {pattern}, which is a sparsity of 0.5; leave one out")
    if pattern and include_depthwise:
        raise ConfigError(f"include_depthwise: does not go with {pattern}: each filter of {DEPTHWISE} has one channel")
