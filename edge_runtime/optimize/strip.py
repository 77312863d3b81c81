"""Takes out what only swells a small file: names of inner tensors and other words that nothing reads.

What the runtime reads stays: the names of inputs and outputs, the signature, the metadata and the zip behind it.
Strip last: every other tool knows tensors by their names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_runtime.errors import OptimizeError
from edge_runtime.optimize.layers import indices
from edge_runtime.optimize.modelfile import EditableModel, load, save, text, to_bytes


def strip(source: Path, target: Path) -> None:
    """Write the model at `source` to `target` without the words nothing reads. A stripped model stays as it is.

    Any model is taken, quantised or not. What it computes stays the same, bit for bit.

    Raises:
        ModelError: it cannot be read.
        OptimizeError: the result does not load, or is not what it should be.
        OutputError: it cannot be written.
    """
    model = load(source)
    kept, swollen_bytes = kept_of(model), len(to_bytes(model.model))
    removed = sum(_strip_graph(model, graph) for graph in model.model.subgraphs) + bool(text(model.model.description))
    model.model.description = None

    def verify(written: EditableModel) -> None:
        check(written, kept, swollen_bytes, removed)

    save(model, target, check=verify)


def _strip_graph(model: EditableModel, graph: Any) -> int:
    """Take the words out of one graph; return how many."""
    ends = _ends(model, graph)
    removed = int(bool(text(graph.name)))
    graph.name = None
    for index, tensor in enumerate(graph.tensors):
        if index not in ends:
            removed += bool(text(tensor.name))
            tensor.name = None
        if _says_nothing(tensor.quantization):
            tensor.quantization = None
    return removed


def _ends(model: EditableModel, graph: Any) -> set[int]:
    return {*indices(graph.inputs), *indices(graph.outputs)} if graph is model.graph else set()


def _says_nothing(parameters: Any) -> bool:
    """Return whether a record of scales is there but empty, as converters leave it on every float tensor."""
    if parameters is None or parameters.details is not None:
        return False
    parts = (parameters.min, parameters.max, parameters.scale, parameters.zeroPoint)
    return all(part is None or not len(part) for part in parts)


def kept_of(model: EditableModel) -> tuple[Any, ...]:
    """Return what stripping must not touch, to be compared."""
    graph, whole = model.graph, model.model
    signatures = [
        (
            text(one.signatureKey),
            [(text(entry.name), entry.tensorIndex) for entry in [*(one.inputs or []), *(one.outputs or [])]],
        )
        for one in whole.signatureDefs or []
    ]
    names = [text(graph.tensors[index].name) for index in [*indices(graph.inputs), *indices(graph.outputs)]]
    metadata = [(text(entry.name), _content(whole, entry)) for entry in whole.metadata or []]
    return signatures, names, metadata, model.tail


def _content(whole: Any, entry: Any) -> bytes:
    data = whole.buffers[entry.buffer].data
    return b"" if data is None else bytes(data)


def check(written: EditableModel, kept: tuple[Any, ...], swollen_bytes: int, removed: int) -> None:
    """Raise OptimizeError unless the words are gone, the file is smaller for it, and nothing else is."""
    graph = written.graph
    ends = _ends(written, graph)
    left = [text(one.name) for index, one in enumerate(graph.tensors) if index not in ends and text(one.name)]
    size_bytes = len(to_bytes(written.model))
    if left or (removed and size_bytes >= swollen_bytes):
        raise OptimizeError(
            f"{written.path}: not written: expected fewer than {swollen_bytes:,} bytes and no inner names, "
            f"found {size_bytes:,} bytes and {len(left)} names; please report it"
        )
    if kept_of(written) != kept:
        raise OptimizeError(
            f"{written.path}: not written: stripping changed names, metadata or packed files; report it"
        )
