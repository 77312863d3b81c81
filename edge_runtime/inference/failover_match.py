"""Whether one backend can stand in for another."""

from __future__ import annotations

from edge_runtime.inference import Backend, TensorSpec


def mismatch(wanted: Backend, found: Backend) -> str | None:
    """Return the first tensor that differs in shape, type or quantisation; None where either may serve."""
    for what, ours, theirs in (("input", wanted.inputs, found.inputs), ("output", wanted.outputs, found.outputs)):
        if len(ours) != len(theirs):
            return f"{len(theirs)} {what}s instead of {len(ours)}"
        for one, other in zip(ours, theirs, strict=True):
            if (one.shape, one.dtype, one.quantization) != (other.shape, other.dtype, other.quantization):
                return f"{what} {other.name} is {_said(other)} instead of {_said(one)}"
    return None


def _said(spec: TensorSpec) -> str:
    steps = f" scale {spec.quantization.scale:g} zero {spec.quantization.zero_point}" if spec.quantization else ""
    return f"{spec.dtype} {spec.shape}{steps}"
