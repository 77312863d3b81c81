"""A server in reach as a backend: against a stand-in that fails in every way, and against NVIDIA Triton itself."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from edge_runtime.detector import Detector
from edge_runtime.errors import BackendError, BackendMissingError, ConfigError, InvokeError, ModelError
from edge_runtime.inference import Quantization, TensorSpec
from edge_runtime.inference.remote_address import parse_address
from edge_runtime.inference.remote_tensors import DATATYPES, Wire, match_tensors
from edge_runtime.inference.tflite import open_cpu
from tests.conftest import SHARED
from tests.factory.models import Scripted, write_echo, write_model, write_ssd
from tests.golden.test_expected_detections import SCORE_TOLERANCE, is_among, picture

pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed; it is in the extra [remote]")
import tritonclient.grpc

from edge_runtime.inference.remote import RemoteBackend, open_remote
from tests.factory.kserve import KserveServer, Served
from tests.factory.triton import Triton, free_port, write_constants, write_session

ECHO = Served([("image", "UINT8", (-1, 4, 6, 3))], [("image", "UINT8", (-1, 4, 6, 3))], lambda sent: sent)
SHAPE = (1, 4, 6, 3)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_echo(tmp_path / "m.tflite", SHAPE)


@pytest.fixture
def server() -> Iterator[KserveServer]:
    with KserveServer({"echo": ECHO}) as running:
        yield running


def pixels(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape, np.uint8)


def open_quickly(model: Path, server: KserveServer, invoke_s: float) -> RemoteBackend:
    """Return the echo with a limit that a test can wait for."""
    local = open_cpu(model)
    address = parse_address(server.address("echo"))
    return RemoteBackend(model, address, local.inputs, local.outputs, tritonclient.grpc, invoke_s=invoke_s)


# The address


@pytest.mark.parametrize(
    ("text", "shown", "parts"),
    [
        ("grpc://box:8001/yolox", "grpc://box:8001/yolox", ("box:8001", "yolox", "", False)),
        ("grpc://box/yolox", "grpc://box:8001/yolox", ("box:8001", "yolox", "", False)),
        ("grpcs://box.lan:443/a%20b/2", "grpcs://box.lan:443/a b/2", ("box.lan:443", "a b", "2", True)),
        ("grpc://[::1]:9/m/", "grpc://[::1]:9/m", ("[::1]:9", "m", "", False)),
        ("grpc://me:geheim@box/m", "grpc://box:8001/m", ("box:8001", "m", "", False)),
    ],
)
def test_an_address_is_host_port_model_and_perhaps_a_version(text: str, shown: str, parts: tuple[object, ...]) -> None:
    address = parse_address(text)
    assert (address.host_and_port, address.model, address.version, address.is_secure) == parts
    assert str(address) == shown


@pytest.mark.parametrize(
    "text",
    ["", "box:8001/m", "grpc://", "grpc://box", "grpc://box/a/b/c", "grpc://box:x/m", "grpc://u:geheim@box:x/m",
     "grpc://u:geheim@/m", "http://u:geheim@box:8000/m", "grpc://box/m?token=geheim", "tcp://box/m"],
)  # fmt: skip
def test_a_wrong_address_says_the_form_and_repeats_no_password(text: str) -> None:
    with pytest.raises(ConfigError, match=r"of the form grpc://HOST:PORT/MODEL") as caught:
        parse_address(text)
    assert "geheim" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rest_is_told_apart_from_nonsense() -> None:
    """The port for it is the one in most tutorials."""
    with pytest.raises(ConfigError, match="REST is not spoken here, give the gRPC port"):
        parse_address("http://box:8000/m")


# Which tensor of the server is which of the file


def spec(name: str, shape: tuple[int, ...], dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name, shape, np.dtype(dtype))


def told(name: str, shape: tuple[int, ...], datatype: str = "FP32") -> SimpleNamespace:
    return SimpleNamespace(name=name, shape=shape, datatype=datatype)


TWO = [spec("boxes", (1, 9, 4)), spec("scores", (1, 9, 80))]


@pytest.mark.parametrize(
    "names",
    [("scores", "boxes"), ("out_1", "out_0"), ("boxes", "x")],
    ids=["the same names", "other names", "a name that misleads"],
)
def test_tensors_come_in_the_order_of_the_file_whatever_the_server_calls_them(names: tuple[str, str]) -> None:
    remote = [told(names[0], (1, 9, 80)), told(names[1], (-1, 9, 4))]
    wires = match_tensors("output", remote, TWO, "grpc://box/m", Path("m.onnx"))
    assert [(wire.name, wire.shape) for wire in wires] == [(names[1], (1, 9, 4)), (names[0], (1, 9, 80))]


def test_tensors_of_one_shape_are_told_apart_by_name_alone() -> None:
    """Guessed, classes would be taken for scores."""
    local = [spec("scores", (1, 9)), spec("classes", (1, 9))]
    remote = [told("classes", (1, 9)), told("scores", (1, 9))]
    wires = match_tensors("output", remote, local, "grpc://box/m", Path("m.onnx"))
    assert [wire.name for wire in wires] == ["scores", "classes"]
    renamed = [told("a", (1, 9)), told("b", (1, 9))]
    with pytest.raises(BackendError, match="is not the model"):
        match_tensors("output", renamed, local, "grpc://box/m", Path("m.onnx"))


@pytest.mark.parametrize(
    "remote",
    [
        [told("boxes", (1, 9, 4))],
        [told("boxes", (1, 9, 4)), told("scores", (1, 9, 81))],
        [told("boxes", (1, 9, 4)), told("scores", (1, 9, 80), "FP16")],
        [told("boxes", (1, 9, 4)), told("scores", (9, 80))],
    ],
    ids=["one is missing", "another shape", "another type", "another rank"],
)
def test_another_model_is_refused_with_both_sides_shown(remote: list[Any]) -> None:
    """The boxes of another model would be drawn, and look nearly right."""
    with pytest.raises(BackendError) as caught:
        match_tensors("output", remote, TWO, "grpc://box/m", Path("m.onnx"))
    said = str(caught.value)
    assert said.startswith(
        "backend remote: grpc://box/m is not the model m.onnx: its outputs are boxes float32 [1,9,4]"
    )
    assert "those of the file boxes float32 [1,9,4], scores float32 [1,9,80]" in said


def test_outputs_beyond_those_of_the_file_are_left_alone_and_inputs_are_not() -> None:
    remote = [told("boxes", (1, 9, 4)), told("scores", (1, 9, 80)), told("more", (1,))]
    assert len(match_tensors("output", remote, TWO, "grpc://box/m", Path("m.onnx"))) == 2
    with pytest.raises(BackendError, match="its inputs are"):
        match_tensors("input", remote, TWO, "grpc://box/m", Path("m.onnx"))


def test_a_server_that_does_not_say_is_taken_to_have_what_the_file_has() -> None:
    """Some servers let who deploys a model leave this out; the first invoke tells."""
    assert match_tensors("output", [], TWO[:1], "grpc://box/m", Path("m.onnx")) == [
        Wire("boxes", "FP32", (1, 9, 4), np.dtype("float32"))
    ]


# The stand-in


@pytest.mark.parametrize(
    "datatype", [name for name, dtype in DATATYPES.items() if dtype in ("uint8", "int8", "float32")]
)
def test_tensors_go_there_and_come_back_bit_for_bit(tmp_path: Path, server: KserveServer, datatype: str) -> None:
    model = write_echo(tmp_path / "e.tflite", SHAPE, DATATYPES[datatype])
    server.models["echo"] = Served([("image", datatype, SHAPE)], [("image", datatype, SHAPE)], lambda sent: sent)
    backend = open_remote(model, device=server.address("echo"))
    for seed in range(2):
        sent = pixels(seed).view(DATATYPES[datatype]) if datatype != "FP32" else pixels(seed).astype(np.float32)
        (received,) = backend.invoke([sent])
        assert received.dtype == sent.dtype
        assert_array_equal(received, sent)
        received[:] = 0  # it is ours
    backend.close()


def test_scales_and_order_are_those_of_the_file(tmp_path: Path, server: KserveServer) -> None:
    """The protocol tells of no scales, and a server may have its outputs in another order."""
    scores, boxes = np.arange(5, dtype=np.uint8)[None], np.ones((1, 5, 4), np.float32)
    outputs = [Scripted("scores", scores, (0.25, 7)), Scripted("boxes", boxes)]
    model = write_model(tmp_path / "m.tflite", input_shape=SHAPE, outputs=outputs)
    ends = [("boxes", "FP32", (1, 5, 4)), ("scores", "UINT8", (1, 5))]
    server.models["m"] = Served([("image", "UINT8", SHAPE)], ends, lambda _: {"boxes": boxes, "scores": scores})
    backend = open_remote(model, device=server.address("m"))
    assert [one.name for one in backend.outputs] == ["scores", "boxes"]
    assert backend.outputs[0].quantization == Quantization(0.25, 7)
    found = backend.invoke([pixels()])
    assert_array_equal(found[0], scores)
    assert_array_equal(found[1], boxes)


def test_the_server_is_described_by_its_own_name_and_version(model: Path, server: KserveServer) -> None:
    backend = open_remote(model, device=server.address("echo"))
    assert str(backend.describe()) == f"remote on standin 1.5, {server.address('echo')}"
    server.name = ""
    nameless = open_remote(model, device=server.address("echo")).describe()
    assert str(nameless).startswith("remote on an unnamed server of unknown version, grpc://")


def test_a_server_that_is_not_ready_is_named_so(model: Path, server: KserveServer) -> None:
    server.is_ready = False
    with pytest.raises(BackendError, match=r"grpc://127\.0\.0\.1:\d+ is there but not ready; try again"):
        open_remote(model, device=server.address("echo"))


@pytest.mark.parametrize("is_an_error", [False, True])
def test_a_model_that_is_not_there_is_named_so(model: Path, server: KserveServer, is_an_error: bool) -> None:
    """Servers differ in how they say it."""
    server.absent_is_an_error = is_an_error
    with pytest.raises(BackendError, match=r"has no model 'other', or has not loaded it \(.*\); name one that"):
        open_remote(model, device=server.address("other"))


def test_nobody_there_is_one_line_at_once(model: Path) -> None:
    with pytest.raises(BackendError, match=r"does not answer \(UNAVAILABLE: .*; check host and gRPC port") as caught:
        open_remote(model, device=f"grpc://127.0.0.1:{free_port()}/echo")
    assert "\n" not in str(caught.value)


def test_somebody_else_there_is_one_line(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Often that is the REST port of the same server."""
    monkeypatch.setattr("edge_runtime.inference.remote.ASK_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"grpc://127.0.0.1:{listening.getsockname()[1]}/echo"
        with pytest.raises(BackendError, match=r"does not answer \((DEADLINE_EXCEEDED|UNAVAILABLE)"):
            open_remote(model, device=address)


def test_another_model_under_the_name_is_refused(tmp_path: Path, server: KserveServer) -> None:
    other = write_echo(tmp_path / "other.tflite", (1, 8, 8, 3))
    with pytest.raises(BackendError, match=r"is not the model other\.tflite: its inputs are image uint8 \[-1,4,6,3\]"):
        open_remote(other, device=server.address("echo"))


def test_a_damaged_file_is_not_the_servers_fault(tmp_path: Path, server: KserveServer) -> None:
    (tmp_path / "m.tflite").write_bytes(b"no model")
    with pytest.raises(ModelError, match="the engine refuses this file"):
        open_remote(tmp_path / "m.tflite", device=server.address("echo"))


def test_a_lost_server_costs_an_invoke_and_the_next_one_connects_anew(model: Path, server: KserveServer) -> None:
    """gRPC itself would wait longer after each failure, up to two minutes."""
    backend = open_remote(model, device=server.address("echo"))
    server.stop()
    for _ in range(5):
        with pytest.raises(InvokeError, match=r"the invoke failed \(UNAVAILABLE"):
            backend.invoke([pixels()])
    server.start()
    assert_array_equal(backend.invoke([pixels(3)])[0], pixels(3))


def test_a_server_that_hangs_is_waited_for_no_longer_than_the_limit(model: Path, server: KserveServer) -> None:
    backend = open_quickly(model, server, invoke_s=0.2)
    server.is_held = True
    with pytest.raises(InvokeError, match=r"the invoke failed \(DEADLINE_EXCEEDED.*\) within 0\.2 s"):
        backend.invoke([pixels()])
    server.is_held = False
    server.hold.set()
    assert_array_equal(backend.invoke([pixels(3)])[0], pixels(3))


def test_the_limit_is_learned_from_the_first_invoke(
    model: Path, server: KserveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow server must not count as lost at each frame, nor a dead one hold a frame for a minute."""
    for first_s, limit_s in ((0.1, 2.0), (1.0, 4.0), (30.0, 10.0)):
        times = iter([100.0, 100.0 + first_s])
        monkeypatch.setattr("edge_runtime.inference.remote.time", SimpleNamespace(monotonic=lambda at=times: next(at)))
        backend = open_remote(model, device=server.address("echo"))
        server.models.clear()
        with pytest.raises(InvokeError, match=f"within {limit_s:g} s"):
            backend.invoke([pixels()])
        server.models["echo"] = ECHO


def test_what_the_server_says_of_a_failure_is_passed_on_in_one_line(model: Path, server: KserveServer) -> None:
    backend = open_remote(model, device=server.address("echo"))

    def fail(sent: Any) -> Any:
        raise ValueError("out of memory\nat line 3")

    server.models["echo"] = Served(ECHO.inputs, ECHO.outputs, fail)
    with pytest.raises(InvokeError, match=r"the invoke failed \(INTERNAL: out of memory\) within") as caught:
        backend.invoke([pixels()])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "said"),
    [({"image": pixels(shape=(1, 4, 6, 4))}, r"uint8 \[1, 4, 6, 4\]"), ({}, "nothing")],
    ids=["another shape", "no such output"],
)
def test_an_answer_that_is_not_the_models_is_refused(
    model: Path, server: KserveServer, answer: dict[str, np.ndarray], said: str
) -> None:
    """Somebody has loaded another model under the name while we ran."""
    backend = open_remote(model, device=server.address("echo"))
    server.models["echo"] = Served(ECHO.inputs, ECHO.outputs, lambda _: answer)
    with pytest.raises(InvokeError, match=f"output 'image' is {said}, the model has uint8 .*loaded another model"):
        backend.invoke([pixels()])


def test_the_wrong_number_of_inputs_and_an_invoke_after_close_are_errors(model: Path, server: KserveServer) -> None:
    backend = open_remote(model, device=server.address("echo"))
    with pytest.raises(InvokeError, match="got 2 inputs, allowed is 1"):
        backend.invoke([pixels(), pixels()])
    backend.close()
    with pytest.raises(InvokeError, match="invoke after close"):
        backend.invoke([pixels()])


def test_a_password_reaches_the_server_and_no_log(
    model: Path, server: KserveServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Logs are sent to strangers who are to help."""
    with caplog.at_level(logging.DEBUG):
        backend = open_remote(model, device=server.address("echo", "me:geheim@"))
        backend.invoke([pixels()])
        server.stop()
        with pytest.raises(InvokeError) as caught:
            backend.invoke([pixels()])
    assert {one.get("authorization") for one in server.headers} == {"Basic bWU6Z2VoZWlt"}
    assert f"user and password are sent in the clear server=grpc://127.0.0.1:{server.port}" in caplog.text
    for text in (caplog.text, str(caught.value), str(backend.describe()), repr(backend.describe())):
        assert "geheim" not in text
        assert "bWU6" not in text


def test_a_missing_package_is_one_line_with_what_to_install(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tritonclient.grpc", None)
    with pytest.raises(BackendMissingError, match=r"pip install 'edge-runtime\[remote\]'$") as caught:
        open_remote(model, device="grpc://box/m")
    assert "\n" not in str(caught.value)


# Triton itself

BOXES, CLASSES, SCORES = [[0.25, 0.25, 0.75, 0.5]], [16], [0.875]


@pytest.fixture(scope="module")
def ssd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ssd(tmp_path_factory.mktemp("ssd") / "ssd.tflite", boxes=BOXES, classes=CLASSES, scores=SCORES)


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory, ssd: Path) -> Iterator[Triton]:
    """Run Triton with the SSD and, where it is at hand, with the shared YOLOX on ONNX Runtime."""
    work = tmp_path_factory.mktemp("triton")
    repository = work / "models"
    running = Triton(repository, work)
    local = open_cpu(ssd)
    answers = local.invoke([np.zeros(one.shape, one.dtype) for one in local.inputs])
    found = {one.name: values for one, values in zip(local.outputs, answers, strict=True)}
    write_constants(repository, "ssd", local.inputs, local.outputs, found)
    yolox = SHARED / "models" / "yolox_nano_416.onnx"
    if yolox.is_file() and _has_onnxruntime():
        from edge_runtime.inference.onnx import open_onnx

        session = open_onnx(yolox)
        write_session(repository, "yolox", session.inputs, session.outputs, yolox)
    running.start()
    yield running
    running.stop()


def _has_onnxruntime() -> bool:
    try:
        import onnx
        import onnxruntime
    except ImportError:
        return False
    return bool(onnx and onnxruntime)


def test_triton_finds_what_the_engine_here_finds(triton: Triton, ssd: Path) -> None:
    """From a picture to detections, through the child process that serves remote backends as they are set up."""
    image = np.zeros((40, 80, 3), np.uint8)
    with Detector(ssd, backend=f"remote:{triton.address('ssd')}", num_threads=1) as remote:
        assert remote.describe().engine == "triton"
        found = remote.detect(image)
    with Detector(ssd, backend="cpu", num_threads=1) as local:
        expected = local.detect(image)
    assert len(expected) == 1
    assert_array_equal(found.boxes, expected.boxes)
    assert_array_equal(found.scores, expected.scores)
    assert_array_equal(found.class_ids, expected.class_ids)


def test_triton_is_described_and_asked_what_it_does_not_have(triton: Triton, ssd: Path) -> None:
    info = open_remote(ssd, device=triton.address("ssd")).describe()
    assert (info.backend, info.engine, info.delegate) == ("remote", "triton", triton.address("ssd"))
    assert info.engine_version.startswith("2.")
    for name in ("other", "ssd/7"):
        with pytest.raises(BackendError, match=f"has no model '{name}', or has not loaded it"):
            open_remote(ssd, device=triton.address(name))


def test_triton_that_dies_costs_invokes_until_it_is_back(triton: Triton, ssd: Path) -> None:
    backend = open_remote(ssd, device=triton.address("ssd"))
    tensor = [np.zeros(one.shape, one.dtype) for one in backend.inputs]
    before = backend.invoke(tensor)
    triton.kill()
    with pytest.raises(InvokeError, match="the invoke failed"):
        backend.invoke(tensor)
    triton.start()
    for one, other in zip(backend.invoke(tensor), before, strict=True):
        assert_array_equal(one, other)


def test_triton_runs_a_real_model_as_onnx_runtime_does_here(triton: Triton, shared: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; it is in the extra [onnx]")
    import json

    models = shared / "models"
    expected = json.loads((models / "expected_detections.json").read_text())["yolox_nano_416.onnx"]
    name = "images/reference/dog.jpg"
    image = picture(shared, name)
    with Detector(
        models / "yolox_nano_416.onnx",
        backend=f"remote:{triton.address('yolox')}",
        isolation="thread",
        labels=models / "labels" / "coco_80.txt",
        score_threshold=expected["threshold"] - SCORE_TOLERANCE,
    ) as detector:
        found = detector.detect(image)
        names = detector.names_of(found)
    rows = expected["results"][name]
    assert len(rows) > 2
    assert [row for row in rows if not is_among(row, image, found, names, SCORE_TOLERANCE)] == []
