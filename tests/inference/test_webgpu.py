"""LiteRT's WebGPU accelerator: on the software Vulkan driver SwiftShader where Debian's chromium has brought it."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from edge_runtime.errors import BackendError, BackendMissingError, InvokeError
from edge_runtime.inference import TensorSpec, webgpu
from edge_runtime.inference.isolated import IsolatedBackend
from edge_runtime.inference.isolated_deadline import Deadline
from edge_runtime.inference.opening import Order
from edge_runtime.inference.tflite import open_cpu
from edge_runtime.inference.webgpu import WebGpuBackend, has_webgpu, open_webgpu, require_vulkan
from tests.factory.models import write_ssd

MODELS = Path(__file__).parents[2] / "models"
SWIFTSHADER = Path("/usr/lib/chromium/libvk_swiftshader.so")
NEEDS_LITERT = pytest.mark.skipif(not has_webgpu(), reason="this engine brings no WebGPU accelerator")


def nothing_there(name: str) -> NoReturn:
    raise OSError(f"{name}: cannot open shared object file")


def has_vulkan() -> bool:
    try:
        ctypes.CDLL(webgpu.VULKAN)
    except OSError:
        return False
    return True


def board(root: Path, model: str) -> Path:
    """Write what the firmware of a board says it is."""
    folder = root / "proc/device-tree"
    folder.mkdir(parents=True)
    (folder / "model").write_text(f"{model}\0")
    return root


@NEEDS_LITERT
@pytest.mark.parametrize("name", ["Raspberry Pi 4 Model B Rev 1.4", "Raspberry Pi 5 Model B Rev 1.0"])
def test_a_raspberry_pi_gets_a_clear_no(tmp_path: Path, name: str) -> None:
    """Its driver is there and loads: without this the answer would be a page about shaders."""
    with pytest.raises(
        BackendMissingError, match=rf"GPU of a {name} cannot run .*\(v3dv\) lacks .*; use --backend cpu"
    ):
        require_vulkan(board(tmp_path, name), {}, lambda _: None)


@NEEDS_LITERT
@pytest.mark.parametrize(
    ("name", "environment"),
    [("Radxa ROCK 5B", {}), ("Raspberry Pi 5 Model B", {"VK_ICD_FILENAMES": "/opt/egpu.json"})],
)
def test_other_boards_and_other_drivers_are_given_a_try(tmp_path: Path, name: str, environment: dict[str, str]) -> None:
    """A Pi 5 may have a graphics card on its PCIe."""
    require_vulkan(board(tmp_path, name), environment, lambda _: None)


@NEEDS_LITERT
def test_a_board_without_vulkan_gets_the_packages(tmp_path: Path) -> None:
    with pytest.raises(
        BackendMissingError, match=r"Vulkan is not installed \(libvulkan\.so\.1: .*apt install libvulkan1"
    ):
        require_vulkan(tmp_path, {}, nothing_there)


def test_an_engine_without_the_accelerator_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webgpu, "has_webgpu", lambda: False)
    with pytest.raises(BackendMissingError, match=r"pip install 'ai-edge-litert>=2\.1,<3'"):
        require_vulkan(tmp_path, {}, lambda _: None)


@pytest.mark.parametrize("said", ["No adapters found", "INTERNAL: No supported adapters"])
def test_no_device_is_told_from_a_refused_model(said: str) -> None:
    refused = webgpu._refusal(Path("m.tflite"), "x", ["INFO: hello", f"ERROR: [delegate_webgpu.cc:359] {said}"])
    assert isinstance(refused, BackendMissingError)
    assert "vulkaninfo --summary" in str(refused)


def test_a_refused_model_comes_with_the_engine_s_first_complaint() -> None:
    printed = ["INFO: hello", "ERROR: Following operations are not supported: X", "ERROR: second"]
    refused = webgpu._refusal(Path("m.tflite"), "compiled_model.cc:1036", printed)
    assert not isinstance(refused, BackendMissingError)
    assert "refuses m.tflite: ERROR: Following operations are not supported: X; use" in str(refused)
    assert "compiled_model.cc:1036; use" in str(webgpu._refusal(Path("m.tflite"), "compiled_model.cc:1036", []))


class Buffer:
    """A buffer of the accelerator's."""

    def __init__(self) -> None:
        self.array = np.zeros(0)

    def write(self, array: Any) -> None:
        self.array = array

    def read(self, count: int, dtype: Any) -> Any:
        return self.array.ravel()[:count].astype(dtype)


class FakeCompiled:
    """The calls of LiteRT's CompiledModel that are used, answered by the interpreter on the CPU."""

    def __init__(self, model: Path, change: Callable[[Any], Any] = lambda one: one, *, is_whole: bool = True) -> None:
        self._cpu = open_cpu(model)
        self._change, self._is_whole = change, is_whole
        self.asked: list[str] = []

    def get_signature_list(self) -> dict[str, Any]:
        return {"serving_default": {}}

    def _details(self, specs: tuple[TensorSpec, ...]) -> dict[str, Any]:
        return {spec.name: {"name": spec.name, "shape": list(spec.shape)} for spec in reversed(specs)}

    def get_input_tensor_details(self, _: str) -> dict[str, Any]:
        return self._details(self._cpu.inputs)

    def get_output_tensor_details(self, _: str) -> dict[str, Any]:
        self.asked.append("details")
        return self._details(self._cpu.outputs)

    def create_input_buffers(self, _: int) -> list[Buffer]:
        return [Buffer() for _ in self._cpu.inputs]

    def create_output_buffers(self, _: int) -> list[Buffer]:
        self.asked.append("buffers")
        return [Buffer() for _ in self._cpu.outputs]

    def is_fully_accelerated(self) -> bool:
        return self._is_whole

    def run_by_index(self, _: int, inputs: list[Buffer], outputs: list[Buffer]) -> None:
        found = self._cpu.invoke([one.array for one in reversed(inputs)])
        for buffer, one in zip(reversed(outputs), found, strict=True):
            buffer.array = self._change(one)


SAYS = [
    "Selected adapter: Mali-G610, arch=valhall, vendor=arm",
    "6 operations will run on the GPU, and the remaining 2 operations will run on the CPU.",
]


@pytest.fixture
def opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[WebGpuBackend, FakeCompiled]]:
    """Return a function that opens a model on an accelerator of ours."""
    if not has_webgpu():
        pytest.skip("this engine brings no WebGPU accelerator")
    model = write_ssd(tmp_path / "m.tflite")

    def open_fake(
        change: Callable[[Any], Any] = lambda one: one, *, printed: list[str] = SAYS, is_whole: bool = True
    ) -> tuple[WebGpuBackend, FakeCompiled]:
        compiled = FakeCompiled(model, change, is_whole=is_whole)
        monkeypatch.setattr(webgpu, "_compile", lambda model, num_threads: (compiled, printed))
        return open_webgpu(model, root=tmp_path, load=lambda _: None), compiled

    return open_fake


Opening = Callable[..., tuple[WebGpuBackend, FakeCompiled]]


def test_outputs_come_in_the_order_of_the_interpreter(opening: Opening, tmp_path: Path) -> None:
    """The compiled model lists them as its signature does, which may be another order."""
    opened, _ = opening()
    reference = open_cpu(tmp_path / "m.tflite")
    zeros = [np.zeros(spec.shape, spec.dtype) for spec in opened.inputs]
    for one, other in zip(opened.invoke(zeros), reference.invoke(zeros), strict=True):
        np.testing.assert_array_equal(one, other)
    assert opened.outputs == reference.outputs


def test_details_are_asked_for_before_the_buffers_are_made(opening: Opening) -> None:
    """The other way round the engine writes beyond its memory, and the process dies somewhere later."""
    assert opening()[1].asked == ["details", "buffers"]


def test_what_runs_where_is_counted(opening: Opening) -> None:
    assert str(opening()[0].describe()).endswith("WebGPU (Mali-G610) runs 8 of 8 nodes")
    assert str(opening(is_whole=False)[0].describe()).endswith("WebGPU (Mali-G610) runs 6 of 8 nodes")
    with pytest.raises(BackendError, match="takes none of the operators"):
        opening(printed=[], is_whole=False)


def test_a_wrong_result_is_refused_with_the_difference(opening: Opening) -> None:
    with pytest.raises(
        BackendError, match=r"m\.tflite comes out wrong on WebGPU \(Mali-G610\): output .* % of its range"
    ):
        opening(lambda one: np.zeros_like(one))


def test_wrong_calls_are_refused_before_they_reach_the_engine(opening: Opening) -> None:
    """A buffer does not know what it holds: a picture of another size would be read beyond its end."""
    opened, _ = opening()
    with pytest.raises(InvokeError, match="got 2 inputs, allowed is 1"):
        opened.invoke([np.zeros(1), np.zeros(1)])
    with pytest.raises(InvokeError, match=r"wants uint8 \(1, 32, 32, 3\), got float64 \(1,\)"):
        opened.invoke([np.zeros(1)])
    opened.close()
    opened.close()
    with pytest.raises(InvokeError, match="after close"):
        opened.invoke([np.zeros((1, 32, 32, 3), np.uint8)])


def test_tensors_that_do_not_match_or_fit_are_refused() -> None:
    known = TensorSpec("a", (1, 4), np.dtype(np.float32))
    with pytest.raises(BackendError, match=r"has no tensor 'a' \(1, 4\), it has a, b"):
        webgpu._order(Path("m"), [known], {"x": {"name": "a", "shape": [1, 5]}, "y": {"name": "b", "shape": [1]}})
    for other in (TensorSpec("a", (1, 4), np.dtype(np.int16)), TensorSpec("a", (1, 0), np.dtype(np.float32))):
        with pytest.raises(BackendError, match=r"takes float32, .* of fixed sizes; use --backend cpu"):
            webgpu._check_types(Path("m"), [other])


def test_a_failing_run_is_an_invoke_error(opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, compiled = opening()

    def fail(*_: Any) -> NoReturn:
        raise RuntimeError("ERROR: [a.h:1]\n└ ERROR: [b.cc:2] device lost")

    monkeypatch.setattr(compiled, "run_by_index", fail)
    with pytest.raises(InvokeError, match=r"invoke failed on the GPU: .*device lost"):
        opened.invoke([np.zeros((1, 32, 32, 3), np.uint8)])


@pytest.fixture
def software_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have child processes see a Vulkan device that is software: nothing of it is loaded into the tests' process."""
    if not has_webgpu():
        pytest.skip("this engine brings no WebGPU accelerator")
    if not SWIFTSHADER.is_file() or not (has_vulkan() or (SWIFTSHADER.parent / webgpu.VULKAN).is_file()):
        pytest.skip("SwiftShader or libvulkan is not there (Debian: chromium-common, libvulkan1)")
    driver = tmp_path / "swiftshader.json"
    icd = {"library_path": str(SWIFTSHADER), "api_version": "1.1.0"}
    driver.write_text(json.dumps({"file_format_version": "1.0.0", "ICD": icd}))
    monkeypatch.setenv("VK_ICD_FILENAMES", str(driver))
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{SWIFTSHADER.parent}:{os.environ.get('LD_LIBRARY_PATH', '')}")


def on_gpu(model: Path) -> IsolatedBackend:
    return IsolatedBackend(Order(model, "gpu"), deadline=Deadline(60))


@pytest.mark.usefixtures("software_gpu")
@pytest.mark.parametrize("name", ["shapes.float16.tflite", "shapes.int8.tflite"])
def test_models_run_on_it_and_give_what_the_cpu_gives(name: str) -> None:
    """The whole of both models, through Vulkan."""
    opened, reference = on_gpu(MODELS / name).open(), open_cpu(MODELS / name)
    try:
        info = opened.describe()
        assert info.delegate is not None
        assert info.delegate.startswith("WebGPU (SwiftShader")
        assert info.delegated_nodes == info.nodes == reference.describe().nodes
        [spec] = opened.inputs
        noise = np.random.default_rng(3).integers(0, 255, spec.shape)
        tensor = (noise - 128 if spec.dtype == np.int8 else noise / 255).astype(spec.dtype)
        for one, other in zip(opened.invoke([tensor]), reference.invoke([tensor]), strict=True):
            apart = np.abs(one.astype(np.float64) - other)
            assert apart.max() <= (6 if one.dtype == np.int8 else 0.01)  # steps, where each layer rounds by itself
    finally:
        opened.close()


@pytest.mark.usefixtures("software_gpu")
def test_a_model_that_it_computes_wrongly_is_refused() -> None:
    """Its shader for a 16-bit operator does not compile: the engine goes on all the same, with rubbish."""
    with pytest.raises(BackendError, match=r"shapes\.int16x8\.tflite comes out wrong on WebGPU .* differs by up to"):
        on_gpu(MODELS / "shapes.int16x8.tflite").open()


@pytest.mark.usefixtures("software_gpu")
def test_a_driver_that_is_not_there_is_no_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VK_ICD_FILENAMES", str(tmp_path / "absent.json"))
    with pytest.raises(BackendMissingError, match=r"Vulkan finds no GPU .*vulkaninfo --summary; or use --backend cpu"):
        on_gpu(MODELS / "shapes.int8.tflite").open()


@pytest.mark.usefixtures("software_gpu")
def test_a_model_that_makes_the_accelerator_abort_costs_a_child(shared: Path) -> None:
    """A real one: it has states among its inputs."""
    with pytest.raises(BackendError, match=r"opening traffic_model\.tflite crashes \(SIGABRT\)"):
        on_gpu(shared / "models/traffic_model.tflite").open()
