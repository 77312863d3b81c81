"""What a quantisation can hold."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.model.flatbuffer import ModelFile, Quantization, TensorInfo, read_model
from edge_runtime.model.roles import OutputFacts
from edge_runtime.model.spec import resolve_spec
from edge_runtime.model.stored import shared_range_warning, stored_range

ROLES = {"predictions": 0}


def integers(scale, zero_point, dtype="int8"):
    return TensorInfo("p", (1, 21, 7), (1, 21, 7), np.dtype(dtype), Quantization(scale, zero_point))


def facts(tensor, listed=None):
    file = ModelFile(Path("m.tflite"), 1, "", (), (listed or tensor,), (), ())
    return OutputFacts([tensor], file, None, None, (32, 32))


def floats(inner=None):
    return TensorInfo("p", (1, 21, 7), (1, 21, 7), np.dtype("float32"), inner=inner)


def test_integers_hold_a_range_in_steps():
    """The zero point shifts it, the scale widens it."""
    found = stored_range(facts(integers(0.5, -128)), 0)
    assert (found.lowest, found.highest, found.step) == (0, 127.5, 0.5)
    assert stored_range(facts(floats()), 0) is None


def test_a_file_that_lists_other_outputs_than_the_engine_tells_nothing_of_them():
    """A device may cut off the end of a graph; another tensor's range is not this one's."""
    other = replace(floats(integers(1 / 256, -128)), name="q")
    assert stored_range(facts(floats(), other), 0) is None


def test_a_float_output_made_from_integers_holds_no_more_than_they_do():
    """Float inputs and outputs around an integer model: the engine reports no quantisation."""
    found = stored_range(facts(floats(), floats(integers(1 / 256, -128))), 0)
    assert (found.lowest, found.step) == (0, 1 / 256)


@pytest.mark.parametrize(
    ("scale", "zero_point", "decoder", "said"),
    [
        (1 / 256, -128, "yolox", "boxes are cut off, .* share one quantisation, 0 to 0.996 in steps of 0.00391"),
        (0.05, 0, "yolox", "scores are coarse, .* share one quantisation, -6.4 to 6.35 in steps of 0.05"),
        (2.5, -128, "yolo", "scores are coarse, .* 0 to 638 in steps of 2.5"),
        (0.0045, -119, "yolo", "scores have steps of 0.0045, .* -0.0405 to 1.11 in steps of 0.0045"),
    ],
)
def test_boxes_and_scores_that_share_a_range_too_small_for_one_are_warned_of(scale, zero_point, decoder, said):
    """The model loads, runs and finds nonsense; the numbers say why."""
    assert re.match(said, shared_range_warning(facts(integers(scale, zero_point)), decoder, ROLES))


def test_a_shared_range_that_suffices_is_not_warned_of():
    """Scores lose nothing while the step is that of 8 bits of their own; 16 bits are enough for everything."""
    assert shared_range_warning(facts(integers(0.00391, -128)), "yolo", ROLES) is None
    assert shared_range_warning(facts(integers(0.001, 0, "int16")), "yolox", ROLES) is None
    assert shared_range_warning(facts(floats()), "yolox", ROLES) is None
    assert shared_range_warning(facts(integers(1.0, 0)), "fcos", {"boxes": 0, "scores": 1}) is None


def test_the_real_models_that_share_a_scale_are_warned_of_with_the_step(shared, caplog):
    """The accuracy of the broken one is a twentieth of the float model's; the other loses little, and says so."""
    for name in ("yolox_nano_416_int8_BROKEN", "yolox_nano_416_float16", "agpl-3.0/yolo11n_full_integer_quant_416"):
        path = shared / "models" / f"{name}.tflite"
        file = read_model(path)
        resolve_spec(path, file.inputs, file.outputs)
    broken, fair = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert "boxes are cut off" in broken
    assert "in steps of 0.00391" in broken
    assert "BROKEN" in broken
    assert "scores have steps of 0.00452" in fair
    assert "yolo11n" in fair
