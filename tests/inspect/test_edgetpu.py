"""What the Edge TPU takes: each condition of its documentation met and broken, and real files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_runtime.bundled import bundled_model
from edge_runtime.inspect.edgetpu import check_graph
from edge_runtime.inspect.graph import Graph, read_graph
from edge_runtime.model.flatbuffer import read_model
from tests.factory.models import write_ssd
from tests.inspect.graphs import Sketch, one_step

PICTURE = (1, 8, 8, 4)


def judged(
    name: str, *, shape: tuple[int, ...] = PICTURE, output: tuple[int, ...] = PICTURE, dtype: str = "int8",
    values: tuple[int, ...] | None = None, second: tuple[int, ...] | None = None, first: bool = False, outputs: int = 1,
    **options: int,
) -> str | None:  # fmt: skip
    """Return the reason against one operator: its picture, then a constant with `values` or of the shape `second`."""
    sketch = Sketch()
    inputs = [sketch.computed(*shape, dtype=dtype)]
    if values is not None:
        inputs.insert(0 if first else 1, sketch.constant(len(values), dtype="int32", bits=32, values=values))
    if second is not None:
        inputs.append(sketch.constant(*second))
    ends = [sketch.computed(*output) for _ in range(outputs)]
    return check_graph(one_step(name, inputs, ends, sketch, **options)).reasons[0]


@pytest.mark.parametrize(
    ("name", "good", "bad", "reason"),
    [
        ("CONV_2D", {"second": (4, 3, 3, 4)}, {"second": (4, 3, 3, 4), "dilation_w": 2}, "dilation differs"),
        ("DEPTHWISE_CONV_2D", {"dilation_w": 2, "dilation_h": 2}, {"dilation_h": 2}, "dilation differs"),
        ("MAX_POOL_2D", {}, {"fused": 1}, r"a fused activation \(RELU\)"),
        ("AVERAGE_POOL_2D", {}, {"fused": 3}, r"a fused activation \(RELU6\)"),
        ("CONCATENATION", {"second": PICTURE}, {"fused": 1}, "a fused activation"),
        ("CONCATENATION", {}, {"values": (0,), "second": PICTURE}, "a constant among the inputs"),
        ("FULLY_CONNECTED", {"output": (1, 10)}, {"output": (1, 10), "weights_format": 1}, "another format"),
        ("FULLY_CONNECTED", {"output": (1, 10)}, {"output": (5, 10)}, "more than one dimension"),
        ("SOFTMAX", {"shape": (1, 16_000)}, {"shape": (1, 16_001)}, "more than 16,000"),
        ("SOFTMAX", {"shape": (1, 5)}, {"shape": (2, 5)}, "more than one dimension"),
        ("MEAN", {"values": (1, 2)}, {"values": (0, 1)}, "along the batch"),
        ("MEAN", {"values": (-1,)}, {"values": (3,), "shape": (1, 8, 8, 6)}, "no multiple of 4"),
        ("SUM", {"values": (1,)}, {"values": (-4,)}, "along the batch"),
        ("REDUCE_MAX", {"values": (3,)}, {"values": (0,)}, "along the batch"),
        (
            "SPLIT",
            {"values": (3,), "first": True, "outputs": 2},
            {"values": (0,), "first": True, "outputs": 2},
            "batch",
        ),
        ("PACK", {"axis": 1}, {"axis": 0}, "along the batch"),
        ("PAD", {"values": (0, 0, 1, 1)}, {"values": (1, 0, 0, 0)}, "along the batch"),
        ("STRIDED_SLICE", {"values": (1,), "second": (4,)}, {"values": (1,), "ellipsis_mask": 1}, "an ellipsis"),
        ("PRELU", {"second": (1, 1, 4)}, {"second": (8, 8, 4)}, "slopes that differ"),
        ("ADD", {}, {"dtype": "float32"}, "computes in float32"),
        ("ADD", {"dtype": "uint8"}, {"dtype": "int16"}, "computes in int16"),
        ("ADD", {}, {"shape": (2, 8, 8, 4)}, "more than 3 dimensions"),
        ("RELU", {}, {"dtype": "float32"}, "computes in float32"),
    ],
)
def test_a_condition_met_and_broken(name: str, good: dict, bad: dict, reason: str) -> None:
    if name != "STRIDED_SLICE":  # looks at its fourth input, see below
        assert judged(name, **good) is None
    assert re.search(reason, judged(name, **bad) or "taken")


def test_strides_are_the_fourth_input() -> None:
    for strides, reason in (((1, 1), None), ((1, 2), "strides other than 1")):
        sketch = Sketch()
        inputs = [sketch.computed(*PICTURE), sketch.constant(2), sketch.constant(2)]
        inputs.append(sketch.constant(2, dtype="int32", bits=32, values=strides))
        graph = one_step("STRIDED_SLICE", inputs, [sketch.computed(*PICTURE)], sketch)
        assert check_graph(graph).reasons == (reason,)


def test_an_open_size_and_an_unknown_operator_are_refused() -> None:
    sketch = Sketch()
    sketch.step("ADD", [sketch.computed(1, is_known=False)], [sketch.computed(1)])
    sketch.step("GELU", [1], [sketch.computed(1)])
    assert check_graph(sketch.graph([0], [2])).reasons == ("a size is open until run time", "unknown to the Edge TPU")


def test_an_operator_without_its_inputs_is_refused_and_not_fallen_over() -> None:
    """Only a damaged file has one."""
    sketch = Sketch()
    assert check_graph(one_step("MEAN", [sketch.computed(1)], [sketch.computed(1)], sketch)).reasons[0]


def chain(*names: str) -> Graph:
    sketch = Sketch()
    for number, name in enumerate(names):
        sketch.computed(4)
        sketch.step(name, [number], [number + 1])
    sketch.computed(4)
    return sketch.graph([0], [len(names)])


def test_the_graph_is_cut_once() -> None:
    """What comes after the first operator on the CPU stays there, however well it would fit."""
    found = check_graph(chain("RELU", "RELU", "GELU", "RELU"))
    assert (found.taken, found.mapped, found.is_compiled) == (3, 2, False)


def test_a_compiled_model_is_told(tmp_path: Path) -> None:
    path = write_ssd(tmp_path / "m.tflite", custom_op="edgetpu-custom-op")
    found = check_graph(read_graph(read_model(path)))
    assert (found.is_compiled, found.taken) == (True, 1)


def test_the_bundled_model_was_made_for_it() -> None:
    """Its card says so."""
    for variant, share in (("int8", 1.0), ("edgetpu", 1.0), ("", 0.0), ("int16x8", 0.0)):
        found = check_graph(read_graph(read_model(bundled_model(variant))))
        assert found.mapped == share * len(found.reasons), variant


def test_a_well_known_model_is_taken_but_for_its_last_operator(shared: Path) -> None:
    """Google's SSD MobileNet v1, whose compiled form leaves the detection operator to the CPU."""
    found = check_graph(read_graph(read_model(shared / "models" / "detect.tflite")))
    assert (found.mapped, len(found.reasons)) == (63, 64)
