"""Makes a float model fit for the quantiser, which hands on unchanged what it does not expect.

Three kinds of files pass through it untouched or make it fail: those whose operator codes stand in the old field
only, those whose weights are float16 behind a DEQUANTIZE, and those without a signature. It also takes tensors by
their names, so these must be there and differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge_runtime.errors import OptimizeError
from edge_runtime.optimize.layers import code_of, indices, refuse_many_graphs, refuse_unless_float32, steps_of, stored
from edge_runtime.optimize.modelfile import EditableModel, load, save, text
from edge_runtime.optimize.unused import drop_unused

SIGNATURE = "serving_default"


def normalise(source: Path, target: Path) -> tuple[str, ...]:
    """Write the model at `source` to `target` so that the quantiser works on it; return what was changed, in words.

    What it computes stays the same, bit for bit. Nothing to change is fine: `target` is then the same model.

    Raises:
        ModelError: it cannot be read, is quantised already, or has several graphs.
        OptimizeError: the result does not load, or is not what it should be.
        OutputError: it cannot be written.
    """
    model = load(source)
    refuse_many_graphs(model)
    changes = [_copy_codes(model), _fold_float16(model), _name_tensors(model), _sign(model)]
    refuse_unless_float32(model)
    save(model, target, check=check)
    return tuple(change for change in changes if change)


def _copy_codes(model: EditableModel) -> str:
    """Write operator codes where newer tools read them: in files from before 2020 they stand in one byte only."""
    old = [code for code in model.model.operatorCodes or [] if code.deprecatedBuiltinCode > code.builtinCode]
    for code in old:
        code.builtinCode = code.deprecatedBuiltinCode
    return f"copied {len(old)} operator codes to the field that is read today" if old else ""


def _fold_float16(model: EditableModel) -> str:
    """Turn float16 constants behind a DEQUANTIZE into float32 ones and take that operator out."""
    folded = [step for step in steps_of(model) if _is_folded(model, step)]
    if not folded:
        return ""
    wide: dict[int, int] = {}  # buffer of float16 -> buffer of float32
    for step in folded:
        half, single = (model.graph.tensors[indices(ends)[0]] for ends in (step.inputs, step.outputs))
        if half.buffer not in wide:
            wide[half.buffer] = _widened(model, half)
        single.buffer = wide[half.buffer]
    gone = {id(step) for step in folded}
    model.graph.operators = [step for step in steps_of(model) if id(step) not in gone]
    drop_unused(model)
    return f"turned {len(folded)} float16 constants into float32"


def _is_folded(model: EditableModel, step: Any) -> bool:
    if code_of(model, step) != "DEQUANTIZE":
        return False
    half = model.graph.tensors[indices(step.inputs)[0]]
    return half.type == schema.TensorType.FLOAT16 and half.sparsity is None and stored(model, half) is not None


def _widened(model: EditableModel, half: Any) -> int:
    data = stored(model, half)
    assert data is not None
    values = data.view(np.float16).astype(np.float32)
    model.model.buffers.append(schema.BufferT(data=values.view(np.uint8)))
    return len(model.model.buffers) - 1


def _name_tensors(model: EditableModel) -> str:
    """Name what has no name or that of another; inputs and outputs are told apart by theirs, so these come first."""
    graph, taken, renamed = model.graph, set[str](), 0
    for index in dict.fromkeys([*indices(graph.inputs), *indices(graph.outputs), *range(len(graph.tensors))]):
        tensor = graph.tensors[index]
        name = unique(text(tensor.name) or f"tensor_{index}", taken)
        if name != text(tensor.name):
            tensor.name, renamed = name, renamed + 1
    return f"named {renamed} tensors that had no name of their own" if renamed else ""


def unique(name: str, taken: set[str]) -> str:
    """Return the name, with a number behind it where it is taken, and take it."""
    number, free = 1, name
    while free in taken:
        number, free = number + 1, f"{name}_{number}"
    taken.add(free)
    return free


def _sign(model: EditableModel) -> str:
    """Give the model a signature: names for its inputs and outputs, which calibration asks for."""
    if model.model.signatureDefs:
        return ""
    entries = [_entries(model, indices(ends)) for ends in (model.graph.inputs, model.graph.outputs)]
    model.model.signatureDefs = [schema.SignatureDefT(entries[0], entries[1], SIGNATURE, 0)]
    return f"added the signature {SIGNATURE}"


def _entries(model: EditableModel, ends: Sequence[int]) -> list[Any]:
    taken = set[str]()
    return [schema.TensorMapT(unique(text(model.graph.tensors[index].name), taken), index) for index in ends]


def check(written: EditableModel) -> None:
    """Raise ModelError or OptimizeError where the written model is not normal after all."""
    refuse_unless_float32(written)
    left = []
    if _copy_codes(written):
        left.append("operator codes in the old field only")
    if not written.model.signatureDefs:
        left.append("no signature")
    if left:
        raise OptimizeError(f"{written.path}: not written: expected none, found {', '.join(left)}; please report it")
