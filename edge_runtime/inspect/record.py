"""An inspection as a record for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from edge_runtime.inspect.graph import Tensor
from edge_runtime.inspect.report import Decoding, Inspection
from edge_runtime.model.flatbuffer import Quantization, TensorInfo
from edge_runtime.model.spec import ModelSpec

SCHEMA = 1


def as_record(found: Inspection, *, has_tensors: bool = False) -> dict[str, Any]:
    """Return what was found, of plain types only; with every tensor of the graph where that is asked for."""
    file = found.file
    return {
        "schema": SCHEMA,
        "model": str(file.path),
        "format": file.format,
        "size_bytes": file.size_bytes,
        "sha256": found.sha256,
        "description": file.description,
        "inputs": [_tensor(one) for one in file.inputs],
        "outputs": [_tensor(one) for one in file.outputs],
        "operators": _operators(found),
        "edgetpu": _edgetpu(found),
        **_decoding(found.decoding),
        "cost": _cost(found),
        **({"tensors": [_inner(one) for one in found.graph.tensors]} if has_tensors else {}),
    }


def _inner(tensor: Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "shape": list(tensor.shape) if tensor.is_shape_known else None,
        "type": tensor.dtype,
        "quantization": _quantization(tensor.quantization),
        "scales": tensor.scales,
        "constant_bytes": tensor.constant_bytes,
    }


def _tensor(tensor: TensorInfo) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "shape": [None if side < 0 else side for side in tensor.shape_signature],
        "type": tensor.dtype.name if tensor.dtype.kind != "V" else None,
        "quantization": _quantization(tensor.quantization),
        "quantization_inside": _quantization(tensor.inner.quantization) if tensor.inner else None,
        "signature_name": tensor.signature_name,
    }


def _quantization(found: Quantization | None) -> dict[str, Any] | None:
    return None if found is None else {"scale": found.scale, "zero_point": found.zero_point}


def _operators(found: Inspection) -> list[dict[str, Any]]:
    counts = Counter(step.name for step in found.graph.steps)
    reasons: dict[str, Counter[str]] = {}
    if found.edgetpu:
        for step, reason in zip(found.graph.steps, found.edgetpu.reasons, strict=True):
            if reason:
                reasons.setdefault(step.name, Counter())[reason] += 1
    return [
        {
            "name": name,
            "count": number,
            "macs": found.macs.by_operator.get(name),
            "not_on_edgetpu": dict(reasons.get(name, {})),
        }
        for name, number in counts.most_common()
    ]


def _edgetpu(found: Inspection) -> dict[str, Any] | None:
    if found.edgetpu is None:
        return None
    return {
        "is_compiled": found.edgetpu.is_compiled,
        "operators": len(found.graph.steps),
        "taken": found.edgetpu.taken,
        "mapped": found.edgetpu.taken if found.edgetpu.is_compiled else found.edgetpu.mapped,
    }


def _decoding(decoding: Decoding) -> dict[str, Any]:
    return {
        "kind": decoding.kind,
        "task": decoding.task,
        "problem": decoding.problem,
        "warning": decoding.warning,
        "families": [asdict(match) for match in decoding.matches],
        "spec": None if decoding.spec is None else _spec(decoding.spec),
    }


def _spec(spec: ModelSpec) -> dict[str, Any]:
    """Return each field with where it came from; colours of `fill` are in the order of `color`, as in a sidecar."""
    values = asdict(spec)
    origins = values.pop("origins")
    values["labels"] = None if spec.labels is None else [name or "???" for name in spec.labels.names]
    values["anchors"] = None if spec.anchors is None else str(spec.anchors)
    values["fill"] = list(spec.fill[::-1] if spec.color == "rgb" else spec.fill)
    return {name: {"value": value, "from": origins.get(name)} for name, value in values.items()}


def _cost(found: Inspection) -> dict[str, Any]:
    memory = found.memory
    return {
        "macs": found.macs.total,
        "macs_not_counted": dict(found.macs.uncounted),
        "parameters": found.weights.parameters,
        "weights_bytes": found.weights.size_bytes,
        "weights_bytes_by_type": dict(found.weights.by_type),
        "activations_bytes_computed": found.peak_bytes,
        "arena_bytes_measured": memory.arena_bytes if memory else None,
        "process_bytes_measured": memory.process_bytes if memory else None,
        "measured_with": memory.engine if memory else None,
        "not_measured": found.not_measured,
    }
