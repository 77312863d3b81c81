"""An inspection as text for a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from edge_runtime.inspect.graph import Tensor
from edge_runtime.inspect.lines import LABEL, VALUE, amount, columns, count, named, plain, row
from edge_runtime.inspect.report import Decoding, Inspection
from edge_runtime.model.families import show_shape
from edge_runtime.model.flatbuffer import Quantization, TensorInfo
from edge_runtime.model.spec import ModelSpec

_OPERATOR = 29
_SHOWN_LABELS = 3


def as_text(found: Inspection, *, has_tensors: bool = False) -> str:
    """Return what was found, in paragraphs; with every tensor of the graph where that is asked for."""
    return "\n\n".join("\n".join(block) for block in (
        _head(found), _tensors("inputs", found.file.inputs), _tensors("outputs", found.file.outputs),
        _operators(found), _families(found.decoding), _decoding(found), _cost(found),
        _all_tensors(found) if has_tensors else [],
    ) if block)  # fmt: skip


def _head(found: Inspection) -> list[str]:
    file, decoding = found.file, found.decoding
    lines = [f"{plain(file.path.name)}: {decoding.kind}"]
    kind = "ONNX" if file.format == "onnx" else "TFLite"
    lines += row("file", f"{kind}, {file.size_bytes:,} bytes")
    lines += row("sha256", found.sha256)
    if file.description.strip():
        lines += row("description", plain(file.description.strip()))
    if found.metadata and found.metadata.name:
        lines += row("calls itself", plain(" ".join((found.metadata.name, found.metadata.version)).strip()))
    if found.metadata and found.metadata.license:
        lines += row("licence", textwrap.shorten(plain(found.metadata.license), 120))
    return lines + _use(found)


def _use(found: Inspection) -> list[str]:
    """Return what can be done with the model, or why nothing can."""
    decoding, model = found.decoding, plain(str(found.file.path))
    if decoding.task == "classify":
        lines = row("no detector", (decoding.problem or "").split("; ")[0])
        lines += row("run it", f"edge-runtime detect --task classify --model {model} PICTURE")
    elif decoding.problem:
        lines = row("not run", decoding.problem)
    else:
        lines = row("run it", f"edge-runtime --model {model}")
    return lines + (row("warning", decoding.warning) if decoding.warning else [])


def _tensors(title: str, tensors: Sequence[TensorInfo]) -> list[str]:
    lines = [title]
    for tensor in tensors:
        shape = show_shape(side if side >= 0 else "?" for side in tensor.shape_signature)
        text = f"{tensor.dtype.name if tensor.dtype.kind != 'V' else 'other'} {shape}{_stored(tensor)}"
        lines += named(plain(tensor.name) or "(no name)", text)
    return lines


def _all_tensors(found: Inspection) -> list[str]:
    lines = [f"tensors ({len(found.graph.tensors)})"]
    for place, tensor in enumerate(found.graph.tensors):
        shape = show_shape(tensor.shape) if tensor.is_shape_known else "[open]"
        stored = f", const {amount(tensor.constant_bytes)}" if tensor.is_constant else ""
        lines += named(f"{place} {plain(tensor.name)}".strip(), f"{tensor.dtype} {shape}{_scales(tensor)}{stored}")
    return lines


def _scales(tensor: Tensor) -> str:
    if tensor.quantization:
        return f", {_formula(tensor.quantization)}"
    return f", {tensor.scales} scales" if tensor.scales else ""


def _formula(quantization: Quantization) -> str:
    """Return how a stored q becomes a real number: ``(q - 128) * 0.0078125``."""
    zero = quantization.zero_point
    shifted = f"(q {'-' if zero >= 0 else '+'} {abs(zero)})" if zero else "q"
    return f"{shifted} * {quantization.scale:.6g}"


def _stored(tensor: TensorInfo) -> str:
    """Return how integers stand for real numbers, and which these can be."""
    told = tensor.inner or tensor
    if told.quantization is None or not np.issubdtype(told.dtype, np.integer):
        return ""
    scale, zero = told.quantization.scale, told.quantization.zero_point
    limits = np.iinfo(told.dtype)
    inside = f", from {told.dtype.name}:" if tensor.inner else ","
    lowest, highest = ((edge - zero) * scale for edge in (limits.min, limits.max))
    return f"{inside} {_formula(told.quantization)} = {lowest:.4g} to {highest:.4g}"


def _operators(found: Inspection) -> list[str]:
    on_tpu = found.edgetpu
    rows: dict[str, list[str | None]] = {}
    for place, step in enumerate(found.graph.steps):
        rows.setdefault(step.name, []).append(on_tpu.reasons[place] if on_tpu else None)
    lines = [f"{'operators':<{_OPERATOR + 2}}{'count':>5}{'M MACs':>10}{'   Edge TPU' if on_tpu else ''}"]
    for name, reasons in sorted(rows.items(), key=lambda row: (-_macs(found, row[0]), -len(row[1]), row[0])):
        macs = f"{_macs(found, name) / 1e6:,.1f}" if name in found.macs.by_operator else ""
        told = f"{plain(name)[:_OPERATOR]:<{_OPERATOR}}{len(reasons):>5}{macs:>10}   "
        lines += row(told, _verdict(reasons) if on_tpu else "", len(told))
    lines.append(f"  {'all':<{_OPERATOR}}{len(found.graph.steps):>5}{found.macs.total / 1e6:>10,.1f}")
    return [*lines, *row("Edge TPU", _on_edgetpu(found))] if on_tpu else lines


def _macs(found: Inspection, name: str) -> int:
    return found.macs.by_operator.get(name, 0)


def _verdict(reasons: Sequence[str | None]) -> str:
    left = Counter(reason for reason in reasons if reason)
    if not left:
        return "yes"
    if len(left) == 1 and left.total() == len(reasons):
        return f"no: {next(iter(left))}"
    return "yes, but " + ", ".join(f"{number}: {reason}" for reason, number in left.most_common())


def _on_edgetpu(found: Inspection) -> str:
    on_tpu = found.edgetpu
    assert on_tpu is not None
    steps, mapped = found.graph.steps, on_tpu.mapped
    if on_tpu.is_compiled:
        left = len(steps) - on_tpu.taken
        return f"compiled for it; {f'the CPU runs {left} operators after it' if left else 'it runs all'}"
    if mapped == len(steps):
        return f"would run all {mapped} operators, once compiled with edgetpu_compiler"
    first = f"{plain(steps[mapped].name)}, operator {mapped + 1} ({on_tpu.reasons[mapped]})"
    if not mapped:
        return f"would run nothing, because of {first}; edge-runtime optimize --technique edgetpu makes a file for it"
    return (
        f"would run the first {mapped} of {len(steps)} operators, once compiled with edgetpu_compiler; "
        f"from {first} on, the CPU runs them"
    )


def _families(decoding: Decoding) -> list[str]:
    if not decoding.matches:
        return []
    lines = ["family"]
    for match in decoding.matches:
        lines += row(match.name, f"{match.confidence:>4.0%}  {'; '.join(match.reasons)}", 26)
    return lines


def _decoding(found: Inspection) -> list[str]:
    spec = found.decoding.spec
    if spec is None:
        return []
    lines = [f"{'decoding':<{LABEL + 2}}{'':<{VALUE}}from"]
    for label, value, key in fields(spec):
        lines += columns(label, plain(value), plain(spec.origins.get(key, "")))
    return lines


def fields(spec: ModelSpec) -> Iterable[tuple[str, str, str]]:
    """Yield the fields of a spec in words: label, value, and the key of its origin."""
    width, height = spec.size_wh
    yield "decoder", spec.decoder, "decoder"
    yield "input", f"{width}x{height}, channels {'first' if spec.is_nchw else 'last'}", "size_wh"
    yield "colour", spec.color, "color"
    yield "scaling", _scaling(spec), "mean"
    yield "fit", spec.fit, "fit"
    if spec.fit != "stretch":
        yield "fill", ", ".join(f"{value:g}" for value in dict.fromkeys(spec.fill)), "fill"
    yield "classes", "not told" if spec.num_classes is None else str(spec.num_classes), "num_classes"
    yield "labels", _labels(spec), "labels"
    if spec.labels:
        yield "class_offset", str(spec.class_offset), "class_offset"
    if spec.strides:
        yield "strides", ", ".join(map(str, spec.strides)), "strides"
    if spec.anchors:
        yield "anchors", spec.anchors.name, "anchors"
    if spec.anchor_recipe:
        yield "anchors", f"recipe {spec.anchor_recipe}", "anchor_recipe"
    if spec.box_unit:
        yield "box_unit", spec.box_unit, "box_unit"
    if spec.score_kind:
        yield "score_kind", spec.score_kind, "score_kind"
    yield "outputs", ", ".join(f"{role} {index}" for role, index in spec.roles.items()) or "told by values", "roles"


def _scaling(spec: ModelSpec) -> str:
    if spec.mean is None or spec.std is None:
        return "pixels as they are"
    mean, std = (", ".join(f"{one:g}" for one in dict.fromkeys(values)) for values in (spec.mean, spec.std))
    if "," in mean + std:
        return f"mean {mean}; std {std}"
    shifted = "pixel" if mean == "0" else f"(pixel - {mean})"
    return f"real = {shifted}" if std == "1" else f"real = {shifted} / {std}"


def _labels(spec: ModelSpec) -> str:
    if spec.labels is None:
        return "none"
    names = [name for name in spec.labels.names[spec.class_offset :] if name]
    more = ", ..." if len(names) > _SHOWN_LABELS else ""
    return f"{len(names)}: {', '.join(names[:_SHOWN_LABELS])}{more}"


def _cost(found: Inspection) -> list[str]:
    macs, weights = found.macs, found.weights
    by_type = ", ".join(f"{dtype} {amount(size)}" for dtype, size in weights.by_type.items())
    left = ", ".join(f"{number} {name}" for name, number in macs.uncounted.items())
    lines = ["cost of one picture"]
    if not found.file.is_edgetpu:  # what is inside the compiled operator shows neither
        lines += row("arithmetic", f"{count(macs.total)} MACs{f', not counted: {left}' if left else ''}")
        lines += row("weights", f"{amount(weights.size_bytes)} in the file, {count(weights.parameters)} numbers "
                      f"({by_type})")  # fmt: skip
    lines += row("activations", f"{amount(found.peak_bytes)} at least: the tensors in use at one moment (computed)")
    if found.memory:
        engine = found.memory.engine
        lines += row("arena", f"{amount(found.memory.arena_bytes)} (measured with the plain kernels of {engine})")
        lines += row("process", f"{amount(found.memory.process_bytes)} more for opening and running it once (measured "
                      f"with {engine})")  # fmt: skip
    else:
        lines += row("arena", f"not measured: {found.not_measured}")
    return lines
