"""What is left over in a model when operators are taken out: tensors, weights and codes that nothing uses."""

from __future__ import annotations

from typing import Any

from edge_runtime.optimize.layers import indices, steps_of
from edge_runtime.optimize.modelfile import EditableModel


def drop_unused(model: EditableModel) -> int:
    """Take out tensors, buffers and operator codes that nothing names; return how many tensors went.

    For a model of one graph. Buffer 0 stays: it is the empty one by convention.
    """
    before = len(model.graph.tensors)
    _drop_tensors(model)
    _drop_buffers(model.model)
    _drop_codes(model)
    return before - len(model.graph.tensors)


def _drop_tensors(model: EditableModel) -> None:
    graph, steps = model.graph, steps_of(model)
    entries = [
        entry for one in model.model.signatureDefs or [] for entry in [*(one.inputs or []), *(one.outputs or [])]
    ]
    named = {entry.tensorIndex for entry in entries} | {*indices(graph.inputs), *indices(graph.outputs)}
    for step in steps:
        named.update(indices(step.inputs), indices(step.outputs), indices(step.intermediates))
    kept = [index for index in range(len(graph.tensors)) if index in named]
    new = {old: position for position, old in enumerate(kept)} | {-1: -1}  # -1 is an optional input left out
    graph.tensors = [graph.tensors[index] for index in kept]
    for owner, fields in [
        (graph, ("inputs", "outputs")),
        *((one, ("inputs", "outputs", "intermediates")) for one in steps),
    ]:
        for field in fields:
            if getattr(owner, field) is not None:
                setattr(owner, field, [new[index] for index in indices(getattr(owner, field))])
    for entry in entries:
        entry.tensorIndex = new[entry.tensorIndex]


def _drop_buffers(model: Any) -> None:
    owners = [tensor for graph in model.subgraphs for tensor in graph.tensors] + list(model.metadata or [])
    old_form = indices(model.metadataBuffer)
    kept = sorted({0, *old_form, *(int(owner.buffer) for owner in owners)})
    new = {old: position for position, old in enumerate(kept)}
    model.buffers = [model.buffers[index] for index in kept]
    for owner in owners:
        owner.buffer = new[int(owner.buffer)]
    if model.metadataBuffer is not None:
        model.metadataBuffer = [new[index] for index in old_form]


def _drop_codes(model: EditableModel) -> None:
    steps = steps_of(model)
    kept = sorted({step.opcodeIndex for step in steps})
    new = {old: position for position, old in enumerate(kept)}
    model.model.operatorCodes = [model.model.operatorCodes[index] for index in kept]
    for step in steps:
        step.opcodeIndex = new[step.opcodeIndex]
