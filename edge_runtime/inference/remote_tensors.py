"""The tensors of a server's model beside those of the file: which is which, and whether they are the same.

Source: github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md, tensor data types.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.errors import BackendError
from edge_runtime.inference import TensorSpec

DATATYPES = {
    "BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "INT8": "int8",
    "INT16": "int16", "INT32": "int32", "INT64": "int64", "FP16": "float16", "FP32": "float32", "FP64": "float64",
}  # fmt: skip
"""Type on the wire -> numpy."""
_DATATYPE_OF = {name: datatype for datatype, name in DATATYPES.items()}


@dataclass(frozen=True, slots=True)
class Wire:
    """One tensor of the server: what it is called there, and what it must be."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def match_tensors(
    what: str, remote: Sequence[Any], local: Sequence[TensorSpec], address: str, model: Path
) -> list[Wire]:
    """Return the server's tensor for each of the file's, in the file's order.

    By its name, else the only one left of its shape and type: servers rename what converters named. A server may
    leave out what its tensors are; then those of the file count, and the first invoke tells.

    Args:
        what: "input" or "output", for the message.
        remote: as the server describes them, with name, datatype and shape; -1 is a side that may be of any length.
        local: as the engine here describes those of the file.
        address: the server's model, for the message.
        model: the file, for the message.

    Raises:
        BackendError: they are not those of one model.
    """
    if not remote:
        return [Wire(spec.name, _DATATYPE_OF[spec.dtype.name], spec.shape, spec.dtype) for spec in local]
    left = list(remote)
    found: dict[int, Any] = dict.fromkeys(range(len(local)))
    for by_name in (True, False):
        for index, spec in enumerate(local):
            fitting = [one for one in left if _fits(one, spec) and (one.name == spec.name or not by_name)]
            if found[index] is None and len(fitting) == 1:
                found[index] = fitting[0]
                left.remove(fitting[0])
    pairs = [(found[index], spec) for index, spec in enumerate(local)]
    if any(one is None for one, _ in pairs) or (left and what == "input"):
        raise BackendError(
            f"backend remote: {address} is not the model {model.name}: its {what}s are {_shown_remote(remote)}, those "
            f"of the file {_shown_local(local)}; give the file of the model that the server has"
        )
    return [Wire(one.name, one.datatype, spec.shape, spec.dtype) for one, spec in pairs]


def _fits(remote: Any, spec: TensorSpec) -> bool:
    sides = tuple(int(side) for side in remote.shape)
    if DATATYPES.get(remote.datatype) != spec.dtype.name or len(sides) != len(spec.shape):
        return False
    return all(there in (-1, here) for there, here in zip(sides, spec.shape, strict=True))


def _shown_remote(tensors: Sequence[Any]) -> str:
    shown = (f"{one.name} {DATATYPES.get(one.datatype, one.datatype)} {_shape(one.shape)}" for one in tensors)
    return ", ".join(shown)


def _shown_local(tensors: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{one.name} {one.dtype} {_shape(one.shape)}" for one in tensors)


def _shape(sides: Sequence[int]) -> str:
    return f"[{','.join(str(int(side)) for side in sides)}]"
