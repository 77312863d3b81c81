"""Floats rounded as integer kernels will round them, with gradients that pass through the rounding.

Weights: 8 bits for each output channel, symmetric, -127 to 127. Activations: 8 bits for the whole tensor, asymmetric,
over a range that follows what is seen. They are placed where an integer kernel ends: behind an activation that folds
into its layer, not before it; behind additions; at the input and at each output.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F  # noqa: N812  the name everyone knows it by
from torch.nn.utils import parametrize

from edge_runtime.errors import OptimizeError
from edge_runtime.optimize.training.layers import CONVOLUTIONS, LayerTracer, layers_with_weights, output_axis
from edge_runtime.optimize.training.techniques import Qat

LEAST, MOST = -128, 127
MOMENTUM = 0.05
"""Weight of a new batch in the moving range."""

UNIT_RANGE = (0.0, 255 / 256)
"""What integer kernels give a sigmoid or softmax: steps of 1/256 from 0."""

_HOLDER = "_fake_quants"

_FUSED = (nn.ReLU, nn.ReLU6, nn.Hardtanh, F.relu, F.relu6, F.hardtanh, torch.relu, "relu")
_HAVE_FUSED = (*CONVOLUTIONS, nn.Linear, F.conv2d, F.linear, operator.add, operator.iadd, torch.add, "add")
_UNIT = (nn.Sigmoid, nn.Softmax, torch.sigmoid, F.sigmoid, torch.softmax, F.softmax, "sigmoid", "softmax")
_NEAREST = (nn.Upsample, nn.UpsamplingNearest2d, F.interpolate)
_SAME_NUMBERS = (
    *(nn.Identity, nn.Dropout, nn.Dropout2d, nn.Flatten, nn.Unflatten, nn.MaxPool2d, nn.ZeroPad2d, nn.PixelShuffle),
    *(torch.flatten, torch.reshape, torch.permute, torch.transpose, torch.squeeze, torch.unsqueeze, torch.split),
    *(torch.chunk, torch.narrow, F.max_pool2d, F.pad, F.dropout, getattr, operator.getitem),
    *("view", "reshape", "permute", "transpose", "flatten", "unflatten", "squeeze", "unsqueeze", "contiguous", "size"),
    *("expand", "repeat", "chunk", "split", "unbind", "narrow", "detach", "to", "float", "clone"),
)


class FakeQuant(nn.Module):  # type: ignore[misc]
    """A tensor rounded to 256 steps over the range it has had so far, or over a given one."""

    low: Tensor
    high: Tensor

    def __init__(self, value_range: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.is_moving = value_range is None
        self.is_seen = False
        low, high = value_range or (0.0, 0.0)
        self.register_buffer("low", torch.tensor(low))
        self.register_buffer("high", torch.tensor(high))

    def forward(self, x: Tensor) -> Tensor:
        if not isinstance(x, Tensor) or not x.is_floating_point() or not x.numel():
            return x
        if self.is_moving and self.training:
            self._observe(x.detach())
        self.is_seen = True
        scale, zero_point = grid(self.low, self.high)
        return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, LEAST, MOST)

    def _observe(self, x: Tensor) -> None:
        low, high = x.amin().float().clamp(max=0), x.amax().float().clamp(min=0)
        self.low.lerp_(low, MOMENTUM if self.is_seen else 1.0)
        self.high.lerp_(high, MOMENTUM if self.is_seen else 1.0)


def grid(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return scale and zero point of 256 steps from low to high; zero is one of them."""
    scale = ((high - low) / (MOST - LEAST)).clamp(min=torch.finfo(torch.float32).eps)
    return scale, (LEAST - low / scale).round().clamp(LEAST, MOST).int()


class WeightGrid(nn.Module):  # type: ignore[misc]
    """A weight rounded to 255 steps for each output channel."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, weight: Tensor) -> Tensor:
        others = [axis for axis in range(weight.dim()) if axis != self.axis]
        largest = weight.detach().abs().amax(dim=others)
        scale = torch.where(largest > 0, largest / MOST, 1.0)
        zero_points = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scale, zero_points, self.axis, -MOST, MOST)


class Quantising:
    """Fake quantisation in a module: on its weights, and in these of its methods on activations."""

    def __init__(self, module: nn.Module, technique: Qat) -> None:
        self._technique = technique
        self._module = module
        module.add_module(_HOLDER, nn.ModuleDict())
        graphs = {method: _traced(module, method) for method in technique.methods}
        for method, graph in graphs.items():
            _insert(graph, module, method, technique.input_range)
        for method, graph in graphs.items():  # not before all are traced: one may call another
            object.__setattr__(module, method, fx.GraphModule(module, graph).forward)
        for layer in layers_with_weights(module).values():
            parametrize.register_parametrization(layer, "weight", WeightGrid(output_axis(layer)))

    def advance(self, progress: float) -> list[nn.Parameter]:
        """Stop the ranges of activations when their time has come; return what is to be trained in addition: nothing.

        Raises:
            OptimizeError: the training has begun, and no activation came by.
        """
        quants: Sequence[FakeQuant] = list(getattr(self._module, _HOLDER).values())
        if progress > 0 and not any(quant.is_seen for quant in quants):
            raise OptimizeError(
                f"Qat: the loss called none of {', '.join(self._technique.methods)}, so nothing was quantised; "
                'name what it calls, as in Qat(methods=("forward", "raw"))'
            )
        if progress >= self._technique.freeze:
            for quant in quants:
                quant.is_moving &= not quant.is_seen
        return []

    def remove(self) -> None:
        """Give the module its own methods back. The weights' part is taken off with all that is on the weights."""
        for method in self._technique.methods:
            object.__delattr__(self._module, method)
        delattr(self._module, _HOLDER)


def _traced(module: nn.Module, method: str) -> fx.Graph:
    if not callable(getattr(type(module), method, None)):
        raise OptimizeError(
            f"Qat: {type(module).__name__} has no method {method!r}; name what the loss calls in methods"
        )
    try:
        return LayerTracer(method).trace(module)
    except Exception as exc:  # whatever a method raises when it is given something that is no tensor
        reason = next((line.strip() for line in str(exc).splitlines() if line.strip()), type(exc).__name__)
        raise OptimizeError(
            f"Qat: {type(module).__name__}.{method} cannot be traced ({reason}); it must not branch or loop on values"
        ) from exc


def _insert(graph: fx.Graph, module: nn.Module, method: str, input_range: tuple[float, float]) -> None:
    """Put a `FakeQuant` behind each node whose numbers an integer kernel would write."""
    holder = getattr(module, _HOLDER)
    for node in list(graph.nodes):
        if node.op != "placeholder" and not _writes_numbers(node, module):
            continue
        unit = UNIT_RANGE if _is(_what(node, module), _UNIT) else None
        name = f"{method}_{node.name}"
        holder[name] = FakeQuant(input_range if node.op == "placeholder" else unit)
        with graph.inserting_after(node):
            behind = graph.call_module(f"{_HOLDER}.{name}", (node,))
        node.replace_all_uses_with(behind, delete_user_cb=lambda user, behind=behind: user is not behind)


def _writes_numbers(node: fx.Node, module: nn.Module) -> bool:
    """Return whether an integer kernel ends with this node; not where it only hands on, or goes on with the next."""
    if node.op not in ("call_module", "call_function", "call_method"):
        return False
    what = _what(node, module)
    if _is(what, _NEAREST):
        mode = what.mode if isinstance(what, nn.Module) else node.kwargs.get("mode", "nearest")
        return bool(mode != "nearest")
    return not _is(what, _SAME_NUMBERS) and not (_is(what, _HAVE_FUSED) and _goes_into_fused(node, module))


def _what(node: fx.Node, module: nn.Module) -> object:
    """Return the module, function or name of a method that the node calls."""
    return module.get_submodule(node.target) if node.op == "call_module" else node.target


def _is(what: object, kinds: Sequence[object]) -> bool:
    return any(isinstance(what, kind) if isinstance(kind, type) else what == kind for kind in kinds)


def _goes_into_fused(node: fx.Node, module: nn.Module) -> bool:
    """Return whether an activation, and nothing else, takes what the node gives, so that one kernel does both."""
    users = list(node.users)
    while len(users) == 1 and isinstance(_what(users[0], module), nn.Identity):  # where a batch norm was
        users = list(users[0].users)
    return len(users) == 1 and users[0].op != "output" and _is(_what(users[0], module), _FUSED)
