"""What can be done to the weights while they are trained: small descriptions, combined at will."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_runtime.errors import OptimizeError

PATTERNS = ("2:4",)


@dataclass(frozen=True, slots=True)
class Prune:
    """Weights near zero become zero and stay it.

    Args:
        sparsity: share of each layer's weights, 0 to 1, that are zero in the end.
        start: part of the training, 0 to 1, that has passed when pruning begins.
        end: part that has passed when the sparsity is reached; it grows fast first, then slowly. Equal to `start`:
            all at once, which also keeps the zeros of a module pruned before.
        pattern: "2:4" makes zero two of every four input channels that lie together, all at once at `start`; layers
            whose input channels are no multiple of four stay as they are. None prunes wherever weights are smallest.
        layers: regular expression for whole names of layers; None means all but depthwise convolutions.
    """

    sparsity: float = 0.5
    start: float = 0.0
    end: float = 0.5
    pattern: str | None = None
    layers: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.sparsity < 1:
            raise OptimizeError(f"Prune: sparsity is {self.sparsity}; allowed is above 0 and below 1")
        if not 0 <= self.start <= self.end <= 1:
            raise OptimizeError(f"Prune: start is {self.start}, end {self.end}; allowed is 0 <= start <= end <= 1")
        if self.pattern is not None and self.pattern not in PATTERNS:
            raise OptimizeError(
                f"Prune: pattern {self.pattern!r} is unknown; choose from {', '.join(PATTERNS)}, or None"
            )
        if self.pattern == "2:4" and self.sparsity != 0.5:
            raise OptimizeError(
                f"Prune: pattern 2:4 makes half of the weights zero, sparsity is {self.sparsity}; drop one"
            )
        _check_regex("Prune", self.layers)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The weights of a layer share few values; what is trained is the values.

    Args:
        clusters: most values in a layer; zeros that are there stay zeros and count as one.
        start: part of the training, 0 to 1, that has passed when weights are put together; after pruning at any rate.
        layers: regular expression for whole names of layers; None means all but depthwise convolutions.
    """

    clusters: int = 32
    start: float = 0.0
    layers: str | None = None

    def __post_init__(self) -> None:
        if self.clusters < 2:
            raise OptimizeError(f"Cluster: clusters is {self.clusters}; allowed is 2 or more")
        if not 0 <= self.start <= 1:
            raise OptimizeError(f"Cluster: start is {self.start}; allowed is 0 to 1")
        _check_regex("Cluster", self.layers)


@dataclass(frozen=True, slots=True)
class Qat:
    """Quantisation-aware training: the loss is that of integers, the weights remain floats.

    Args:
        input_range: least and greatest value of the module's input.
        methods: names of the methods of the module that the loss calls.
        freeze: part of the training, 0 to 1, after which the ranges of activations no longer move.
    """

    input_range: tuple[float, float] = (0.0, 1.0)
    methods: tuple[str, ...] = ("forward",)
    freeze: float = 0.6

    def __post_init__(self) -> None:
        if not self.input_range[0] < self.input_range[1]:
            raise OptimizeError(f"Qat: input_range is {self.input_range}; allowed is (least, greatest)")
        if isinstance(self.methods, str) or not self.methods:
            raise OptimizeError(f'Qat: methods is {self.methods!r}; give a tuple of names, as ("forward",)')


Technique = Prune | Cluster | Qat


def _check_regex(name: str, pattern: str | None) -> None:
    try:
        re.compile(pattern or "")
    except re.error as exc:
        raise OptimizeError(f"{name}: layers {pattern!r} is no regular expression: {exc}") from exc
