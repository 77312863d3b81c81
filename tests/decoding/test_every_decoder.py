"""What holds for all decoders, whatever a model puts out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.decoding import DECODERS, Candidates, Heads
from edge_runtime.inference import Quantization
from edge_runtime.model.families import FAMILIES
from edge_runtime.vision.anchors import make_anchors
from edge_runtime.vision.grid import count_cells
from edge_runtime.vision.nms import MAX_CANDIDATES

MODEL_WH = (192, 160)
CLASSES = 3
BESIDE = {"classes": 0, "1+classes": 1, "4+classes": 4, "5+classes": 5, "classes+32": 32}
QUANTIZED = {"uint8": Quantization(1 / 256, 0), "int8": Quantization(0.05, -3), "int16": Quantization(1 / 3000, 0)}


@dataclass
class Spec:
    quantization: Quantization | None = None


def sizes(name: str) -> dict[str, int]:
    """Return what each word of a family's patterns stands for, with its first strides on this input."""
    family = FAMILIES[name]
    strides = family.grids[0] if family.grids else ()
    rows = family.per_cell * count_cells(MODEL_WH, strides) if strides else 1500
    if family.needs_anchors:
        rows = len(make_anchors("ssd", MODEL_WH))
    found = {f"N{level}": count_cells(MODEL_WH, (stride,)) for level, stride in enumerate(strides, 1)}
    found |= {word: CLASSES + others for word, others in BESIDE.items()}
    return found | {"N": rows, "H": MODEL_WH[1] // 4, "W": MODEL_WH[0] // 4}


def settings_of(name: str) -> dict[str, Any]:
    known = {"strides": FAMILIES[name].grids[0] if FAMILIES[name].grids else (), "box_unit": "normalized",
             "score_kind": None}  # fmt: skip
    return {key: known[key] for key in DECODERS[name].settings}


def decode(name: str, outputs: list[np.ndarray], specs: list[Spec], threshold: float) -> Candidates:
    module, function = DECODERS[name].function.split(":")
    home = import_module(module)
    decoder = (
        home.for_recipe("ssd", MODEL_WH)
        if FAMILIES[name].needs_anchors
        else partial(getattr(home, function), **settings_of(name))
    )
    roles = {role: index for index, role in enumerate(FAMILIES[name].roles)}
    found: Candidates = decoder(Heads(outputs, specs, MODEL_WH, roles), threshold)
    return found


def shapes(name: str) -> list[tuple[int, ...]]:
    words = sizes(name)
    return [
        tuple(words[side] if isinstance(side, str) else side for side in pattern)
        for pattern in FAMILIES[name].outputs.values()
    ]


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.sampled_from(["float32", "float16", *QUANTIZED]))
def test_candidates_are_bounded_and_reach_the_threshold(name: str, seed: int, threshold: float, dtype: str) -> None:
    """A damaged model fills its outputs with anything: no exception, no warning, no endless rows."""
    random = np.random.default_rng(seed)
    outputs, specs = [], []
    for shape in shapes(name):
        if dtype in QUANTIZED:
            limits = np.iinfo(dtype)
            outputs.append(random.integers(limits.min, limits.max, shape, dtype, endpoint=True))
            specs.append(Spec(QUANTIZED[dtype]))
            continue
        values = random.uniform(-0.2, 1.0, shape).astype(dtype)
        odd = random.choice([np.nan, np.inf, -np.inf, 6e4, -6e4], shape)
        outputs.append(np.where(random.random(shape) < 0.01, odd, values).astype(dtype))
        specs.append(Spec())
    with np.errstate(over="ignore", invalid="ignore"):  # as the detector has it
        found = decode(name, outputs, specs, threshold)
    rows = len(found.scores)
    assert rows <= (1500 if name.endswith("postprocess") else MAX_CANDIDATES)  # which is what the model counts itself
    assert (found.boxes_model.shape, found.class_ids.shape) == ((rows, 4), (rows,))
    assert (found.boxes_model.dtype, found.scores.dtype, found.class_ids.dtype) == (np.float32, np.float32, np.int32)
    assert found.points_model is None or found.points_model.shape[::2] == (rows, 2)
    assert (found.scores >= threshold - 1e-3).all()


@pytest.mark.parametrize("name", DECODERS)
def test_decoding_changes_no_output(name: str) -> None:
    """The engine may lend its own memory."""
    outputs = [np.full(shape, 0.5, np.float32) for shape in shapes(name)]
    for output in outputs:
        output.flags.writeable = False
    decode(name, outputs, [Spec()] * len(outputs), 0.1)
    assert all((output == 0.5).all() for output in outputs)


def test_every_family_has_a_decoder_and_every_decoder_a_family() -> None:
    """One is a table of shapes, the other of functions; the names tie them together."""
    assert set(DECODERS) == set(FAMILIES)


@pytest.mark.parametrize("name", DECODERS)
def test_every_decoder_says_where_its_layout_is_from(name: str) -> None:
    """Whoever doubts a box needs the paper or the file it was read in."""
    module, function = DECODERS[name].function.split(":")
    assert "Source:" in str(getattr(import_module(module), function).__doc__)
