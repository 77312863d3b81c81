"""Which backend runs a model, and the proof that it does: it is built and invoked before it is believed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from edge_runtime.errors import BackendError, ConfigError, InvokeError, ModelError
from edge_runtime.inference import BACKENDS, Backend
from edge_runtime.inference.failover import Candidate, FailoverBackend
from edge_runtime.inference.isolated import IsolatedBackend
from edge_runtime.inference.isolated_deadline import SHORTEST_REMOTE_S, SHORTEST_S, Deadline
from edge_runtime.inference.isolated_failures import does_not_run
from edge_runtime.inference.opening import EngineName, Order, engine_of, open_here
from edge_runtime.inference.probe import probe_once, trust
from edge_runtime.inference.verdicts import cache_folder

log = logging.getLogger(__name__)

TAKE_A_DEVICE = ("edgetpu", "gpu", "onnx", "remote")
ISOLATIONS = ("auto", "thread", "process")
FALLBACKS = ("none", "cpu")
ONNX_ENDING = ".onnx"


def parse_request(request: str) -> tuple[str, str]:
    """Return (backend, device) of "cpu", "edgetpu:usb:0", "gpu:/path/lib.so" or "auto".

    Raises:
        ConfigError: the backend is unknown, or has no devices to choose from.
    """
    name, _, device = request.partition(":")
    if name != "auto" and name not in BACKENDS:
        raise ConfigError(f"backend: {name!r} is unknown; choose from auto, {', '.join(BACKENDS)}")
    if device and name not in TAKE_A_DEVICE:
        raise ConfigError(
            f"backend: {request!r} names a device and {name} has none; use {name}, or one of "
            f"{', '.join(f'{one}:DEVICE' for one in TAKE_A_DEVICE if one in BACKENDS)}"
        )
    return name, device


def choose(model: Path, request: str, *, is_edgetpu: bool) -> tuple[str, str, str]:
    """Return (backend, device, why) for a request.

    Raises:
        ConfigError: the request is none, or the model is not compiled for the Edge TPU it asks for.
        ModelError: the model is compiled for the Edge TPU and asked for elsewhere.
    """
    name, device = parse_request(request)
    why = "it was asked for"
    if name == "auto" and is_edgetpu:
        name, why = "edgetpu", "the model is compiled for it"
    elif name == "auto" and model.suffix.lower() == ONNX_ENDING and "onnx" in BACKENDS:
        name, why = "onnx", "it runs .onnx files"
    elif name == "auto":
        name, why = "cpu", "runs any model"
    _check_kind(model, name, is_edgetpu)
    return name, device, why


def open_backend(
    model: Path,
    request: str = "auto",
    *,
    is_edgetpu: bool = False,
    engine: str = "auto",
    num_threads: int | None = None,
    cache: Path | None = None,
    isolation: str = "auto",
    fallback: str = "none",
    invoke_timeout_s: float | None = None,
    explain: bool = False,
) -> Backend:
    """Return the model opened where it was asked for, after one invoke on zeros.

    Args:
        model: an existing model file.
        request: what `parse_request` takes. "auto" is the Edge TPU for a model compiled for it, ONNX Runtime for an
            .onnx file, else the CPU.
        is_edgetpu: whether the file holds the Edge TPU's operator.
        engine: "auto", "litert" or "tflite-runtime".
        num_threads: None measures what is best here; remembered for the next start.
        cache: the folder of that memory; None is the user's or the service's cache folder.
        isolation: "thread" opens it in this process, "process" in a child; "auto" is a child for accelerators.
        fallback: "cpu" has the CPU serve where the backend cannot be opened; "none" makes that an error.
        invoke_timeout_s: seconds after which an invoke in a child counts as hung; None learns it.
        explain: say in the log what was looked at, what was found, and why each backend was taken or not.

    Raises:
        ConfigError: a setting is wrong, or the Edge TPU is asked for with a model that is not compiled for it.
        ModelError: the engine refuses the file, the CPU cannot invoke it, or it is compiled for the Edge TPU and asked
            for elsewhere.
        BackendError: the engine, the library or the device is missing or refuses, or fails at the first invoke.
    """
    _check_settings(num_threads, isolation, fallback)
    name, device, why = choose(model, request, is_edgetpu=is_edgetpu)
    if request == "auto":
        log.info("backend chosen backend=%s reason=%s", name, why)
    order = Order(model, name, device, engine, num_threads, cache or cache_folder())
    twin = twin_of(order)
    is_child = isolation == "process" or (isolation == "auto" and is_accelerated(order))
    if explain:
        from edge_runtime.inference.explain import say

        say(order, why, twin, is_edgetpu=is_edgetpu, is_child=is_child)
    try:
        if is_child or name == "remote":
            backend = _open_with_failover(order, twin, is_child, fallback, invoke_timeout_s)
        else:
            backend = _open_in_thread(order, twin, fallback)
    except BackendError as exc:
        if name == "cpu" and isinstance(exc, InvokeError):
            raise does_not_run(order, exc) from exc
        if not is_edgetpu:
            raise
        beside = f"; its CPU twin lies beside it: --model {twin.model}" if twin else ""
        if fallback == "cpu" and not twin:
            beside = "; --fallback cpu needs the model from before edgetpu_compiler beside it"
        raise type(exc)(f"{model.name}: is compiled for the Edge TPU; {exc}{beside}") from exc
    log.info("backend ready %s", backend.describe())
    return backend


def is_accelerated(order: Order) -> bool:
    """Return whether something else than this processor takes part, which may hang, crash or go away."""
    return order.backend in ("edgetpu", "gpu", "remote") or (
        order.backend == "onnx" and order.device not in ("", "cpu")
    )


def twin_of(order: Order) -> Order | None:
    """Return what may serve on the CPU in place of this order; None where there is no such thing."""
    model = cpu_twin(order.model) if order.backend == "edgetpu" else order.model
    if model is None or not model.is_file():
        return None
    is_onnx = model.suffix.lower() == ONNX_ENDING
    twin = replace(order, model=model, backend="onnx" if is_onnx else "cpu", device="cpu" if is_onnx else "")
    return twin if is_accelerated(order) else None


def _check_settings(num_threads: int | None, isolation: str, fallback: str) -> None:
    if num_threads is not None and num_threads < 1:
        raise ConfigError(f"num_threads: {num_threads} is not allowed; use 1 or more, or leave it out to measure")
    for key, value, allowed in (("isolation", isolation, ISOLATIONS), ("fallback", fallback, FALLBACKS)):
        if value not in allowed:
            raise ConfigError(f"{key}: {value!r} is unknown; choose from {', '.join(allowed)}")


def _open_in_thread(order: Order, twin: Order | None, fallback: str) -> Backend:
    """Return the backend opened in this process, a new model only after a child has opened it."""
    try:
        if order.backend in ("cpu", "onnx"):
            probe_once(order, engine_of(order))
        elif order.backend in ("edgetpu", "gpu"):
            IsolatedBackend(order).open().close()  # a library or a driver may crash, and be another one each time
        return open_here(order)
    except BackendError as exc:
        if twin is None or fallback != "cpu":
            raise
        log.warning("backend not available, the CPU serves backend=%s reason=%s", order.backend, exc)
        return _open_in_thread(twin, None, fallback)


def _open_with_failover(
    order: Order, twin: Order | None, is_child: bool, fallback: str, invoke_timeout_s: float | None
) -> Backend:
    """Return a backend that may be lost; in a child this start of it is the probe of the model, too."""
    deadline = Deadline(invoke_timeout_s, shortest_s=SHORTEST_REMOTE_S if order.backend == "remote" else SHORTEST_S)
    start: Callable[[], Candidate]
    start = partial(IsolatedBackend, order, deadline=deadline) if is_child else partial(InThread, order)
    start_twin = None if twin is None else partial(IsolatedBackend, twin, deadline=Deadline(invoke_timeout_s))
    try:
        primary = start().open()
    except BackendError as exc:
        if start_twin is None or fallback != "cpu":
            raise
        return FailoverBackend(order.backend, start, start_twin, primary=None, lost=exc)
    info = primary.describe()
    if is_child:
        trust(order, EngineName(info.engine, info.engine_version))
        again = replace(order, num_threads=info.threads or 1)  # measured once; the limit of an invoke, too
        start = partial(IsolatedBackend, again, deadline=deadline)
    return FailoverBackend(order.backend, start, start_twin, primary=primary)


class InThread:
    """A backend that is opened in this process: one that lets go of the GIL while it waits."""

    def __init__(self, order: Order) -> None:
        self._order = order

    def open(self) -> Backend:
        return open_here(self._order)

    def close(self) -> None:
        """Do nothing: what `open` waits for has an end of its own."""


def _check_kind(model: Path, name: str, is_edgetpu: bool) -> None:
    """Raise where the backend can only fail, or would quietly run everything on the CPU."""
    is_onnx = model.suffix.lower() == ONNX_ENDING
    if name in ("cpu", "edgetpu", "gpu") and is_onnx:
        raise ConfigError(f"backend {name}: {model.name} is an ONNX file, which it does not run; use --backend onnx")
    if name == "onnx" and not is_onnx:
        raise ConfigError(f"backend onnx: {model.name} is no .onnx file, and it runs no others; use --backend cpu")
    if name == "edgetpu" and not is_edgetpu:
        raise ConfigError(
            f"backend edgetpu: {model.name} is not compiled for the Edge TPU and would run on the CPU; "
            "compile it with edgetpu_compiler, or use --backend cpu"
        )
    if name in ("cpu", "gpu") and is_edgetpu:
        twin = cpu_twin(model)
        advice = f"use --model {twin}" if twin else "give the model from before edgetpu_compiler, or --backend edgetpu"
        raise ModelError(f"{model}: is compiled for the Edge TPU, backend {name} cannot run it; {advice}")


def cpu_twin(model: Path) -> Path | None:
    """Return the file this Edge TPU model was compiled from, where it lies beside it: m_edgetpu.tflite, m.tflite."""
    twin = model.with_name(model.name.replace("_edgetpu", ""))
    return twin if twin != model and twin.is_file() else None
