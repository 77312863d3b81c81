"""ONNX Runtime as a backend; its GPU builds are played by a stand-in for the package, as no GPU is here."""

from __future__ import annotations

import gc
import json
import sys
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from edge_runtime.detector import Detector
from edge_runtime.errors import BackendMissingError, ConfigError, InvokeError, ModelError
from edge_runtime.inference import Quantization
from edge_runtime.inference.select import open_backend
from tests.golden.test_expected_detections import SCORE_TOLERANCE, is_among, picture

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; it is in the extra [onnx]")
pytest.importorskip("onnx", reason="the package onnx is not installed; it is in the extra [onnx]")
import onnxruntime

from edge_runtime.inference.onnx import CPU, CUDA, TENSORRT, OnnxBackend, open_onnx, parse_device
from tests.factory.onnx import write_onnx, write_relu_after_custom

LAYOUTS = {"NHWC": (1, 4, 6, 3), "NCHW": (1, 3, 4, 6)}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "m.onnx"


def zeros(backend: Any) -> list[np.ndarray]:
    return [np.zeros(spec.shape, spec.dtype) for spec in backend.inputs]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "float32"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_type_and_layout_goes_in_and_comes_out_bit_for_bit(model: Path, dtype: str, layout: str) -> None:
    """Each of these exists among the models people have; none may be cast on the way."""
    shape = LAYOUTS[layout]
    write_onnx(model, {"out": np.arange(6, dtype=np.float32)}, shape=shape, dtype=dtype)
    echo = write_onnx(model.with_name("echo.onnx"), shape=shape, dtype=dtype) if "float" in dtype else model
    backend = open_onnx(echo)
    assert [(one.name, one.shape, one.dtype) for one in backend.inputs] == [("images", shape, np.dtype(dtype))]
    sent = np.random.default_rng(0).uniform(0, 255, shape).astype(dtype)
    (received,) = backend.invoke([sent])
    assert_array_equal(received, sent if "float" in dtype else np.arange(6))


def test_an_integer_output_has_the_scale_of_the_file(model: Path) -> None:
    """The session tells of types and shapes only; decoders would take what is stored for what is meant."""
    write_onnx(model, {"scores": np.array([[0.0, 0.5, 1.0]], np.float32)}, scales={"scores": (0.25, 7)})
    backend = open_onnx(model)
    assert backend.outputs[0].quantization == Quantization(0.25, 7)
    assert_array_equal(backend.invoke(zeros(backend))[0], [[7, 9, 11]])


def test_an_integer_output_without_a_scale_is_refused(model: Path) -> None:
    write_onnx(model, {"scores": np.zeros((1, 3), np.uint8)})
    with pytest.raises(ModelError, match=r"output 'scores' is uint8, and nothing in the file says what"):
        open_onnx(model)


def test_an_open_batch_becomes_one(model: Path) -> None:
    write_onnx(
        model, {"boxes": np.zeros((1, 5, 4), np.float32)}, shape=("N", 3, 8, 8), output_shapes={"boxes": ("N", 5, 4)}
    )
    backend = open_onnx(model)
    assert (backend.inputs[0].shape, backend.outputs[0].shape) == ((1, 3, 8, 8), (1, 5, 4))


def test_sides_that_the_file_leaves_open_are_found_by_an_invoke(model: Path) -> None:
    """Exporters that trace leave the number of rows open although the input fixes it."""
    write_onnx(model, {"boxes": np.zeros((1, 21, 4), np.float32)}, output_shapes={"boxes": (1, "rows", None)})
    assert open_onnx(model).outputs[0].shape == (1, 21, 4)


def test_as_many_rows_as_are_found_is_refused(model: Path) -> None:
    write_onnx(model, {"boxes": np.zeros((0, 6), np.float32)}, output_shapes={"boxes": ("found", 6)})
    with pytest.raises(
        ModelError, match="output 'boxes' has as many rows as it finds; export the model without its own"
    ):
        open_onnx(model)


def test_an_open_size_is_one_line_with_the_command_that_closes_it(model: Path) -> None:
    write_onnx(model, shape=("N", 3, "height", None))
    with pytest.raises(ModelError) as caught:
        open_onnx(model)
    said = str(caught.value)
    assert "input 'images' has shape [N,3,height,?], which leaves its size open" in said
    assert "python -m onnxruntime.tools.make_dynamic_shape_fixed --input_name images" in said
    assert "\n" not in said


def test_the_command_that_closes_an_open_size_is_right(model: Path) -> None:
    """It is told to somebody who has never heard of it, so it has to work as it is written."""
    import subprocess

    write_onnx(model, shape=("N", 3, "height", None))
    with pytest.raises(ModelError) as caught:
        open_onnx(model)
    command = str(caught.value).split("or run: python ")[1].replace("HEIGHT,WIDTH", "64,96").split()
    subprocess.run([sys.executable, *command], cwd=model.parent, check=True, capture_output=True)
    assert open_onnx(model.parent / "fixed.onnx").inputs[0].shape == (1, 3, 64, 96)


@pytest.mark.parametrize("threads", [1, 2])
def test_what_runs_is_described_as_it_was_counted(model: Path, threads: int) -> None:
    write_onnx(model, {"a": np.zeros(3, np.float32), "b": np.zeros(3, np.float32)})
    backend = open_onnx(model, num_threads=threads)
    info = backend.describe()
    version = onnxruntime.__version__
    assert (info.backend, info.engine, info.engine_version, info.threads) == ("onnx", "onnxruntime", version, threads)
    assert (info.delegate, info.delegated_nodes) == (None, 0)
    assert str(info) == f"onnx on onnxruntime {version}, {threads} thread{'s' * (threads > 1)}, no delegate"


@pytest.mark.parametrize("broken", ["text", "empty", "cut"])
def test_a_file_that_is_no_whole_model_is_one_line(model: Path, broken: str) -> None:
    whole = write_onnx(model, {"a": np.zeros(300, np.float32)}).read_bytes()
    model.write_bytes({"text": b"hello\n", "empty": b"", "cut": whole[:-40]}[broken])
    with pytest.raises(ModelError, match=r"m\.onnx: onnxruntime .* refuses this file, it may be damaged") as caught:
        open_onnx(model)
    assert "\n" not in str(caught.value)
    assert "ONNXRuntimeError" not in str(caught.value)


def test_an_operator_of_somebodys_own_is_named(model: Path) -> None:
    with pytest.raises(ModelError, match=r"refuses this file.*maker\.of\.chips"):
        open_onnx(write_relu_after_custom(model))


def test_a_refused_file_says_nothing_beside_our_line(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model.write_bytes(b"hello\n")
    with pytest.raises(ModelError):
        open_onnx(model)
    assert capfd.readouterr() == ("", "")


def test_a_wrong_tensor_is_an_error_of_the_invoke(model: Path) -> None:
    backend = open_onnx(write_onnx(model))
    with pytest.raises(InvokeError, match=r"m\.onnx: invoke failed on onnxruntime: ") as caught:
        backend.invoke([np.zeros((1, 3, 5, 5), np.float32)])
    assert "\n" not in str(caught.value)
    with pytest.raises(InvokeError, match="got 2 inputs, allowed is 1"):
        backend.invoke([np.zeros((1, 3, 32, 32), np.float32)] * 2)
    backend.invoke(zeros(backend))  # and the next frame is served


def test_closing_frees_the_session(model: Path) -> None:
    """A GPU would stay taken while anything still holds it."""
    backend = open_onnx(write_onnx(model))
    session = weakref.ref(backend._session)
    backend.close()
    gc.collect()
    assert session() is None
    with pytest.raises(InvokeError, match="invoke after close"):
        backend.invoke(zeros(backend))


@pytest.mark.parametrize(
    ("device", "parsed"),
    [
        ("", ("cpu", 0)),
        ("cpu", ("cpu", 0)),
        ("cuda", ("cuda", 0)),
        ("cuda:1", ("cuda", 1)),
        ("tensorrt:0", ("tensorrt", 0)),
    ],
)
def test_a_device_is_a_kind_and_perhaps_a_number(device: str, parsed: tuple[str, int]) -> None:
    assert parse_device(device) == parsed


@pytest.mark.parametrize("device", ["gpu", "cpu:0", "cuda:", "cuda:x", "CUDA", "usb:0"])
def test_an_unknown_device_lists_the_known_ones(model: Path, device: str) -> None:
    with pytest.raises(ConfigError, match="use cpu, cuda, cuda:N, tensorrt or tensorrt:N"):
        open_onnx(write_onnx(model), device=device)


@pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="this onnxruntime is built with CUDA")
@pytest.mark.parametrize(("device", "provider"), [("cuda", CUDA), ("tensorrt:0", TENSORRT)])
def test_a_gpu_that_the_build_does_not_have_is_refused_with_the_wheel_that_has_it(
    model: Path, device: str, provider: str
) -> None:
    """Asked alone, ONNX Runtime warns and runs on the CPU, ten times slower."""
    with pytest.raises(BackendMissingError) as caught:
        open_onnx(write_onnx(model), device=device)
    said = str(caught.value)
    assert f"is built without {provider}" in said
    assert "pip uninstall -y onnxruntime, then python -m pip install onnxruntime-gpu" in said
    assert "NVIDIA" in said
    assert "\n" not in said


class Session:
    """What a GPU build makes: the real session on the CPU, that says of itself what a GPU's would."""

    def __init__(self, started: Sequence[str], log: list[Any], *args: Any, providers: Any, **options: Any) -> None:
        self._real = onnxruntime.InferenceSession(*args, providers=[CPU])
        self._started = started
        log.append((providers, options))

    def get_providers(self) -> Sequence[str]:
        return self._started

    def get_provider_graph_assignment_info(self) -> list[Any]:
        nodes = {self._started[0]: 7, CPU: 2}
        return [SimpleNamespace(ep_name=name, get_nodes=lambda n=count: [None] * n) for name, count in nodes.items()]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.fixture
def gpu_build() -> Callable[..., tuple[Any, list[Any]]]:
    """Return a function that makes a stand-in for onnxruntime-gpu, and the list of what its sessions were asked for."""

    def make(started: Sequence[str]) -> tuple[Any, list[Any]]:
        log: list[Any] = []
        return SimpleNamespace(
            __version__="1.23.0",
            get_available_providers=lambda: [TENSORRT, CUDA, CPU],
            SessionOptions=onnxruntime.SessionOptions,
            InferenceSession=lambda *args, **options: Session(started, log, *args, **options),
        ), log

    return make


@pytest.mark.parametrize(
    ("device", "started"), [("cuda", [CPU]), ("tensorrt", [CPU]), ("tensorrt", [CUDA, CPU])], ids=str
)
def test_a_gpu_that_does_not_start_is_refused_and_not_replaced(
    model: Path, gpu_build: Any, device: str, started: list[str]
) -> None:
    """The build has it and the board has not: ONNX Runtime goes on with what is left, without a word."""
    runtime, _ = gpu_build(started)
    with pytest.raises(BackendMissingError) as caught:
        OnnxBackend(write_onnx(model), runtime, device, 0, 1)
    said = str(caught.value)
    assert f"of onnxruntime 1.23.0 did not start, left are {', '.join(started)}" in said
    assert said.endswith("or use --backend onnx:cpu")


def test_tensorrt_asks_for_cuda_behind_it_and_keeps_its_engines(
    model: Path, gpu_build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What TensorRT leaves would else go to the CPU; and an engine takes it minutes to build, at each start."""
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "kept"))
    runtime, log = gpu_build([TENSORRT, CUDA, CPU])
    OnnxBackend(write_onnx(model), runtime, "tensorrt", 1, 1)
    ((providers, options),) = log
    assert [name for name, _ in providers] == [TENSORRT, CUDA, CPU]
    assert [settings.get("device_id") for _, settings in providers] == ["1", "1", None]
    assert providers[0][1]["trt_engine_cache_path"] == str(tmp_path / "kept" / "tensorrt")
    assert options == {"enable_fallback": 0}


def test_the_share_of_a_gpu_is_told_as_it_was_given_out(model: Path, gpu_build: Any) -> None:
    runtime, _ = gpu_build([CUDA, CPU])
    info = OnnxBackend(write_onnx(model), runtime, "cuda", 0, 1).describe()
    assert (info.delegate, info.nodes, info.delegated_nodes) == ("CUDA cuda:0", 9, 7)


def test_where_a_release_does_not_tell_the_share_none_is_made_up(
    model: Path, gpu_build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "0 of 0 nodes" would read as if the GPU did nothing."""

    def refuse(self: Session) -> Any:
        raise AttributeError("get_provider_graph_assignment_info")

    monkeypatch.setattr(Session, "get_provider_graph_assignment_info", refuse)
    runtime, _ = gpu_build([CUDA, CPU])
    info = OnnxBackend(write_onnx(model), runtime, "cuda", 0, 1).describe()
    assert (info.nodes, info.delegated_nodes) == (0, 0)
    assert str(info).endswith("1 thread, CUDA cuda:0")


def test_threads_do_not_wait_by_spinning(model: Path, gpu_build: Any) -> None:
    """Waiting threads that spin take the cores from the camera and the decoder."""
    runtime, _ = gpu_build([CPU])
    made: list[Any] = []

    def options() -> Any:
        made.append(onnxruntime.SessionOptions())
        return made[-1]

    runtime.SessionOptions = options
    OnnxBackend(write_onnx(model), runtime, "cpu", 0, 3)
    assert made[0].get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert made[0].intra_op_num_threads == 3


def test_a_missing_package_is_one_line_with_what_to_install(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_onnx(model)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendMissingError, match=r"pip install 'edge-runtime\[onnx\]'$") as caught:
        open_onnx(model)
    assert "\n" not in str(caught.value)


def test_auto_takes_it_for_an_onnx_file(model: Path, tmp_path: Path) -> None:
    write_onnx(model)
    backend = open_backend(model, num_threads=1, cache=tmp_path / "cache")
    assert backend.describe().backend == "onnx"


@pytest.mark.parametrize(("name", "backend"), [("m.onnx", "cpu"), ("m.onnx", "gpu"), ("m.tflite", "onnx")])
def test_a_file_of_the_other_format_is_told_from_a_damaged_one(tmp_path: Path, name: str, backend: str) -> None:
    path = write_onnx(tmp_path / "made.onnx").rename(tmp_path / name)
    with pytest.raises(ConfigError, match=f"backend {backend}: {name} is (an ONNX file|no .onnx file).*use --backend"):
        open_backend(path, backend, num_threads=1, cache=tmp_path / "cache")


def test_the_threads_are_measured_where_none_are_given(model: Path, tmp_path: Path) -> None:
    write_onnx(model)
    cache = tmp_path / "cache"
    first, second = (open_backend(model, "onnx", cache=cache).describe().threads for _ in range(2))
    assert first == second >= 1


def nanodet(path: Path) -> Path:
    """Write a NanoDet head of two classes on 320x320 that sees one thing of class 1, 64 pixels wide, around (160, 160).

    Source of the layout: RangiLyu/nanodet, nanodet_plus_head.py: scores, then 8 weights for each side's distance.
    """
    rows = np.full((1, 40 * 40 + 20 * 20 + 10 * 10 + 5 * 5, 2 + 32), -20, np.float32)
    rows[..., :2] = 0
    row = 10 * 20 + 10 + 40 * 40  # the cell of stride 16 at (160, 160)
    rows[0, row, 1] = 0.9
    for side in range(4):
        rows[0, row, 2 + 8 * side + 2] = 20  # two cells of 16 pixels to each side
    return write_onnx(path, {"output": rows}, shape=(1, 3, 320, 320))


def test_a_nanodet_file_runs_from_a_picture_to_a_name(model: Path) -> None:
    labels = model.with_name("labels.txt")
    labels.write_text("cat\ndog\n")
    with Detector(nanodet(model), labels=labels, num_threads=1) as detector:
        found = detector.detect(np.zeros((320, 320, 3), np.uint8))
        assert (detector.spec.decoder, detector.spec.is_nchw, detector.spec.color) == ("nanodet", True, "bgr")
        assert detector.names_of(found) == ("dog",)
    assert_allclose(found.boxes, [[128, 128, 192, 192]], atol=9)  # some exports count from the centre of a cell


@pytest.mark.parametrize(("model", "labels"), [("yolox_nano_416.onnx", "coco_80.txt"), ("yunet_n_320_320.onnx", None)])
def test_each_expected_detection_of_the_real_files_is_found(shared: Path, model: str, labels: str | None) -> None:
    """Label, score and box, against an independent decoder."""
    expected = json.loads((shared / "models" / "expected_detections.json").read_text())[model]
    label_file = shared / "models" / "labels" / labels if labels else None
    floor = expected["threshold"] - SCORE_TOLERANCE
    total = 0
    with Detector(shared / "models" / model, labels=label_file, num_threads=1, score_threshold=floor) as detector:
        for name, rows in expected["results"].items():
            image = picture(shared, name)
            found = detector.detect(image)
            names = detector.names_of(found)
            assert [row for row in rows if not is_among(row, image, found, names, SCORE_TOLERANCE)] == [], name
            total += len(rows)
        if hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info"):  # not in older releases
            assert detector.describe().nodes > 100
    assert total > 2
