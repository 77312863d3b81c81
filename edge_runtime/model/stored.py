"""What the quantisation of an output can hold, and when that is not enough for what is in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_runtime.model.families import FAMILIES, Roles
from edge_runtime.model.roles import OutputFacts

_COARSE = 0.02
"""Scores in larger steps have fewer than 50 values, and a threshold moves whole crowds of boxes."""
_ALONE = 1 / 256
"""The step of scores that have 8 bits for themselves."""
_SLACK = 1.01  # scales are rounded


@dataclass(frozen=True, slots=True)
class StoredRange:
    """The real values that an integer tensor can hold."""

    lowest: float
    highest: float
    step: float


def stored_range(facts: OutputFacts, index: int) -> StoredRange | None:
    """Return what an output can hold; None for a float output that comes from no integers."""
    tensor = facts.tensors[index]
    if index < len(facts.file.outputs) and facts.file.outputs[index].name == tensor.name:
        tensor = facts.file.outputs[index].inner or tensor
    quantization = tensor.quantization
    if quantization is None or not np.issubdtype(tensor.dtype, np.integer):
        return None
    limits = np.iinfo(tensor.dtype)
    lowest, highest = (float(edge - quantization.zero_point) * quantization.scale for edge in (limits.min, limits.max))
    return StoredRange(lowest, highest, float(quantization.scale))


def shared_range_warning(facts: OutputFacts, decoder: str, roles: Roles) -> str | None:
    """Return what boxes and scores lose by sharing one quantisation, in numbers; None where that is nothing."""
    family = FAMILIES[decoder]
    stored = stored_range(facts, roles["predictions"]) if "predictions" in roles else None
    if stored is None:
        return None
    told = f"{stored.lowest:.3g} to {stored.highest:.3g} in steps of {stored.step:.3g}"
    if stored.step > _COARSE:
        return f"scores are coarse, for boxes and scores share one quantisation, {told}"
    if family.raw_boxes and (stored.lowest > family.raw_boxes[0] or stored.highest < family.raw_boxes[1]):
        return f"boxes are cut off, for boxes and scores share one quantisation, {told}"
    if stored.step > _ALONE * _SLACK:
        return f"scores have steps of {stored.step:.3g}, for boxes and scores share one quantisation, {told}"
    return None
