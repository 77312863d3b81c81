"""Pruning while training: which weights are zero, and how many at which time."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from edge_runtime.errors import OptimizeError
from edge_runtime.optimize.training.layers import chosen_layers, output_axis
from edge_runtime.optimize.training.techniques import Prune

log = logging.getLogger(__name__)

_STEP = 0.005  # the share of weights by which the mask grows at least, for sorting costs time


class Mask(nn.Module):  # type: ignore[misc]
    """A weight with zeros where the mask has them; what lies under them is not trained."""

    kept: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("kept", torch.ones_like(weight, dtype=torch.bool))

    def forward(self, weight: Tensor) -> Tensor:
        return torch.where(self.kept, weight, 0.0)


class Pruning:
    """Masks on the layers of a module, moved as the training goes on."""

    def __init__(self, module: nn.Module, technique: Prune) -> None:
        self._technique = technique
        self._reached = 0.0
        self._masked: list[tuple[nn.Module, Mask]] = []
        for name, layer in chosen_layers(module, technique.layers).items():
            if technique.pattern == "2:4" and _inputs_last(layer.weight, layer).shape[-1] % 4:
                log.info("not pruned layer=%s reason=input channels are no multiple of 4", name)
                continue
            mask = Mask(layer.weight)
            parametrize.register_parametrization(layer, "weight", mask)
            self._masked.append((layer, mask))
        if not self._masked:
            raise OptimizeError("Prune: no layer has input channels in multiples of 4; leave out pattern 2:4")

    def advance(self, progress: float) -> list[nn.Parameter]:
        """Set the masks for this part of the training, 0 to 1; return what is to be trained in addition: nothing."""
        target = sparsity_at(progress, self._technique)
        if target > self._reached and (target >= self._reached + _STEP or target == self._technique.sparsity):
            for layer, mask in self._masked:
                weight = layer.parametrizations.weight.original.detach()
                if self._technique.pattern == "2:4":
                    mask.kept.copy_(two_of_four(weight, layer))
                else:
                    mask.kept.copy_(largest(weight, target))
            self._reached = target
        return []


def sparsity_at(progress: float, technique: Prune) -> float:
    """Return the share of zeros when this part of the training has passed.

    Source: Zhu and Gupta, To prune, or not to prune (2017), equation 1.
    """
    if progress < technique.start:
        return 0.0
    if progress >= technique.end or technique.pattern is not None:
        return technique.sparsity
    left = 1 - (progress - technique.start) / (technique.end - technique.start)
    return technique.sparsity * (1 - left**3)


def largest(weight: Tensor, sparsity: float) -> Tensor:
    """Return which weights to keep: the largest by magnitude, all but a share of `sparsity`."""
    kept = torch.ones(weight.numel(), dtype=torch.bool, device=weight.device)
    kept[weight.abs().flatten().argsort()[: round(sparsity * weight.numel())]] = False
    return kept.reshape(weight.shape)


def two_of_four(weight: Tensor, layer: nn.Module) -> Tensor:
    """Return which weights to keep: the two largest of every four that lie together along the input channels."""
    moved = _inputs_last(weight.abs(), layer)
    fours = moved.reshape(-1, 4)
    kept = torch.zeros_like(fours, dtype=torch.bool)
    kept.scatter_(1, fours.topk(2, dim=1).indices, True)
    return kept.reshape(moved.shape).movedim(-1, 1 - output_axis(layer))


def _inputs_last(weight: Tensor, layer: nn.Module) -> Tensor:
    return weight.movedim(1 - output_axis(layer), -1)
