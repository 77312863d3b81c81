"""Quantisation after training: one step, from a float file to a quantised one, by ai-edge-quantizer.

What that package does silently wrong is guarded here: it is run on one thread, the range of the input is what pixels
can be and not what the pictures happened to show, depthwise convolutions are never quantised dynamically, and a file
that came out as it went in is an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_edge_quantizer import quantizer, recipe_manager

from edge_runtime.errors import ConfigError, OptimizeError
from edge_runtime.model.flatbuffer import read_model
from edge_runtime.optimize import layers, modelfile
from edge_runtime.optimize.ranges import Ranges, vendor
from edge_runtime.optimize.rules import ENDS, Scheme, rules

_NO_ARITHMETIC = ("QUANTIZE", "DEQUANTIZE")
_FLOAT32 = 0  # of the schema's TensorType


@dataclass(frozen=True, slots=True)
class Quantised:
    """What came out."""

    quantised: int  # operators that carry weights and are quantised now
    weighted: int  # operators that carry weights
    float_operators: tuple[tuple[str, int], ...]  # operators that still compute in float, and how many of each


def quantize(source: Path, target: Path, scheme: Scheme, *, ranges: Ranges | None = None) -> Quantised:
    """Write the model quantised; return what became of its operators.

    Args:
        source: a normalised float model.
        target: where to; replaced if it exists.
        scheme: what to make of it.
        ranges: from `measure_ranges`, where the scheme needs them.

    Raises:
        ConfigError: an operator or layer that is to stay float is not there.
        OptimizeError: a range is missing, the package fails, or nothing changed.
    """
    check_floats(source, scheme)
    if scheme.needs_ranges and ranges is None:
        raise OptimizeError(f"{source.name}: activations in {scheme.activations} need calibration; give pictures")
    data = quantized_bytes(source, scheme, ranges)
    target.write_bytes(data)
    found = inspect(target)
    _refuse_no_change(source, target, scheme, found)
    return found


def check_floats(source: Path, scheme: Scheme) -> None:
    """Raise ConfigError where something that is to stay float is not in the model: the package would not mind."""
    model = modelfile.load(source)
    steps = layers.steps_of(model)
    operators = {layers.code_of(model, step) for step in steps}
    for name in scheme.float_operators:
        if name not in operators and name not in ENDS:
            raise ConfigError(
                f"float_operators: {modelfile.brief(name)} is not in this model; its operators are "
                f"{modelfile.few(sorted(operators), 12)}"
            )
    names = [
        "".join(f"{modelfile.text(model.graph.tensors[index].name)};" for index in layers.indices(step.outputs))
        for step in steps
    ]
    for pattern in scheme.float_layers:
        try:
            found = any(re.search(pattern, name) for name in names)
        except re.error as exc:
            raise ConfigError(f"float_layers: {modelfile.brief(pattern)} is no regular expression ({exc})") from exc
        if not found:
            known = modelfile.few([layers.short_name(name) for name in names])
            raise ConfigError(
                f"float_layers: {modelfile.brief(pattern)} is found in no name of a layer; there is {known}"
            )


def quantized_bytes(source: Path, scheme: Scheme, ranges: Ranges | None) -> bytes:
    """Return the model quantised, not looked at any further.

    Raises:
        OptimizeError: the package fails.
    """
    with vendor(source):
        worker = quantizer.Quantizer(source.read_bytes(), rules(scheme))
        given = dict(ranges) if scheme.needs_ranges and ranges is not None else None
        done = worker.quantize(given, enable_progress_bar=False, enable_progress_report=False)
        return bytes(done.quantized_model)


def inspect(model: Path) -> Quantised:
    """Return which operators of a file carry quantised weights and which still compute in float."""
    loaded = modelfile.load(model)
    tensors, steps = loaded.graph.tensors, layers.steps_of(loaded)
    makers = {index: step for step in steps for index in layers.indices(step.outputs)}
    floats: Counter[str] = Counter()
    weighted = quantised = 0
    for step in steps:
        name = layers.code_of(loaded, step)
        if name in layers.WEIGHTS_INPUT:
            weighted += 1
            quantised += _stored_type(step.inputs[layers.WEIGHTS_INPUT[name]], tensors, makers) != _FLOAT32
        if name not in _NO_ARITHMETIC and any(tensors[index].type == _FLOAT32 for index in step.outputs):
            floats[name] += 1
    return Quantised(quantised, weighted, tuple(sorted(floats.items())))


def _stored_type(index: int, tensors: Sequence[Any], makers: Mapping[int, Any]) -> int:
    """Return the type the weights have in the file: those of float16 go through an operator that widens them."""
    maker = makers.get(index)
    return int(tensors[maker.inputs[0] if maker is not None else index].type)


def _refuse_no_change(source: Path, target: Path, scheme: Scheme, found: Quantised) -> None:
    """Raise where the package did nothing, which it does without a word, or left the wrong input or outputs."""
    before = read_model(source)
    after = read_model(target)
    if not found.quantised or target.stat().st_size >= source.stat().st_size:
        kinds = ", ".join(sorted(set(before.operators)))
        raise OptimizeError(
            f"{source.name}: quantising to {scheme.weights} changed nothing ({found.quantised} of {found.weighted} "
            f"layers with weights, {before.size_bytes} to {after.size_bytes} bytes); its operators are {kinds}, and "
            f"those with weights to quantise are {', '.join(layers.WEIGHTS_INPUT)}"
        )
    wanted = "float32" if scheme.io == "float" else scheme.io
    ends = {one.name: one.dtype.name for one in (*after.inputs, *after.outputs)}
    may_be_float = scheme.float_layers or scheme.float_operators
    wrong = {
        name: dtype for name, dtype in ends.items() if dtype != wanted and not (may_be_float and dtype == "float32")
    }
    if wrong:
        listed = modelfile.few([f"{modelfile.brief(name)} is {dtype}" for name, dtype in wrong.items()])
        raise OptimizeError(
            f"{source.name}: {wanted} was wanted for input and outputs, but {listed}; the operators beside them have "
            "no int8 form, so use --io float"
        )


def missing_int8(operators: Iterable[str]) -> tuple[str, ...]:
    """Return which of these operators cannot be quantised statically, by name, each once."""
    known = {name for name in dict.fromkeys(operators) if _has_int8(name)}
    return tuple(name for name in dict.fromkeys(operators) if name not in known and name not in _NO_ARITHMETIC)


def _has_int8(operator: str) -> bool:
    policy = recipe_manager.algorithm_manager.default_policy.DEFAULT_CONFIG_CHECK_POLICY
    names = {"TRANSPOSE_CONV": "CONV_2D_TRANSPOSE"}
    static = [
        config for name, configs in policy.items() if name.value == names.get(operator, operator) for config in configs
    ]
    return any(config.activation_tensor_config is not None for config in static)
