"""Fine-tuning with techniques: a trained module in, a plain float module out that bears quantisation, zeros, clusters.

smaller = finetune(module, batches, loss, techniques=[Prune(0.5), Qat()], epochs=2, learning_rate=1e-3)
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass
from time import monotonic
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from edge_runtime.errors import OptimizeError
from edge_runtime.optimize.training.clusters import Clustering
from edge_runtime.optimize.training.fake_quant import Quantising, WeightGrid
from edge_runtime.optimize.training.fold import fold_batch_norms
from edge_runtime.optimize.training.layers import layers_with_weights
from edge_runtime.optimize.training.sparsity import Pruning
from edge_runtime.optimize.training.techniques import Cluster, Prune, Qat, Technique

log = logging.getLogger(__name__)

Batch = TypeVar("Batch")

_WARM_UP = 0.05  # part of the steps in which the learning rate rises
_MAX_NORM = 10.0


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the batches came to."""

    number: int  # from 1
    of: int
    steps: int
    loss: float  # mean over the steps
    seconds: float


class Attached(Protocol):
    """A technique at work on a module."""

    def advance(self, progress: float) -> list[nn.Parameter]: ...


def finetune(
    module: nn.Module,
    batches: Callable[[], Iterable[Batch]],
    loss: Callable[[nn.Module, Batch], Tensor],
    *,
    techniques: Sequence[Technique],
    epochs: int = 2,
    learning_rate: float = 1e-3,
    seed: int = 0,
    steps: int | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> nn.Module:
    """Return a trained copy of the module, in evaluation mode, to be exported; the module itself stays as it is.

    Batch norms are folded first, for what is done to weights before is undone by folding. Fake quantisation is gone
    from what is returned; zeros and shared values are in its weights.

    Args:
        module: a trained one.
        batches: called for each epoch, gives the batches of it.
        loss: of the module, which is the one in training, and a batch; one number with a gradient.
        techniques: at most one of each kind: `Prune`, `Cluster`, `Qat`. Their order does not matter.
        epochs: passes over the batches.
        learning_rate: at its highest; it rises over the first twentieth, then falls to zero along a cosine.
        seed: of torch's random numbers, for the time of the training.
        steps: batches in an epoch; None asks their `len`, or goes through them once before to count.
        on_epoch: is told of each epoch.

    Raises:
        OptimizeError: a batch norm cannot be folded, a method cannot be traced, there are no batches, or the loss is
            not a finite number.
    """
    _check(techniques, epochs, learning_rate)
    trained = fold_batch_norms(module)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        total = epochs * (steps or _count(batches))
        attached = _attach(trained.train(), techniques)
        run = _Run(trained, attached, learning_rate, total)
        for number in range(1, epochs + 1):
            start, before = monotonic(), run.step
            mean = run.epoch(batches(), loss, number)
            done = Epoch(number, epochs, run.step - before, mean, monotonic() - start)
            log.info("epoch=%d/%d loss=%.4f steps=%d seconds=%.0f", number, epochs, mean, done.steps, done.seconds)
            if on_epoch is not None:
                on_epoch(done)
        for one in attached:
            one.advance(1.0)
    return _plain(trained, attached)


class _Run:
    """The module, its optimiser, and how far they are."""

    def __init__(self, module: nn.Module, attached: Sequence[Attached], learning_rate: float, total: int) -> None:
        parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        if not parameters:
            raise OptimizeError("module: has no parameter that requires a gradient; there is nothing to train")
        self.step = 0
        self._module = module
        self._attached = attached
        self._learning_rate = learning_rate
        self._total = total
        self._optimizer = torch.optim.Adam(parameters, learning_rate)

    def epoch(self, batches: Iterable[Batch], loss: Callable[[nn.Module, Batch], Tensor], number: int) -> float:
        """Train with each batch; return the mean loss."""
        losses: list[float] = []
        for batch in batches:
            self._advance(self.step / self._total)
            value = loss(self._module, batch)
            losses.append(_checked(value, f"epoch {number}, step {len(losses) + 1}", self._learning_rate))
            self._optimizer.zero_grad(set_to_none=True)
            value.backward()
            nn.utils.clip_grad_norm_(self._module.parameters(), _MAX_NORM)
            self._optimizer.step()
            self.step += 1
        if not losses:
            raise OptimizeError(f"batches: gave none in epoch {number}; return a fresh iterable at each call")
        return math.fsum(losses) / len(losses)

    def _advance(self, progress: float) -> None:
        for one in self._attached:
            added = one.advance(min(1.0, progress))
            if added:
                self._optimizer.add_param_group({"params": added})
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate * rate_at(progress)


def rate_at(progress: float) -> float:
    """Return the learning rate, as a part of its highest, when this part of the training has passed."""
    if progress < _WARM_UP:
        return (progress + 0.1 * _WARM_UP) / (1.1 * _WARM_UP)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - _WARM_UP) / (1 - _WARM_UP))))


def _check(techniques: Sequence[Technique], epochs: int, learning_rate: float) -> None:
    kinds = [type(one).__name__ for one in techniques]
    if not kinds or len(set(kinds)) < len(kinds) or not all(isinstance(one, Technique) for one in techniques):
        raise OptimizeError(f"techniques: {kinds}; give one or more of Prune, Cluster and Qat, each at most once")
    if epochs < 1:
        raise OptimizeError(f"epochs: is {epochs}; allowed is 1 or more")
    if not 0 < learning_rate < math.inf:
        raise OptimizeError(f"learning_rate: is {learning_rate}; allowed is above 0")


def _count(batches: Callable[[], Iterable[Batch]]) -> int:
    given = batches()
    count = len(given) if isinstance(given, Sized) else sum(1 for _ in given)
    if not count:
        raise OptimizeError("batches: gave none; the loader is empty, or smaller than one batch")
    return count


def _checked(value: Tensor, where: str, learning_rate: float) -> float:
    if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
        found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise OptimizeError(f"loss: returned {found} at {where}; return one number that has a gradient")
    number = float(value.detach())
    if not math.isfinite(number):
        raise OptimizeError(
            f"loss: is {number} at {where}; lower learning_rate (now {learning_rate:g}), or look at that batch"
        )
    return number


def _attach(module: nn.Module, techniques: Sequence[Technique]) -> list[Attached]:
    """Put the techniques on the module in the order in which they work on a weight: zeros, values, rounding."""
    by_kind = {type(one): one for one in techniques}
    attached: list[Attached] = []
    prune, cluster, qat = by_kind.get(Prune), by_kind.get(Cluster), by_kind.get(Qat)
    if isinstance(prune, Prune):
        attached.append(Pruning(module, prune))
    if isinstance(cluster, Cluster):
        pruned = (prune.start if prune.pattern else prune.end) if isinstance(prune, Prune) else 0.0
        attached.append(Clustering(module, cluster, max(cluster.start, pruned)))
    if isinstance(qat, Qat):
        attached.append(Quantising(module, qat))
    return attached


def _plain(module: nn.Module, attached: Sequence[Attached]) -> nn.Module:
    """Return the module with nothing on it: zeros and values are in the weights, rounding is not."""
    for one in attached:
        if isinstance(one, Quantising):
            one.remove()
    for layer in layers_with_weights(module).values():
        if not parametrize.is_parametrized(layer, "weight"):
            continue
        chain = layer.parametrizations.weight
        weight = chain.original.detach()
        for part in chain:
            if not isinstance(part, WeightGrid):
                weight = part(weight)
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
        layer.weight.data.copy_(weight)
    return module.eval()
