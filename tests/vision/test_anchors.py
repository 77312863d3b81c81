"""Anchors made by recipe, against those that real models were trained with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from edge_runtime.vision.anchors import RECIPES, fitting_recipes, fpn_anchors, make_anchors, ssd_anchors
from tests.factory.schema import load_schema

QUANTUM_OF_THE_FILE = 0.0065
"""The anchors of that model are stored in 8 bits, from 0 to 1.6."""


def test_the_recipe_of_the_ssd_makes_the_anchors_of_the_real_one(shared: Path) -> None:
    """Count, order and place: one wrong row puts every box after it elsewhere."""
    real = np.loadtxt(shared / "models/ssd_mobilenet_v1_coco_quant_raw_anchors.csv", delimiter=",", skiprows=1)
    assert_allclose(ssd_anchors((300, 300)), real, atol=QUANTUM_OF_THE_FILE / 2)


def test_the_recipe_of_the_pyramid_makes_the_anchors_inside_a_real_model(shared: Path) -> None:
    """Its detection operator carries them in float; the grids whose stride does not divide 320 are the odd part."""
    schema = load_schema()
    data = (shared / "models/ssd_mobilenet_v2_fpnlite_320_coco_float_io.tflite").read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    graph = model.subgraphs[0]
    tensor = graph.tensors[graph.operators[-1].inputs[2]]
    real = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float32).reshape(tensor.shape)
    assert_allclose(fpn_anchors((320, 320)), real, atol=1e-6)


@given(st.integers(33, 400), st.integers(33, 400), st.sampled_from(list(RECIPES)))
def test_a_recipe_makes_as_many_as_it_counts(width: int, height: int, name: str) -> None:
    """The count decides whether it is a model's recipe; another number would be refused at the first frame."""
    anchors = make_anchors(name, (width, height))
    assert len(anchors) == RECIPES[name].count((width, height))
    assert anchors.dtype == np.float32
    assert (anchors[:, 2:] > 0).all()


@pytest.mark.parametrize(
    ("size_wh", "rows", "names"),
    [
        ((300, 300), 1917, ["ssd"]),
        ((320, 320), 2034, ["ssd"]),
        ((320, 320), 12804, ["ssd_fpn"]),
        ((640, 640), 51150, ["ssd_fpn"]),
        ((300, 300), 1918, []),
    ],
)
def test_the_number_of_rows_names_the_recipe(size_wh: tuple[int, int], rows: int, names: list[str]) -> None:
    """The numbers that are known from the published models."""
    assert fitting_recipes(size_wh, rows) == names
