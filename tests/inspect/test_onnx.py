"""ONNX files: the same account as of a .tflite file."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="the extra [onnx] is not installed")

from edge_runtime.inspect.cost import count_macs, count_weights, peak_bytes
from edge_runtime.inspect.graph import read_graph
from edge_runtime.inspect.onnx import read_onnx_graph
from edge_runtime.inspect.report import inspect_model
from edge_runtime.inspect.text import as_text
from edge_runtime.model.flatbuffer import read_model
from tests.optimize.onnx_bytes import write_onnx


def test_operators_and_shapes_are_those_of_the_file(tmp_path: Path) -> None:
    file = read_model(write_onnx(tmp_path / "m.onnx", operator="MatMul", shape=(1, 3, 8, 8)))
    graph = read_onnx_graph(file)
    assert [step.name for step in graph.steps] == ["MatMul"]
    assert count_macs(graph).total == 3 * 8 * 8 * 8
    assert peak_bytes(graph) == 2 * 3 * 8 * 8 * 4
    assert count_weights(graph).parameters == 0


def test_an_open_side_is_no_size(tmp_path: Path) -> None:
    graph = read_onnx_graph(read_model(write_onnx(tmp_path / "m.onnx", operator="MatMul", shape=(1, 3, "h", "w"))))
    assert count_macs(graph).uncounted == {"MatMul": 1}


def test_one_network_costs_the_same_in_both_forms(shared: Path) -> None:
    """YOLOX-nano, exported once and converted once."""
    onnx = read_onnx_graph(read_model(shared / "models" / "yolox_nano_416.onnx"))
    tflite = read_graph(read_model(shared / "models" / "yolox_nano_416_float16.tflite"))
    assert count_macs(onnx).total == count_macs(tflite).total
    assert count_weights(onnx).parameters == pytest.approx(count_weights(tflite).parameters, rel=0.01)


def test_the_account_has_no_edge_tpu(shared: Path) -> None:
    found = inspect_model(shared / "models" / "yunet_n_320_320.onnx")
    assert found.edgetpu is None
    text = as_text(found)
    assert "yunet_n_320_320.onnx: a detector" in text
    assert "Edge TPU" not in text
    assert "only .tflite files are measured" in text
