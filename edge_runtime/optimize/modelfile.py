"""A model file as objects that can be changed, and the way back to a file that is proven to load.

Source: tensorflow/lite/schema/schema.fbs; buffers are aligned to 16 bytes there, which the Python writer leaves out.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder  # type: ignore[import-untyped]

from edge_runtime.errors import ModelError, OptimizeError, OutputError
from edge_runtime.inference.engine import load_engine, one_line, quiet_stderr
from edge_runtime.model.flatbuffer import IDENTIFIER, read_model
from edge_runtime.optimize import archive
from edge_runtime.wholefile import write_whole

ALIGNMENT_BYTES = 16
_LONGEST = 72
"""Characters of a name in a message; exporters write names of a thousand."""

_UNREADABLE = (IndexError, ValueError, TypeError, AttributeError, OverflowError, MemoryError, struct.error)


@dataclass(frozen=True, slots=True, eq=False)
class EditableModel:
    """A model in memory. The fields stay, what `model` points to is there to be changed."""

    path: Path  # where it was read, for messages
    model: Any  # ModelT of the schema; the weights in it are read-only views of what was read
    tail: bytes  # the zip behind the model as one that stands alone; empty where there is none

    @property
    def graph(self) -> Any:
        """The first graph, a SubGraphT of the schema."""
        return self.model.subgraphs[0]


def load(path: Path) -> EditableModel:
    """Return the model at `path` as objects.

    Raises:
        ModelError: it is missing, no TFLite model, damaged, or compiled for the Edge TPU.
    """
    if read_model(path).is_edgetpu:
        raise ModelError(f"{path}: is compiled for the Edge TPU and shows no weights; give the model it was made from")
    return parse(path.read_bytes(), path)


def save(model: EditableModel, path: Path, *, check: Callable[[EditableModel], None] | None = None) -> None:
    """Write the model with the zip behind it; `path` gets its name only when the file is whole and proven to load.

    Args:
        model: what to write.
        path: where to; a file that is there is replaced, except the one that `model` was read from.
        check: is given what was written, read again, and raises where that is not what was meant.

    Raises:
        OptimizeError: the engine does not take the result; or from `check`.
        OutputError: it cannot be written.
    """
    if _is_same(model.path, path):
        raise OutputError(f"{path}: is the model this is made from; give the output another name")
    data = archive.join(to_bytes(model.model), model.tail, str(path))
    refuse_unless_it_runs(data, path)
    if check is not None:
        check(parse(data, path))
    write_whole(path, data)


def pack(path: Path, files: Mapping[str, str]) -> None:
    """Put text files into the zip behind the model at `path`, in place; one of the same name is replaced.

    Raises:
        ModelError: it is no model, or its zip is damaged.
        OutputError: it cannot be written; the model is as it was.
    """
    read_model(path)
    front, tail = archive.split(path.read_bytes(), str(path))
    write_whole(path, archive.join(front, archive.with_files(tail, files), str(path)))


def carry(source: Path, target: Path) -> None:
    """Put the zip behind the model at `source` behind the one at `target`, in place: other tools leave it off.

    Raises:
        ModelError: one of them is no model, or its zip is damaged.
        OutputError: it cannot be written; the model is as it was.
    """
    read_model(source)
    read_model(target)
    tail = archive.split(source.read_bytes(), str(source))[1]
    if tail:
        front = archive.split(target.read_bytes(), str(target))[0]
        write_whole(target, archive.join(front, tail, str(target)))


def text(value: bytes | str | None) -> str:
    """Return a string of the schema, which holds bytes after reading; empty where the file leaves it out."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""


def to_bytes(model: Any) -> bytes:
    """Return a ModelT as the bytes of a flatbuffer, weights inside it and aligned."""
    aligned = [_AlignedBuffer(data=buffer.data) for buffer in model.buffers]
    kept, model.buffers = model.buffers, aligned
    try:
        builder = Builder(1024 + sum(len(buffer.data) for buffer in kept if buffer.data is not None))
        builder.Finish(model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())
    finally:
        model.buffers = kept


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    def Pack(self, builder: Builder) -> int:  # noqa: N802 (the schema's name)
        if self.data is not None:
            builder.Prep(ALIGNMENT_BYTES, len(self.data))
        packed: int = super().Pack(builder)
        return packed


def refuse_unless_it_runs(data: bytes, path: Path) -> None:
    """Raise OptimizeError where the engine does not load these bytes; `path` is what they are to become."""
    engine = load_engine("litert")
    try:
        with quiet_stderr():
            engine.interpreter(model_content=data, num_threads=1).allocate_tensors()
    except (ValueError, RuntimeError, TypeError) as exc:
        raise OptimizeError(
            f"{path}: not written: {engine.name} does not load it ({one_line(exc)}); "
            "does it load the model this is made from?"
        ) from exc


def brief(name: str) -> str:
    """Return a name in quotes, for messages: of a long one its beginning and its end."""
    half = (_LONGEST - 3) // 2
    return repr(name if len(name) <= _LONGEST else f"{name[:half]}...{name[-half:]}")


def few(items: Sequence[str], most: int = 4) -> str:
    """Return the first of these with commas between, and how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def _is_same(one: Path, other: Path) -> bool:
    return other.exists() and one.exists() and one.samefile(other)


def parse(data: bytes, path: Path) -> EditableModel:
    """Return the model in these bytes; `path` is only its name here.

    Raises:
        ModelError: they cannot be read.
    """
    front, tail = archive.split(data, str(path))
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(front, 0))
        _take_inside(model, front)
        _ = [model.buffers[entry.buffer] for entry in model.metadata or []]  # raises where one is not there
    except _UNREADABLE as exc:
        raise ModelError(f"{path}: is damaged or cut short: {one_line(exc)}; copy or download it again") from exc
    return EditableModel(path, model, tail)


def _take_inside(model: Any, data: bytes) -> None:
    """Turn weights and options that lie behind the flatbuffer, as in large files, into ordinary ones."""
    model.buffers = model.buffers or [schema.BufferT()]
    for buffer in model.buffers or []:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(data, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0
    for graph in model.subgraphs:
        graph.tensors, graph.operators = graph.tensors or [], graph.operators or []
        for step in graph.operators:
            if step.largeCustomOptionsOffset > 1:
                start = step.largeCustomOptionsOffset
                step.customOptions = np.frombuffer(data, np.uint8, step.largeCustomOptionsSize, start)
            step.largeCustomOptionsOffset = step.largeCustomOptionsSize = 0
