"""Clustering while training: the weights of a layer share few values, and those are trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from edge_runtime.optimize.training.layers import chosen_layers
from edge_runtime.optimize.training.techniques import Cluster

_ROUNDS = 100


class SharedValues(nn.Module):  # type: ignore[misc]
    """A weight whose elements are chosen from few values, once `assign` has said which; as it comes before that.

    The gradient of a value is the sum of its elements'. Elements that were zero at that time stay zero.
    """

    index: Tensor
    """Shape of the weight: 0 for zero, i + 1 for value i."""

    def __init__(self, weight: Tensor, clusters: int) -> None:
        super().__init__()
        self.clusters = clusters
        self.values: nn.Parameter | None = None
        self.register_buffer("index", torch.zeros_like(weight, dtype=torch.int64))

    def forward(self, weight: Tensor) -> Tensor:
        if self.values is None:
            return weight
        return torch.cat([self.values.new_zeros(1), self.values])[self.index]

    def assign(self, weight: Tensor) -> nn.Parameter:
        """Choose values for this weight and say which element has which; return the values."""
        rest = weight[weight != 0]
        values = k_means(rest, self.clusters - int(len(rest) < weight.numel()))
        self.index.zero_()
        self.index[weight != 0] = nearest(rest, values) + 1
        self.values = nn.Parameter(values)
        return self.values


class Clustering:
    """Shared values in the layers of a module, from a certain time of the training on."""

    def __init__(self, module: nn.Module, technique: Cluster, start: float) -> None:
        self._start = start
        self._waiting: list[tuple[nn.Module, SharedValues]] = []
        for layer in chosen_layers(module, technique.layers).values():
            shared = SharedValues(layer.weight, technique.clusters)
            parametrize.register_parametrization(layer, "weight", shared)
            self._waiting.append((layer, shared))

    def advance(self, progress: float) -> list[nn.Parameter]:
        """Put weights together once their time has come; return what is to be trained in addition: the values."""
        if progress < self._start:
            return []
        due, self._waiting = self._waiting, []
        return [shared.assign(_before(layer, shared)) for layer, shared in due]


def _before(layer: nn.Module, shared: SharedValues) -> Tensor:
    """Return the weight as it comes to `shared`."""
    chain = layer.parametrizations.weight
    weight = chain.original.detach()
    for part in chain:
        if part is shared:
            break
        weight = part(weight)
    return weight


def k_means(numbers: Tensor, count: int) -> Tensor:
    """Return at most `count` values, ascending, near which the numbers (n,) lie; the numbers themselves if so few.

    Begins with values at equal distances, which keeps the rare large weights; they matter most.

    Source: Han et al., Deep Compression (2015), section 3.2.
    """
    distinct = numbers.unique()
    if len(distinct) <= count:
        return distinct
    values = torch.linspace(float(distinct[0]), float(distinct[-1]), count, dtype=torch.float64, device=numbers.device)
    exact = numbers.double()
    for _ in range(_ROUNDS):
        index = nearest(exact, values)
        size = torch.bincount(index, minlength=count)
        mean = torch.bincount(index, weights=exact, minlength=count) / size.clamp(min=1)
        moved = torch.where(size > 0, mean, values)
        if torch.equal(moved, values):
            break
        values = moved
    return values.to(numbers.dtype)


def nearest(numbers: Tensor, values: Tensor) -> Tensor:
    """Return for each number the index of the nearest of these ascending values."""
    return torch.bucketize(numbers, (values[1:] + values[:-1]) / 2)
