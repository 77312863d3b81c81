"""The strides of a head, from the number of its rows or from the sidecar."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.model.families import FAMILIES
from edge_runtime.model.flatbuffer import ModelFile, TensorInfo
from edge_runtime.model.roles import OutputFacts
from edge_runtime.model.sidecar import Sidecar
from edge_runtime.model.strides import resolve_strides
from edge_runtime.vision.grid import count_cells

FCOS = {"boxes": 0, "scores": 1}


def facts(shapes, size_wh, **sidecar):
    tensors = [TensorInfo("", shape, shape, np.dtype("float32")) for shape in shapes]
    said = Sidecar(Path("m.toml"), **sidecar) if sidecar else None
    return OutputFacts(tensors, ModelFile(Path("m.tflite"), 1, "", (), (), (), ()), None, said, size_wh)


def fcos(rows, size_wh, **sidecar):
    return facts([(1, rows, 4), (1, rows, 6)], size_wh, **sidecar)


@pytest.mark.parametrize(
    ("rows", "size_wh", "strides"),
    [
        (480, (192, 160), (8,)),
        (1920, (192, 160), (4,)),
        (120, (192, 160), (16,)),
        (30, (192, 160), (32,)),
        (630, (192, 160), (8, 16, 32)),
        (2125, (320, 320), (8, 16, 32, 64)),
        (3549, (416, 416), (8, 16, 32)),
    ],
)
def test_the_number_of_rows_tells_the_strides(rows, size_wh, strides):
    """Nothing else in the file does."""
    assert resolve_strides(fcos(rows, size_wh), "fcos", FCOS) == (strides, "number of rows")


@given(st.tuples(st.integers(8, 640), st.integers(8, 640)), st.sampled_from(FAMILIES["fcos"].grids))
def test_strides_are_found_or_the_choice_is_named(size_wh, strides):
    """Small inputs can have as many cells in two ways; guessing would put boxes in the wrong place."""
    counts = [count_cells(size_wh, other) for other in FAMILIES["fcos"].grids]
    rows = count_cells(size_wh, strides)
    if counts.count(rows) == 1:
        assert resolve_strides(fcos(rows, size_wh), "fcos", FCOS)[0] == strides
        return
    with pytest.raises(ModelError, match=rf"strides = {re.escape(str(list(strides)))}( or|$)"):
        resolve_strides(fcos(rows, size_wh), "fcos", FCOS)


def test_rows_that_fit_two_grids_need_a_line_in_the_sidecar():
    """An input of 16x8 has two cells of stride 8, and one each of 16 and 32."""
    tied = (16, 8)
    with pytest.raises(
        ModelError, match=r"^m\.tflite: 2 rows of an input of 16x8 fit strides \[8\] and strides \[16, 32\]"
    ):
        resolve_strides(fcos(2, tied), "fcos", FCOS)
    assert resolve_strides(fcos(2, tied, strides=(8,)), "fcos", FCOS) == ((8,), "sidecar m.toml")


def test_rows_that_fit_no_grid_need_a_line_too():
    """The sidecar named the decoder, so the shapes alone fit."""
    with pytest.raises(
        ModelError, match=r"77 rows .* fit no strides that fcos usually has; write in m\.toml: strides ="
    ):
        resolve_strides(fcos(77, (192, 160)), "fcos", FCOS)
    assert resolve_strides(fcos(16 * 20, (192, 160), strides=(10,)), "fcos", FCOS)[0] == (10,)


def test_strides_that_make_another_number_of_rows_are_refused():
    """Both numbers are named: one of them is the mistake."""
    with pytest.raises(ConfigError, match=r"^m\.toml: strides = \[8, 16\] make 600 rows .* the model has 480; correct"):
        resolve_strides(fcos(480, (192, 160), strides=(8, 16)), "fcos", FCOS)


def test_strides_for_a_decoder_without_them_are_refused():
    """The line would do nothing, and its author expects something."""
    shapes = [(1, 84, 3549)]
    assert resolve_strides(facts(shapes, (416, 416)), "yolo", {"predictions": 0}) == ((), "not needed")
    with pytest.raises(ConfigError, match=r"strides is for fcos, yolox, .*, this model is yolo; remove it"):
        resolve_strides(facts(shapes, (416, 416), strides=(8,)), "yolo", {"predictions": 0})


def test_anchors_of_a_cell_are_counted():
    """BlazeFace has two for each cell and layer."""
    shapes = [(1, 896, 16), (1, 896, 1)]
    assert resolve_strides(facts(shapes, (128, 128)), "blazeface", FCOS)[0] == (8, 16, 16, 16)
    assert resolve_strides(facts(shapes, (256, 256)), "blazeface", FCOS)[0] == (16, 32, 32, 32)
