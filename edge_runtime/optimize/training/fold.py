"""Batch norms folded into the layer before them, as a converter does it at export.

Sparsity and clusters survive only what comes after folding: it scales each channel by its own factor. Zeros stay
zeros, but 32 values in a layer become 32 in each channel. So fold first, then prune, cluster or quantise.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx, nn

from edge_runtime.errors import OptimizeError
from edge_runtime.optimize.training.layers import BATCH_NORMS, CONVOLUTIONS, LayerTracer, output_axis


def fold_batch_norms(module: nn.Module) -> nn.Module:
    """Return a copy of the module, in evaluation mode, that computes the same without batch norms.

    Every batch norm becomes an `Identity`; classes, methods and names of all else stay.

    Raises:
        OptimizeError: a batch norm has no layer of its own before it that it could be folded into.
    """
    folded = copy.deepcopy(module).eval()
    names = {norm: name for name, norm in folded.named_modules() if isinstance(norm, BATCH_NORMS)}
    if not names:
        return folded
    before = dict(_pairs(folded))
    for norm, name in names.items():
        layer = before.get(norm)
        if layer is None:
            raise OptimizeError(
                f"{name}: this {type(norm).__name__} follows no convolution or linear layer of its own, or stands in a "
                "forward that cannot be traced; a batch norm is folded where it alone takes what that layer gives"
            )
        if norm.running_mean is None:
            raise OptimizeError(f"{name}: keeps no running mean; a batch norm is folded with track_running_stats=True")
        _fold(layer, norm)
        _replace(folded, norm, nn.Identity())
    return folded


def _fold(layer: nn.Module, norm: nn.Module) -> None:
    """Scale weight and bias of the layer; the layer stays the same object, wherever it is used.

    Source: Ioffe and Szegedy, Batch Normalization (2015), algorithm 2.
    """
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    gain = torch.ones_like(mean) if norm.weight is None else norm.weight.detach().double()
    shift = torch.zeros_like(mean) if norm.bias is None else norm.bias.detach().double()
    bias = torch.zeros_like(mean) if layer.bias is None else layer.bias.detach().double()
    factor = gain / torch.sqrt(variance + norm.eps)
    weight = layer.weight.detach()
    # Output channels run along the first axis; of a transposed convolution along the second, for each group anew.
    groups = layer.groups if isinstance(layer, nn.ConvTranspose2d) else 1
    parts = factor.view(groups, 1, -1, 1, 1) if output_axis(layer) else factor.view(1, -1, *[1] * (weight.dim() - 1))
    folded = weight.double().unflatten(0, (groups, -1)) * parts
    layer.weight = nn.Parameter(folded.flatten(0, 1).to(weight.dtype), layer.weight.requires_grad)
    layer.bias = nn.Parameter(((bias - mean) * factor + shift).to(weight.dtype), layer.weight.requires_grad)


def _replace(root: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in root.modules():
        for name, child in parent.named_children():
            if child is old:
                setattr(parent, name, new)


def _pairs(module: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Yield (batch norm, layer before it) for those that can be folded; where a forward resists, look in its parts."""
    if not any(isinstance(part, BATCH_NORMS) for part in module.modules()):
        return
    try:
        graph = LayerTracer().trace(module)
    except Exception:  # noqa: BLE001  whatever a forward raises when it is given something that is no tensor
        for child in module.children():
            yield from _pairs(child)
        return
    parts = dict(module.named_modules())
    calls: dict[nn.Module, list[fx.Node]] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            calls.setdefault(parts[node.target], []).append(node)
    for norm, norm_calls in calls.items():
        layer = _layer_before(norm_calls, parts) if isinstance(norm, BATCH_NORMS) else None
        if layer is not None and all(len(call.users) == 1 for call in calls[layer]) and _only(calls[layer], norm_calls):
            yield norm, layer


def _layer_before(norm_calls: list[fx.Node], parts: dict[str, nn.Module]) -> nn.Module | None:
    """Return the one layer that all these calls of a batch norm follow; None where there is none."""
    sources: set[Any] = {
        parts[call.args[0].target] if isinstance(call.args[0], fx.Node) and call.args[0].op == "call_module" else None
        for call in norm_calls
    }
    layer = sources.pop() if len(sources) == 1 else None
    return layer if isinstance(layer, (*CONVOLUTIONS, nn.Linear)) else None


def _only(layer_calls: list[fx.Node], norm_calls: list[fx.Node]) -> bool:
    """Return whether each call of the layer goes to a call of the batch norm."""
    return all(next(iter(call.users)) in norm_calls for call in layer_calls)
