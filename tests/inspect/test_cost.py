"""Multiplications, weights and memory, on graphs whose cost is known."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from edge_runtime.bundled import bundled_model
from edge_runtime.inspect.cost import count_macs, count_weights, peak_bytes
from edge_runtime.inspect.graph import read_graph
from edge_runtime.model.flatbuffer import read_model
from tests.inspect.graphs import Sketch, one_step


@pytest.mark.parametrize(
    ("operator", "source", "weights", "output", "macs"),
    [
        # 10x10 outputs of 8 channels, each the sum of 3x3 pixels of 4 channels
        ("CONV_2D", (1, 20, 20, 4), (8, 3, 3, 4), (1, 10, 10, 8), 10 * 10 * 8 * 3 * 3 * 4),
        # two groups: the weights show the 2 channels of one
        ("CONV_2D", (1, 10, 10, 4), (8, 1, 1, 2), (1, 10, 10, 8), 10 * 10 * 8 * 2),
        ("DEPTHWISE_CONV_2D", (1, 20, 20, 8), (1, 5, 3, 8), (1, 20, 20, 8), 20 * 20 * 8 * 15),
        ("FULLY_CONNECTED", (1, 64), (10, 64), (1, 10), 640),
        ("CONV_3D", (1, 4, 4, 4, 2), (3, 3, 3, 2, 5), (1, 4, 4, 4, 5), 4 * 4 * 4 * 5 * 27 * 2),
        ("BATCH_MATMUL", (1, 7, 5), (1, 5, 3), (1, 7, 3), 7 * 3 * 5),
        ("Conv", (1, 4, 20, 20), (8, 4, 3, 3), (1, 8, 10, 10), 10 * 10 * 8 * 3 * 3 * 4),
        ("ConvTranspose", (1, 4, 5, 5), (4, 8, 2, 2), (1, 8, 10, 10), 5 * 5 * 4 * 8 * 4),
        ("Gemm", (2, 5), (5, 3), (2, 3), 2 * 3 * 5),
        ("MatMul", (1, 7, 5), (5, 3), (1, 7, 3), 7 * 3 * 5),
    ],
)
def test_multiplications_of_one_operator(
    operator: str, source: tuple[int, ...], weights: tuple[int, ...], output: tuple[int, ...], macs: int
) -> None:
    sketch = Sketch()
    ends = [sketch.computed(*source), sketch.constant(*weights)], [sketch.computed(*output)]
    found = count_macs(one_step(operator, *ends, sketch))
    assert (found.total, found.by_operator, found.uncounted) == (macs, {operator: macs}, {})


def test_a_transposed_convolution_multiplies_its_input() -> None:
    """Its output is larger, so counting there would be wrong by the square of the stride."""
    sketch = Sketch()
    shape, weights, source = sketch.constant(4), sketch.constant(8, 2, 2, 4), sketch.computed(1, 5, 5, 4)
    graph = one_step("TRANSPOSE_CONV", [shape, weights, source], [sketch.computed(1, 10, 10, 8)], sketch)
    assert count_macs(graph).total == 5 * 5 * 4 * 8 * 2 * 2


def test_quantised_convolutions_of_onnx_have_their_weights_elsewhere() -> None:
    sketch = Sketch()
    inputs = [sketch.computed(1, 4, 9, 9), sketch.constant(), sketch.constant(), sketch.constant(8, 4, 3, 3)]
    assert count_macs(one_step("QLinearConv", inputs, [sketch.computed(1, 8, 7, 7)], sketch)).total == 49 * 8 * 36


def test_what_cannot_be_counted_is_said() -> None:
    """A sum that silently leaves something out is worse than none."""
    sketch = Sketch()
    open_output = sketch.computed(1, 1, 1, 8, is_known=False)
    sketch.step("CONV_2D", [sketch.computed(1, 9, 9, 4), sketch.constant(8, 3, 3, 4)], [open_output])
    sketch.step("LSTM", [open_output], [sketch.computed(1, 8)])
    found = count_macs(sketch.graph([0], [2]))
    assert (found.total, found.uncounted) == (0, {"CONV_2D": 1, "LSTM": 1})


def test_what_only_moves_or_adds_is_no_multiplication() -> None:
    sketch = Sketch()
    found = count_macs(one_step("ADD", [sketch.computed(9), sketch.computed(9)], [sketch.computed(9)], sketch))
    assert (found.total, found.by_operator, found.uncounted) == (0, {}, {})


def test_weights_that_two_tensors_share_count_once() -> None:
    sketch = Sketch()
    sketch.constant(10, 10, buffer=3)
    sketch.constant(100, buffer=3)
    sketch.constant(5, dtype="int32", bits=32)
    found = count_weights(sketch.graph([], []))
    assert (found.parameters, found.size_bytes, found.by_type) == (105, 120, {"int8": 100, "int32": 20})


def test_four_bits_take_half_a_byte() -> None:
    sketch = Sketch()
    assert sketch.tensors[sketch.constant(3, dtype="int4", bits=4)].size_bytes == 2


def test_memory_is_that_of_the_tensors_in_use_together() -> None:
    """100 -> 200 -> 50 -> 10: the most is while 200 is made from 100."""
    sketch = Sketch()
    chain = [sketch.computed(size) for size in (100, 200, 50, 10)]
    for source, end in pairwise(chain):
        sketch.step("RELU", [source], [end])
    assert peak_bytes(sketch.graph(chain[:1], chain[-1:])) == 300


def test_a_tensor_that_is_read_again_later_stays() -> None:
    """The bypass of a residual block is what makes it need memory."""
    sketch = Sketch()
    source, one, two, end = (sketch.computed(size) for size in (100, 200, 50, 10))
    sketch.step("RELU", [source], [one])
    sketch.step("RELU", [one], [two])
    sketch.step("ADD", [two, source], [end])
    assert peak_bytes(sketch.graph([source], [end])) == 350


def test_outputs_and_states_live_to_the_end() -> None:
    sketch = Sketch()
    source, early, end, state = sketch.computed(10), sketch.computed(30), sketch.computed(20), sketch.state(1000)
    sketch.step("RELU", [source], [early])
    sketch.step("ADD", [source, state], [end])
    assert peak_bytes(sketch.graph([source], [early, end])) == 10 + 30 + 20 + 1000


def test_constants_are_no_activations() -> None:
    sketch = Sketch()
    graph = one_step("ADD", [sketch.computed(5), sketch.constant(10**6)], [sketch.computed(5)], sketch)
    assert peak_bytes(graph) == 10


def test_the_bundled_model_costs_what_its_card_says() -> None:
    """67 million multiplications, 263,002 parameters; its int8 form leaves out what float needs."""
    for variant in ("", "int8"):
        graph = read_graph(read_model(bundled_model(variant)))
        assert count_macs(graph).total == pytest.approx(67e6, rel=0.01)
        assert count_weights(graph).parameters == pytest.approx(263_002, rel=0.01)


@pytest.mark.parametrize(
    ("model", "millions"),
    [
        # The published figures: Howard et al. 2017 (41 M for MobileNet v1 0.25 at 224), Ge et al. 2021 (1.08 GFLOP,
        # which is two for each multiplication, for YOLOX-Nano at 416).
        ("mobilenet_v1_0.25_224_float32.tflite", 41),
        ("yolox_nano_416_float16.tflite", 540),
        ("yolox_nano_416_dynamic_range.tflite", 540),
    ],
)
def test_published_models_cost_what_was_published(shared: Path, model: str, millions: int) -> None:
    graph = read_graph(read_model(shared / "models" / model))
    assert count_macs(graph).total / 1e6 == pytest.approx(millions, rel=0.05)
