"""The range of every tensor of a float model over pictures: from these come the scales of the integers."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_quantizer import calibrator, recipe_manager
from numpy.typing import NDArray

from edge_runtime.errors import OptimizeError
from edge_runtime.inference.engine import one_line
from edge_runtime.model.flatbuffer import read_model
from edge_runtime.optimize import layers, modelfile
from edge_runtime.optimize.rules import Scheme, rules

_MOVING = ("RESHAPE", "CONCATENATION", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS", "PACK", "SLICE", "STRIDED_SLICE", "SPLIT")
"""Operators that compute nothing: what comes out went in."""

Ranges = Mapping[str, Mapping[str, Any]]  # tensor -> "min" and "max", arrays of one value
Span = tuple[float, float]


def measure_ranges(source: Path, tensors: Iterable[NDArray[Any]], span: Span) -> Ranges:
    """Return the range of every tensor of a float model over these inputs.

    The mean of the least and greatest values of each input, so that no single one decides, and neither does their
    order: the package's own moving average gives the first of ten pictures 63 % of the weight. For the outputs it is
    all that was seen, as what is clipped there is wrong for good.

    Args:
        source: a normalised float model with one input.
        tensors: its inputs, one after the other.
        span: the least and the greatest value the input can have at all; counts in the place of what was seen.

    Raises:
        OptimizeError: the package cannot run the model, or there was no input.
    """
    file = read_model(source)
    name = file.inputs[0].signature_name or file.inputs[0].name
    with vendor(source):
        manager = recipe_manager.RecipeManager()
        manager.load_quantization_recipe(rules(Scheme("int8", "int8", "int8")))
        watcher = calibrator.Calibrator(source.read_bytes(), num_threads=1, qsv_update_func=mean_range)
    for tensor in tensors:  # one by one: the package would first make a list of them all
        with vendor(source):
            watcher.calibrate({file.signature: [{name: tensor}]}, manager)
    seen = watcher.get_model_qsvs()
    if not seen:
        raise OptimizeError(f"{source.name}: was calibrated with no picture at all; give more")
    whole = output_chain(source)
    ranges = {one: _ends(found, whole=one in whole) if found else found for one, found in seen.items()}
    return with_span(ranges, file.inputs[0].name, span)


def mean_range(so_far: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mean of the ranges so far, their hull, and how many went into it."""
    if not so_far:
        return {**new, "count": 1}
    count = so_far.get("count", 1) + 1  # the package stores the first one as it is
    return {
        "min": so_far["min"] + (new["min"] - so_far["min"]) / count,
        "max": so_far["max"] + (new["max"] - so_far["max"]) / count,
        "lowest": np.minimum(so_far.get("lowest", so_far["min"]), new["min"]),
        "highest": np.maximum(so_far.get("highest", so_far["max"]), new["max"]),
        "count": count,
    }


def _ends(found: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    if whole:
        return {"min": found.get("lowest", found["min"]), "max": found.get("highest", found["max"])}
    return {"min": found["min"], "max": found["max"]}


def output_chain(source: Path) -> frozenset[str]:
    """Return the outputs and the tensors whose values only move on their way to them, by name.

    Clipping inside a network is rounding; clipping here makes the boxes of the largest things too small.
    """
    model = modelfile.load(source)
    makers = {index: step for step in layers.steps_of(model) for index in layers.indices(step.outputs)}
    found, ahead = set[int](), layers.indices(model.graph.outputs)
    while ahead:
        index = ahead.pop()
        found.add(index)
        step = makers.get(index)
        if step is not None and layers.code_of(model, step) in _MOVING:
            ahead += [one for one in layers.indices(step.inputs) if one >= 0 and one not in found]
    return frozenset(modelfile.text(model.graph.tensors[index].name) for index in found)


def with_span(ranges: Ranges, tensor: str, span: Span) -> Ranges:
    """Return the ranges with this one for the input: for 0 to 1 its scale becomes exactly 1/255."""
    if not ranges.get(tensor):
        return ranges
    shape = np.shape(ranges[tensor]["min"])
    ends = {end: np.full(shape, value, np.float32) for end, value in zip(("min", "max"), span, strict=True)}
    return {**ranges, tensor: ends}


@contextlib.contextmanager
def vendor(source: Path) -> Iterator[None]:
    """Keep the package's bars and warnings to itself, and turn its errors into ours."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    except (ValueError, RuntimeError, KeyError, IndexError, TypeError, NotImplementedError, AttributeError) as exc:
        raise OptimizeError(
            f"{source.name}: ai-edge-quantizer cannot quantise it ({type(exc).__name__}: {one_line(exc)}); try float16 "
            "or keep the operators it does not know float with float_operators in a recipe"
        ) from exc
