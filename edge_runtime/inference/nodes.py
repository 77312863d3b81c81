"""How many operators of a model a delegate runs, counted from what the engine lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

DELEGATE = "DELEGATE"


class Node(NamedTuple):
    """One step of an interpreter: an operator of the model, or what a delegate put in the place of some."""

    name: str  # "CONV_2D"; DELEGATE for a delegate's
    inputs: tuple[int, ...]  # indices of tensors; -1 for an optional one that is left out
    outputs: tuple[int, ...]


def list_nodes(interpreter: Any) -> list[Node]:
    """Return the steps of an interpreter.

    Asked of its native half: the public-looking `_get_ops_details` also looks up the type of each tensor, and raises
    for models with a type that numpy does not have.
    """
    native = interpreter._interpreter
    return [
        Node(native.NodeName(row), _integers(native.NodeInputs(row)), _integers(native.NodeOutputs(row)))
        for row in range(native.NumNodes())
    ]


def _integers(tensors: Sequence[Any]) -> tuple[int, ...]:
    return tuple(int(tensor) for tensor in tensors)


def count_nodes(nodes: Sequence[Node]) -> tuple[int, int]:
    """Return how many operators the model has, and how many of them run inside delegates.

    The engines list the model's operators first and the delegates' nodes after them, and do not say which operators
    a delegate's node replaces. Those are all that lie between the tensors it reads and the tensors it makes.
    """
    makers: dict[int, int] = {}
    replaced: set[int] = set()
    for row, node in enumerate(nodes):
        if node.name == DELEGATE:
            replaced |= _between(nodes, makers, node)
        else:
            makers |= dict.fromkeys(node.outputs, row)
    return sum(node.name != DELEGATE for node in nodes), len(replaced)


def _between(nodes: Sequence[Node], makers: Mapping[int, int], delegate: Node) -> set[int]:
    """Return the rows of the operators that lead from the delegate's inputs to its outputs."""
    seen, waiting, found = set(delegate.inputs), list(delegate.outputs), set()
    while waiting:
        tensor = waiting.pop()
        if tensor in seen or tensor not in makers:
            continue
        seen.add(tensor)
        found.add(makers[tensor])
        waiting.extend(nodes[makers[tensor]].inputs)
    return found
