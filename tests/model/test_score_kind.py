"""Probabilities or logits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.model.flatbuffer import ModelFile, Quantization, TensorInfo
from edge_runtime.model.roles import OutputFacts
from edge_runtime.model.score_kind import resolve_score_kind

FLOATS = TensorInfo("p", (1, 5), (1, 5), np.dtype("float32"))


def kind(*operators, tensor=FLOATS):
    file = ModelFile(Path("m.tflite"), 1, "", (), (tensor,), operators, ())
    return resolve_score_kind(OutputFacts([tensor], file, None, None, (32, 32), "classify"), "classify", {"scores": 0})


@pytest.mark.parametrize("last", ["SOFTMAX", "LOGISTIC", "Softmax", "Sigmoid"])
def test_the_last_operator_that_changes_values_tells_probabilities(last):
    """Converters put reshapes and changes of type behind it."""
    assert kind("CONV_2D", last, "RESHAPE", "DEQUANTIZE") == ("probabilities", f"operator {last}")


@pytest.mark.parametrize("last", ["FULLY_CONNECTED", "CONV_2D", "Gemm"])
def test_a_layer_of_weights_at_the_end_tells_logits(last):
    """Training frameworks leave the softmax to the loss."""
    assert kind("SOFTMAX", last, "SQUEEZE") == ("logits", f"operator {last}")


def test_a_quantisation_that_holds_negative_numbers_tells_logits():
    """A compiled model shows one operator only."""
    signed = replace(FLOATS, dtype=np.dtype("int8"), quantization=Quantization(0.1, 0))
    assert kind("edgetpu-custom-op", tensor=signed) == ("logits", "quantisation, from -12.8")
    unit = replace(signed, quantization=Quantization(1 / 256, -128))
    assert kind("edgetpu-custom-op", tensor=unit) == (None, "the values")


def test_where_nothing_tells_it_is_left_to_the_values():
    """They tell at the first frame."""
    assert kind("MUL") == kind() == (None, "the values")
