"""The classic GPU delegate, with a stand-in library that takes nodes, and that may lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.errors import BackendError, BackendMissingError, InvokeError
from edge_runtime.inference import gpu
from edge_runtime.inference.engine import load_engine
from edge_runtime.inference.gpu import LIBRARY, open_gpu
from tests.factory.models import write_ssd
from tests.inference.test_standin import compile_to, right_outputs


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(compile_to(tmp_path_factory.mktemp("standin") / "libgpu.so"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_ssd(tmp_path / "m.tflite")


def test_the_library_is_named_by_path(tmp_path: Path) -> None:
    with pytest.raises(BackendMissingError, match=r"gpu\.so is not there; give the path"):
        open_gpu(Path("m.tflite"), device=str(tmp_path / "gpu.so"))


def test_a_gpu_that_takes_nothing_is_an_error_and_no_run_on_the_cpu(
    model: Path, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_MODE", "idle")
    with pytest.raises(BackendError, match=r"took none of the operators of m\.tflite; use --backend cpu"):
        open_gpu(model, device=library)


def test_right_results_are_accepted(model: Path, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = tmp_path / "outputs"
    outputs.write_bytes(right_outputs(model))
    monkeypatch.setenv("STANDIN_MODE", "all")
    monkeypatch.setenv("STANDIN_OUTPUT", str(outputs))
    info = open_gpu(model, device=library).describe()
    assert (info.backend, info.delegate, info.nodes, info.delegated_nodes) == ("gpu", library, 8, 8)


def test_wrong_results_are_refused_with_the_largest_difference(
    model: Path, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delegate that lies is worse than none: nothing else would ever tell."""
    monkeypatch.setenv("STANDIN_MODE", "all")
    with pytest.raises(
        BackendError, match=r"comes out wrong on .*libgpu\.so: output .* differs by up to 1 \(100 % of its range\)"
    ) as info:
        open_gpu(model, device=library)
    assert str(info.value).endswith(
        "use --backend cpu, or another variant of the model (float16 is what GPUs are built for)"
    )


def test_a_gpu_that_fails_in_the_comparison_is_an_error(
    model: Path, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_MODE", "fail-invoke")
    with pytest.raises(InvokeError, match="the stick has gone"):
        open_gpu(model, device=library)


def test_without_a_path_the_engine_decides(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteRT brings an accelerator; tflite-runtime has only the library where the loader looks."""
    if load_engine().name == "litert":
        asked: list[Path] = []
        monkeypatch.setattr(gpu, "open_webgpu", lambda model, num_threads: asked.append(model))
        open_gpu(model)
        assert asked == [model]
    else:
        with pytest.raises(BackendMissingError, match=f"build it from TensorFlow Lite .*{LIBRARY}"):
            open_gpu(model)
