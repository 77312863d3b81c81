"""The choice of a backend, on the engine that is installed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from edge_runtime.errors import BackendMissingError, ConfigError, InvokeError, ModelError
from edge_runtime.inference import BACKENDS, TensorSpec
from edge_runtime.inference.engine import ENGINES, is_installed, load_engine
from edge_runtime.inference.failover import FailoverBackend
from edge_runtime.inference.fake import FakeBackend
from edge_runtime.inference.isolated import IsolatedBackend
from edge_runtime.inference.opening import Order
from edge_runtime.inference.probe import trust
from edge_runtime.inference.select import choose, is_accelerated, open_backend, parse_request, twin_of
from edge_runtime.inference.threads import available_cores
from edge_runtime.inference.verdicts import FILE_NAME
from edge_runtime.result import StateChange
from tests.factory.broken import write_broken
from tests.factory.graph import Graph
from tests.factory.models import write_ssd
from tests.inference import misbehaving

ENGINE = load_engine()
MISSING = next((name for name in ENGINES if not is_installed(name)), None)
SEVERAL_CORES = pytest.mark.skipif(available_cores() == 1, reason="one core: there is no choice to measure")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_ssd(tmp_path / "m.tflite")


@pytest.fixture
def opening(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Callable[..., str]:
    """Return a function that opens a model and returns what was logged."""

    def open_and_read(model: Path, request: str = "auto", **options: Any) -> str:
        caplog.clear()
        with caplog.at_level(logging.INFO, "edge_runtime"):
            open_backend(model, request, cache=tmp_path / "cache", **options).close()
        return caplog.text

    return open_and_read


@pytest.mark.parametrize(
    ("request_", "parsed"),
    [
        ("auto", ("auto", "")),
        ("cpu", ("cpu", "")),
        ("edgetpu", ("edgetpu", "")),
        ("edgetpu:usb:0", ("edgetpu", "usb:0")),
        ("gpu:/opt/lib.so", ("gpu", "/opt/lib.so")),
    ],
)
def test_a_request_is_a_backend_and_perhaps_a_device(request_: str, parsed: tuple[str, str]) -> None:
    assert parse_request(request_) == parsed


@pytest.mark.parametrize("request_", ["", "tpu", "CPU", "coral:usb"])
def test_an_unknown_backend_lists_the_known_ones(model: Path, request_: str) -> None:
    with pytest.raises(ConfigError, match="choose from auto, cpu, edgetpu, gpu"):
        open_backend(model, request_)


@pytest.mark.parametrize("request_", ["cpu:0", "auto:usb"])
def test_a_device_where_there_are_none_is_not_passed_over(model: Path, request_: str) -> None:
    """Who writes auto:usb wants the stick, and must not get the CPU."""
    with pytest.raises(
        ConfigError, match=r"use (cpu|auto), or one of edgetpu:DEVICE, gpu:DEVICE, onnx:DEVICE, remote:DEVICE"
    ):
        open_backend(model, request_)


@pytest.mark.parametrize("count", [0, -1])
def test_a_thread_count_below_one_is_refused(model: Path, count: int) -> None:
    """The engine's own refusal would read as if the file were damaged."""
    with pytest.raises(ConfigError, match=f"num_threads: {count} is not allowed"):
        open_backend(model, num_threads=count)


def test_auto_takes_the_cpu_and_says_why(model: Path, opening: Callable[..., str]) -> None:
    assert "backend chosen backend=cpu reason=runs any model" in opening(model, num_threads=1)


def test_what_runs_is_logged_as_it_was_counted(model: Path, opening: Callable[..., str]) -> None:
    """This line is what people send when they ask why it is slow."""
    delegated = {"litert": 7, "tflite-runtime": 6}[ENGINE.name]
    assert (
        f"backend ready cpu on {ENGINE.name} {ENGINE.version}, 2 threads, XNNPACK runs {delegated} of 8 nodes"
        in opening(model, "cpu", num_threads=2)
    )


def test_the_edge_tpu_is_refused_for_a_model_that_would_run_beside_it(model: Path) -> None:
    """libedgetpu takes such a model without a word and leaves all of it to the CPU."""
    with pytest.raises(ConfigError, match=r"m\.tflite is not compiled for the Edge TPU.*edgetpu_compiler"):
        open_backend(model, "edgetpu")


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_a_model_for_the_edge_tpu_elsewhere_names_its_twin(tmp_path: Path, backend: str) -> None:
    compiled = write_broken("edgetpu", tmp_path / "m_edgetpu.tflite")
    with pytest.raises(ModelError, match=f"backend {backend} cannot run it; give the model from before"):
        open_backend(compiled, backend, is_edgetpu=True)
    twin = write_ssd(tmp_path / "m.tflite")
    with pytest.raises(ModelError, match=f"backend {backend} cannot run it; use --model {twin}"):
        open_backend(compiled, backend, is_edgetpu=True)


def test_a_model_for_the_edge_tpu_without_one_is_an_error_that_names_its_twin(tmp_path: Path) -> None:
    """Never a silent run on the CPU; but where the other file lies ready, the way is one flag long."""
    compiled = write_broken("edgetpu", tmp_path / "m_edgetpu.tflite")
    with pytest.raises(BackendMissingError) as caught:
        open_backend(compiled, is_edgetpu=True)
    assert "twin" not in str(caught.value)
    twin = write_ssd(tmp_path / "m.tflite")
    with pytest.raises(BackendMissingError, match=f"its CPU twin lies beside it: --model {twin}") as caught:
        open_backend(compiled, is_edgetpu=True)
    assert "\n" not in str(caught.value)


def test_the_engine_asked_for_is_the_one_that_runs(model: Path, tmp_path: Path) -> None:
    backend = open_backend(model, engine=ENGINE.name, num_threads=1, cache=tmp_path)
    assert backend.describe().engine == ENGINE.name


@pytest.mark.skipif(MISSING is None, reason="both engines are installed")
def test_an_engine_that_is_missing_is_not_replaced(model: Path, tmp_path: Path) -> None:
    with pytest.raises(BackendMissingError, match=f"{ENGINES[MISSING or ''][0]} is not installed"):
        open_backend(model, engine=MISSING or "", cache=tmp_path)


def test_an_unknown_engine_lists_the_known_ones(model: Path) -> None:
    with pytest.raises(ConfigError, match="choose from auto, litert, tflite-runtime"):
        open_backend(model, engine="tensorflow")


@pytest.mark.parametrize("count", [1, 2])
def test_the_thread_count_asked_for_is_the_one_used(model: Path, opening: Callable[..., str], count: int) -> None:
    text = opening(model, num_threads=count)
    assert f", {count} thread" in text
    assert "threads measured" not in text


@SEVERAL_CORES
def test_threads_are_measured_at_the_first_start_and_recalled_at_the_second(
    model: Path, tmp_path: Path, opening: Callable[..., str]
) -> None:
    """A measurement at each start would cost seconds on a small board."""
    first, second = opening(model), opening(model)
    assert "threads measured num_threads=" in first
    assert "threads recalled num_threads=" in second
    assert "threads measured" not in second
    assert (tmp_path / "cache" / FILE_NAME).is_file()
    assert first.split("backend ready ")[1] == second.split("backend ready ")[1]


@SEVERAL_CORES
def test_where_nothing_can_be_kept_it_is_measured_each_time(model: Path, tmp_path: Path) -> None:
    """A read-only system is no reason not to start."""
    (tmp_path / "file").touch()
    for _ in range(2):
        assert open_backend(model, cache=tmp_path / "file" / "cache").describe().threads >= 1


SPEC = TensorSpec("x", (1, 4), np.dtype("int8"))
OPENED: list[FakeBackend] = []


def open_fake(model: Path, *, engine: str, num_threads: int, device: str) -> FakeBackend:
    OPENED.append(FakeBackend([SPEC], [SPEC], lambda inputs: inputs))
    return OPENED[-1]


def open_failing(model: Path, *, engine: str, num_threads: int, device: str) -> FakeBackend:
    def fail(inputs: Any) -> NoReturn:
        raise InvokeError("no")

    OPENED.append(FakeBackend([SPEC], [SPEC], fail))
    return OPENED[-1]


def test_opening_invokes_once_and_leaves_it_open(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot run is found out before the camera is, and the first frame is not the slow one."""
    monkeypatch.setitem(BACKENDS, "cpu", f"{__name__}:open_fake")
    OPENED.clear()
    backend = open_backend(model, num_threads=1, cache=tmp_path)
    assert [(one.invokes, one.is_closed) for one in OPENED] == [(1, False)]
    assert backend is OPENED[0]


def test_what_fails_at_the_first_invoke_is_closed_and_not_replaced(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its device is free again, and nothing else runs in its place without a word."""
    trust(Order(model, "cpu", cache=tmp_path), load_engine())
    monkeypatch.setitem(BACKENDS, "cpu", f"{__name__}:open_failing")
    OPENED.clear()
    with caplog.at_level(logging.INFO), pytest.raises(ModelError, match=r"m\.tflite: opens but does not run \(no\)"):
        open_backend(model, num_threads=1, cache=tmp_path)
    assert [one.is_closed for one in OPENED] == [True]
    assert "backend ready" not in caplog.text


@SEVERAL_CORES
def test_every_backend_that_was_opened_to_measure_is_closed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several open at once would not fit into the memory of a small board."""
    monkeypatch.setitem(BACKENDS, "cpu", f"{__name__}:open_fake")
    OPENED.clear()
    open_backend(model, cache=tmp_path)
    assert len(OPENED) > 2
    assert [one.is_closed for one in OPENED] == [True] * (len(OPENED) - 1) + [False]


@pytest.mark.parametrize("num_threads", [1, None])
def test_a_model_that_opens_and_does_not_run_is_an_error(tmp_path: Path, num_threads: int | None) -> None:
    """On the engine itself: a shape that is only known at run time is only found wrong at run time."""
    graph = Graph()
    source, shape = graph.tensor("image", (2,), "uint8"), graph.tensor("shape", (2,), "int32")
    end = graph.tensor("end", (2, 2), "float32")
    graph.operator("CAST", [source], [shape])
    graph.operator("RESHAPE", [graph.constant("four", np.ones(4), "float32"), shape], [end])
    graph.set_ends([source], [end])
    with pytest.raises(ModelError, match=r"m\.tflite: opens but does not run \(.*invoke failed on") as caught:
        open_backend(graph.write(tmp_path / "m.tflite"), num_threads=num_threads, cache=tmp_path)
    assert "\n" not in str(caught.value)


# In a child process, and by a twin.


@pytest.mark.parametrize(
    ("backend", "device", "expected"),
    [
        ("cpu", "", False),
        ("edgetpu", "usb:0", True),
        ("gpu", "", True),
        ("onnx", "", False),
        ("onnx", "cpu", False),
        ("onnx", "cuda", True),
        ("remote", "grpc://host:8001/m", True),
    ],
)
def test_what_may_hang_or_go_away_gets_a_process(backend: str, device: str, expected: bool) -> None:
    """The CPU is as sound as this process; a device, a driver or a server is not."""
    assert is_accelerated(Order(Path("m.tflite"), backend, device)) is expected


@pytest.mark.parametrize(
    ("name", "request_", "is_edgetpu", "expected"),
    [
        ("m.tflite", "auto", False, "cpu"),
        ("m_edgetpu.tflite", "auto", True, "edgetpu"),
        ("m.onnx", "auto", False, "onnx"),
        ("m.tflite", "gpu", False, "gpu"),
    ],
)
def test_auto_goes_by_the_model(name: str, request_: str, is_edgetpu: bool, expected: str) -> None:
    assert choose(Path(name), request_, is_edgetpu=is_edgetpu)[0] == expected


@pytest.mark.parametrize(
    ("name", "backend", "device", "twin"),
    [
        ("m_edgetpu.tflite", "edgetpu", "usb:0", ("m.tflite", "cpu", "")),
        ("m.tflite", "gpu", "/lib.so", ("m.tflite", "cpu", "")),
        ("m.onnx", "onnx", "cuda", ("m.onnx", "onnx", "cpu")),
        ("m.onnx", "remote", "grpc://host:8001/m", ("m.onnx", "onnx", "cpu")),
        ("m.tflite", "cpu", "", None),
        ("lonely_edgetpu.tflite", "edgetpu", "", None),
    ],
)
def test_the_twin_is_the_same_model_on_the_cpu(
    tmp_path: Path, name: str, backend: str, device: str, twin: tuple[str, str, str] | None
) -> None:
    for file in ("m_edgetpu.tflite", "m.tflite", "m.onnx", "lonely_edgetpu.tflite"):
        (tmp_path / file).touch()
    found = twin_of(Order(tmp_path / name, backend, device))
    assert (found and (found.model.name, found.backend, found.device)) == twin


@pytest.mark.parametrize(("setting", "choices"), [("isolation", "auto, thread, process"), ("fallback", "none, cpu")])
def test_an_unknown_way_lists_the_known_ones(model: Path, setting: str, choices: str) -> None:
    with pytest.raises(ConfigError, match=f"{setting}: 'yes' is unknown; choose from {choices}"):
        open_backend(model, **{setting: "yes"})


def test_a_new_model_is_opened_by_a_child_first_on_either_engine(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that kills the engine must not be met here for the first time; a known one costs no child."""
    started: list[Order] = []
    monkeypatch.setattr("edge_runtime.inference.probe.probe", lambda order, **_: started.append(order))
    for _ in range(2):
        open_backend(model, "cpu", num_threads=1, cache=tmp_path / "cache").close()
    assert [order.model for order in started] == [model]


def test_in_a_child_the_first_start_is_the_probe(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opening: Callable[..., str]
) -> None:
    """Two children for one start would be two seconds on a small board; and the verdict holds for threads, too."""
    monkeypatch.setattr("edge_runtime.inference.probe.probe", lambda order, **_: pytest.fail("a second child"))
    text = opening(model, "cpu", num_threads=1, isolation="process")
    assert "in a child process" in text
    opening(model, "cpu", num_threads=1, isolation="thread")


@pytest.fixture
def unplugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a path that stands for the device: while it is there, the Edge TPU opens."""
    monkeypatch.setitem(BACKENDS, "edgetpu", f"{misbehaving.__name__}:open_where_allowed")
    monkeypatch.setitem(BACKENDS, "cpu", f"{misbehaving.__name__}:open_well")
    (tmp_path / "m_edgetpu.tflite").write_bytes(b"compiled")
    return tmp_path / "device"


def open_tpu(device: Path, **options: Any) -> Any:
    compiled = device.with_name("m_edgetpu.tflite")
    return open_backend(compiled, f"edgetpu:{device}", is_edgetpu=True, cache=device.with_name("cache"), **options)


def test_without_the_device_it_is_an_error_unless_a_fallback_is_asked_for(unplugged: Path) -> None:
    """Never a silent run on the CPU."""
    (unplugged.with_name("m.tflite")).write_bytes(b"plain")
    with pytest.raises(BackendMissingError, match="is not plugged in; its CPU twin lies beside it: --model"):
        open_tpu(unplugged)


def test_a_fallback_without_a_twin_says_what_is_missing(unplugged: Path) -> None:
    with pytest.raises(BackendMissingError, match=r"--fallback cpu needs the model from before edgetpu_compiler"):
        open_tpu(unplugged, fallback="cpu")


def test_with_a_fallback_the_cpu_serves_until_the_device_is_there(unplugged: Path) -> None:
    """Whoever plugs the stick in later need not start again."""
    (unplugged.with_name("m.tflite")).write_bytes(b"plain")
    backend = open_tpu(unplugged, fallback="cpu")
    changes: list[StateChange] = []
    is_back = threading.Event()
    backend.watch(lambda change: (changes.append(change), is_back.set() if change.after == "ok" else None))
    assert isinstance(backend, FailoverBackend)
    assert (backend.state, changes[0].after) == ("fallback", "fallback")
    assert backend.invoke([np.array([[0, 1, 2, 3]], np.uint8)])[0].tolist() == [[0, 1, 2, 3]]
    unplugged.touch()
    assert is_back.wait(60)
    assert backend.describe().delegate == "of usb"
    backend.close()


def test_with_a_fallback_in_this_process_the_cpu_serves_and_a_warning_says_so(
    unplugged: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_runtime.inference.select.open_here", open_here_but_no_tpu)
    (unplugged.with_name("m.tflite")).write_bytes(b"plain")
    with caplog.at_level(logging.WARNING):
        open_tpu(unplugged, fallback="cpu", isolation="thread")
    assert "backend not available, the CPU serves backend=edgetpu reason=" in caplog.text


def open_here_but_no_tpu(order: Order) -> Any:
    if order.backend == "edgetpu":
        raise BackendMissingError("no stick")
    return misbehaving.open_well(order.model, engine="auto", num_threads=1, device="")


def test_a_replaced_child_measures_no_threads_again(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be away for seconds, on a system where nothing can be remembered each time."""
    orders: list[Order] = []

    class Noted(IsolatedBackend):
        def __init__(self, order: Order, **options: Any) -> None:
            orders.append(order)
            super().__init__(order, **options)

    monkeypatch.setattr("edge_runtime.inference.select.IsolatedBackend", Noted)
    backend = open_backend(model, "cpu", isolation="process", cache=tmp_path / "cache")
    assert isinstance(backend, FailoverBackend)
    threads = backend.describe().threads
    backend._start().close()
    backend.close()
    assert [order.num_threads for order in orders] == [None, threads]
