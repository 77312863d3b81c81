"""The layers of a torch module that have weights, and the way of a tensor through them."""

from __future__ import annotations

import re

from torch import fx, nn

from edge_runtime.errors import OptimizeError

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


class LayerTracer(fx.Tracer):  # type: ignore[misc]
    """Follows one method of a module; layers stay whole, subclasses of torch's own too."""

    def __init__(self, method: str = "forward") -> None:
        super().__init__()
        self.traced_func_name = method

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = isinstance(m, (*CONVOLUTIONS, nn.Linear, *BATCH_NORMS))
        return known or bool(super().is_leaf_module(m, module_qualified_name))


def layers_with_weights(module: nn.Module) -> dict[str, nn.Module]:
    """Return the convolutions and linear layers by name, each once."""
    return {name: part for name, part in module.named_modules() if isinstance(part, (*CONVOLUTIONS, nn.Linear))}


def chosen_layers(module: nn.Module, pattern: str | None) -> dict[str, nn.Module]:
    """Return the layers whose whole name the pattern matches; all but depthwise ones where it is None.

    Raises:
        OptimizeError: there is none.
    """
    layers = layers_with_weights(module)
    if pattern is None:
        chosen = {name: layer for name, layer in layers.items() if not is_depthwise(layer)}
    else:
        chosen = {name: layer for name, layer in layers.items() if re.fullmatch(pattern, name)}
    if not chosen:
        raise OptimizeError(
            f"layers: {pattern!r} matches no convolution or linear layer; there are {', '.join(layers) or 'none'}"
        )
    return chosen


def output_axis(layer: nn.Module) -> int:
    """Return the axis of the layer's weight along which its output channels run."""
    return 1 if isinstance(layer, nn.ConvTranspose2d) else 0


def is_depthwise(layer: nn.Module) -> bool:
    """Return whether each input channel of the layer has filters of its own."""
    return isinstance(layer, CONVOLUTIONS) and bool(layer.groups == layer.in_channels > 1)
