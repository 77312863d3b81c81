"""Gives the weights of each layer of a float model a few values to share: the file packs three times better.

The size of the file itself and the speed stay. Cluster last of all float passes, and after batch normalisation is
folded into the convolutions: folding multiplies every channel by another number, and the few values become many.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.errors import ConfigError, OptimizeError
from edge_runtime.optimize.kmeans import centres_of, nearest
from edge_runtime.optimize.layers import (
    Layer,
    Weights,
    choose,
    code_of,
    constant,
    indices,
    layers_of,
    refuse_unless_float32,
    replace_weights,
    steps_of,
    weights_of,
)
from edge_runtime.optimize.modelfile import EditableModel, brief, load, text
from edge_runtime.optimize.weights import sparsity_of

MOST_CLUSTERS = 65536


@dataclass(frozen=True, slots=True)
class ClusteredLayer:
    """What became of one layer."""

    name: str  # of its output tensor
    operator: str
    shape: tuple[int, ...]  # of its weights
    distinct_before: int  # number of different weights
    distinct: int
    sparsity: float  # share of zeros, 0 to 1
    largest_change: float  # of one weight, as a share of the layer's largest weight
    warnings: tuple[str, ...] = ()


def cluster(
    source: Path,
    target: Path,
    *,
    clusters: int = 32,
    layers: str | None = None,
    keep_zeros: bool = True,
    seed: int = 0,
) -> tuple[ClusteredLayer, ...]:
    """Write the model at `source` to `target` with at most `clusters` different weights in each layer.

    A layer that has no more different weights than that already stays as it is.

    Args:
        source: a float32 model.
        target: where to; replaced when it is there.
        clusters: 2 or more; 16 to 64 is usual.
        layers: regular expression found in the name of the output tensor, or that is the operator (CONV_2D,
            DEPTHWISE_CONV_2D, FULLY_CONNECTED, ...); None takes all but the first convolution and the depthwise
            ones, which hold few weights and mind each change.
        keep_zeros: zeros, as pruning leaves them, stay zero and are one of the clusters.
        seed: of what is drawn; the same seed gives the same file.

    Raises:
        ConfigError: an argument is not allowed.
        ModelError: the model cannot be read or is not float32.
        OptimizeError: no layer is chosen, no weight changed, or the result is not what it should be.
        OutputError: it cannot be written.
    """
    check_clusters(clusters)
    model = load(source)
    refuse_unless_float32(model)
    chosen = choose(layers_of(model), layers, include_depthwise=layers is not None)
    before = {layer: weights_of(model, layer) for layer in chosen}
    after = {layer: share_values(old, clusters, keep_zeros=keep_zeros, seed=seed) for layer, old in before.items()}
    if all(np.array_equal(after[layer], before[layer]) for layer in chosen):
        raise OptimizeError(
            f"{source}: expected {clusters} clusters to change weights of {len(chosen)} layers, and none changed; "
            "no layer has more different weights than that, so ask for fewer"
        )
    replace_weights(model, target, after)
    return tuple(_result(model, layer, before[layer], after[layer]) for layer in chosen)


def check_clusters(clusters: int) -> None:
    """Raise ConfigError unless this is a number of clusters."""
    if not 2 <= clusters <= MOST_CLUSTERS:
        raise ConfigError(f"clusters: {clusters} is not allowed; allowed is 2 to {MOST_CLUSTERS}, 16 to 64 is usual")


def share_values(weights: Weights, clusters: int, *, keep_zeros: bool, seed: int) -> Weights:
    """Return the weights with at most `clusters` different values, each the mean of those it stands for."""
    if len(np.unique(weights)) <= clusters:
        return weights
    free = weights != 0 if keep_zeros else np.ones(weights.shape, bool)
    shared = np.zeros_like(weights)
    shared[free] = nearest(weights[free], centres_of(weights[free], clusters - (not free.all()), seed))
    return shared


def _result(model: EditableModel, layer: Layer, before: Weights, after: Weights) -> ClusteredLayer:
    return ClusteredLayer(
        name=layer.name,
        operator=layer.operator,
        shape=before.shape,
        distinct_before=len(np.unique(before)),
        distinct=len(np.unique(after)),
        sparsity=sparsity_of(after),
        largest_change=float(np.abs(after - before).max() / (np.abs(before).max() or 1)),
        warnings=_warnings(model, layer),
    )


def _warnings(model: EditableModel, layer: Layer) -> tuple[str, ...]:
    """Return what may undo the clustering: a factor for each channel behind the layer is an unfolded normalisation."""
    output = indices(steps_of(model)[layer.step].outputs)[0]
    channels = indices(model.graph.tensors[output].shape)[-1:]
    for step in steps_of(model):
        inputs = indices(step.inputs)
        if code_of(model, step) != "MUL" or output not in inputs:
            continue
        factors = [constant(model, index) for index in inputs if index != output]
        if any(one is not None and [one.size] == channels and one.size > 1 for one in factors):
            name = text(model.graph.tensors[indices(step.outputs)[0]].name)
            return (
                f"layer {brief(layer.name)}: {brief(name)} multiplies its channels by constants, like a batch "
                "normalisation that is not folded; folding it later undoes the clustering, so fold it first",
            )
    return ()
