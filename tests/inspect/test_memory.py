"""The memory a model takes, asked of a child that may die of the model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.errors import BackendError, ModelError
from edge_runtime.inspect.cost import peak_bytes
from edge_runtime.inspect.graph import read_graph
from edge_runtime.inspect.memory import covered, measure_memory
from edge_runtime.model.flatbuffer import read_model
from tests.factory.models import write_ssd


def test_what_is_measured_is_no_less_than_what_is_computed(tmp_path: Path) -> None:
    """The computed figure is a floor: no plan can do with less."""
    path = write_ssd(tmp_path / "m.tflite", heavy=3, input_shape=(1, 64, 64, 3))
    found = measure_memory(path)
    assert found.arena_bytes >= peak_bytes(read_graph(read_model(path))) > 64 * 64 * 8 * 4
    assert found.process_bytes > found.arena_bytes / 2
    assert found.engine.split()[0] in ("litert", "tflite-runtime")


def test_a_model_that_the_engine_refuses_is_an_error_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="fake-op"):
        measure_memory(write_ssd(tmp_path / "m.tflite", custom_op="fake-op"))


def test_a_child_that_crashes_takes_nobody_along(tmp_path: Path) -> None:
    dies = (sys.executable, "-c", "import os; os.kill(os.getpid(), 11)")
    with pytest.raises(ModelError, match="SIGSEGV"):
        measure_memory(tmp_path / "m.tflite", command=dies)
    with pytest.raises(BackendError, match="failed"):
        measure_memory(tmp_path / "m.tflite", command=(sys.executable, "-c", "raise SystemExit(1)"))


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=8))
def test_bytes_that_several_tensors_share_count_once(spans: list[tuple[int, int]]) -> None:
    assert covered(spans) == len({byte for start, size in spans for byte in range(start, start + size)})
