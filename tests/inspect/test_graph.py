"""The graph of a file: operators, shapes, constants, and files that are damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_runtime.errors import ModelError
from edge_runtime.inspect.cost import count_macs, count_weights, peak_bytes
from edge_runtime.inspect.edgetpu import check_graph
from edge_runtime.inspect.graph import read_graph
from edge_runtime.model.flatbuffer import parse_model, read_model
from tests.factory.models import write_postprocess_ssd, write_ssd


def test_operators_and_tensors_are_those_of_the_file(tmp_path: Path) -> None:
    file = read_model(write_ssd(tmp_path / "m.tflite", heavy=1))
    graph = read_graph(file)
    assert tuple(step.name for step in graph.steps) == file.operators
    assert [graph.tensors[index].name for index in graph.inputs] == ["image"]
    assert [graph.tensors[index].name for index in graph.outputs] == [one.name for one in file.outputs]
    weights = next(tensor for tensor in graph.tensors if tensor.name == "weights_0")
    assert (weights.shape, weights.dtype, weights.is_constant) == ((8, 3, 3, 3), "float32", True)
    assert weights.constant_bytes == weights.size_bytes == 8 * 3 * 3 * 3 * 4
    image = graph.tensors[graph.inputs[0]]
    assert (image.dtype, image.is_constant, image.scales, image.size_bytes) == ("uint8", False, 1, 32 * 32 * 3)


def test_small_constants_show_their_values(tmp_path: Path) -> None:
    """Axes and paddings decide what the Edge TPU takes."""
    graph = read_graph(read_model(write_ssd(tmp_path / "m.tflite")))
    assert next(tensor for tensor in graph.tensors if tensor.name == "axes").values == (0, 1, 2, 3)


def test_a_shape_that_the_file_leaves_out_is_unknown(tmp_path: Path) -> None:
    graph = read_graph(read_model(write_postprocess_ssd(tmp_path / "m.tflite")))
    assert all(graph.known(index) is None for index in graph.outputs)
    assert graph.steps[-1].is_custom


def test_a_file_that_changed_meanwhile_is_an_error(tmp_path: Path) -> None:
    path = write_ssd(tmp_path / "m.tflite")
    file = read_model(path)
    write_ssd(path, heavy=2)
    with pytest.raises(ModelError, match="has changed while it was read"):
        read_graph(file)
    path.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        read_graph(file)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(place=st.integers(0, 10**6), value=st.integers(0, 255), end=st.integers(0, 10**6))
def test_a_damaged_file_ends_in_an_answer_or_an_error_of_ours(tmp_path: Path, place: int, value: int, end: int) -> None:
    """Whatever bytes there are, nothing here may run for ever, or fall over them."""
    data = bytearray(write_postprocess_ssd(tmp_path / "good.tflite").read_bytes())
    data[place % len(data)] = value
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(data if end % 3 else data[: end % len(data)] or b"x")
    try:
        file = parse_model(bad.read_bytes(), bad)
        graph = read_graph(file)
    except ModelError:
        return
    assert count_macs(graph).total >= 0
    assert count_weights(graph).size_bytes >= 0
    assert peak_bytes(graph) >= 0
    assert len(check_graph(graph).reasons) == len(graph.steps)
