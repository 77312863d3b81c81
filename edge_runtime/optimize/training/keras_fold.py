"""Copies of Keras models, with their batch norms or with these folded into the layers before them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import OptimizeError

_FOLDABLE = ("Conv1D", "Conv2D", "DepthwiseConv2D", "Dense")


def plain_copy(model: Any) -> Any:
    """Return a model of its own layers with the same weights.

    Raises:
        OptimizeError: it is neither sequential nor functional, so it cannot be copied.
    """
    try:
        copied = type(model).from_config(model.get_config())
        copied.build(model.input_shape)
        copied.set_weights(model.get_weights())
    except Exception as exc:
        raise _not_copied(model, exc) from exc
    return copied


def fold_batch_norms(model: Any) -> Any:
    """Return a copy of the model that computes the same without batch norms.

    Raises:
        OptimizeError: a batch norm stands behind no layer of its own that it could be folded into.
    """
    model = plain_copy(model)  # its layers stand in no other model
    pairs = _pairs(model)
    if not pairs:
        return model
    try:
        folded = type(model).from_config(_without(model.get_config(), pairs))
        folded.build(model.input_shape)
    except Exception as exc:
        raise _not_copied(model, exc) from exc
    norms = {before: norm for norm, before in pairs.items()}
    for layer in folded.layers:
        source = model.get_layer(layer.name)
        norm = norms.get(layer.name)
        layer.set_weights(_folded(source, model.get_layer(norm)) if norm else source.get_weights())
    return folded


def refuse_batch_norms(model: Any) -> None:
    """Raise OptimizeError where a batch norm is left, at whatever depth: what is done to weights before is undone."""
    left = [part.name for part in model.submodules if _kind(part) == "BatchNormalization"]
    if left:
        raise OptimizeError(f"{left[0]}: this batch norm cannot be folded, and folding later would undo the clusters")


def _not_copied(model: Any, exc: Exception) -> OptimizeError:
    reason = next((line.strip() for line in str(exc).splitlines() if line.strip()), type(exc).__name__)
    return OptimizeError(f"{model.name}: cannot be copied ({reason}); make it a sequential or functional model")


def _kind(layer: Any) -> str:
    return "BatchNormalization" if type(layer).__name__ == "SyncBatchNormalization" else type(layer).__name__


def _pairs(model: Any) -> dict[str, str]:
    """Return the name of each batch norm with that of the layer it goes into.

    Raises:
        OptimizeError: there is no such layer.
    """
    pairs = {}
    for norm in model.layers:
        if _kind(norm) != "BatchNormalization":
            continue
        before: Any = norm.inbound_nodes[0].inbound_layers if len(norm.inbound_nodes) == 1 else None
        if (
            type(before).__name__ not in _FOLDABLE
            or before.activation.__name__ != "linear"
            or len(before.inbound_nodes) != 1
            or len(before.outbound_nodes) != 1
        ):
            raise OptimizeError(
                f"{norm.name}: this batch norm follows no convolution or dense layer of its own without an activation; "
                "only such a one can be folded"
            )
        pairs[norm.name] = before.name
    return pairs


def _without(config: dict[str, Any], pairs: dict[str, str]) -> dict[str, Any]:
    """Return the description of the model without these batch norms, joined up where they were."""
    layers = [one for one in config["layers"] if one["config"]["name"] not in pairs]
    for one in layers:
        if one["config"]["name"] in pairs.values():
            one["config"]["use_bias"] = True
        if "inbound_nodes" in one:
            one["inbound_nodes"] = _renamed(one["inbound_nodes"], pairs)
    rest = {key: _renamed(config[key], pairs) for key in ("output_layers",) if key in config}
    return {**config, "layers": layers, **rest}


def _renamed(value: Any, pairs: dict[str, str]) -> Any:
    """Return nested lists in which a batch norm's name stands no more; a name is the first of a list."""
    if isinstance(value, list | tuple):
        return [_renamed(one, pairs) for one in value]
    return pairs.get(value, value) if isinstance(value, str) else value


def _folded(layer: Any, norm: Any) -> list[NDArray[np.float32]]:
    """Return kernel and bias that do what layer and batch norm did together."""
    kernel = layer.get_weights()[0].astype(np.float64)
    bias = layer.get_weights()[1] if layer.use_bias else 0.0
    scale = norm.gamma.numpy() if norm.scale else 1.0
    factor = scale / np.sqrt(norm.moving_variance.numpy().astype(np.float64) + norm.epsilon)
    offset = norm.beta.numpy() if norm.center else 0.0
    shaped = factor.reshape(kernel.shape[2:]) if type(layer).__name__ == "DepthwiseConv2D" else factor
    new_bias = (bias - norm.moving_mean.numpy()) * factor + offset
    return [(kernel * shaped).astype(np.float32), new_bias.astype(np.float32)]
