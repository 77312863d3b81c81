"""Which backend runs a model, and the proof that it does: it is built and invoked before it is believed."""

from __future__ import annotations

import logging
from importlib import import_module
from pathlib import Path

import numpy as np

from edge_runtime.errors import BackendError, ConfigError, InvokeError, ModelError
from edge_runtime.inference import BACKENDS, Backend
from edge_runtime.inference.engine import load_engine
from edge_runtime.inference.probe import does_not_run, probe_once
from edge_runtime.inference.threads import choose_threads
from edge_runtime.inference.verdicts import cache_folder

log = logging.getLogger(__name__)

TAKE_A_DEVICE = ("edgetpu", "gpu")


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
            f"{', '.join(f'{one}:DEVICE' for one in TAKE_A_DEVICE)}"
        )
    return name, device


def open_backend(
    model: Path,
    request: str = "auto",
    *,
    is_edgetpu: bool = False,
    engine: str = "auto",
    num_threads: int | None = None,
    cache: Path | None = None,
) -> Backend:
    """Return the model opened where it was asked for, after one invoke on zeros.

    Args:
        model: an existing .tflite file.
        request: what `parse_request` takes. "auto" is the Edge TPU for a model compiled for it, else the CPU.
        is_edgetpu: whether the file holds the Edge TPU's operator.
        engine: "auto", "litert" or "tflite-runtime".
        num_threads: None measures what is best here; remembered for the next start.
        cache: the folder of that memory; None is the user's or the service's cache folder.

    Raises:
        ConfigError: an unknown backend or engine, a wrong number of threads, or the Edge TPU for a model that is not
            compiled for it.
        ModelError: the engine refuses the file, the CPU cannot invoke it, or it is compiled for the Edge TPU and asked
            for elsewhere.
        BackendError: the engine, the library or the device is missing or refuses, or fails at the first invoke.
    """
    name, device = parse_request(request)
    if num_threads is not None and num_threads < 1:
        raise ConfigError(f"num_threads: {num_threads} is not allowed; use 1 or more, or leave it out to measure")
    if name == "auto":
        name, why = ("edgetpu", "the model is compiled for it") if is_edgetpu else ("cpu", "runs any model")
        log.info("backend chosen backend=%s reason=%s", name, why)
    _check_kind(model, name, is_edgetpu)
    vendor = load_engine(engine)
    folder = cache or cache_folder()
    if vendor.name == "tflite-runtime" and not is_edgetpu:
        probe_once(model, vendor, folder)
    module, function = BACKENDS[name].split(":")
    opener = getattr(import_module(module), function)

    def reopen(threads: int) -> Backend:
        backend: Backend = opener(model, engine=vendor.name, num_threads=threads, device=device)
        return backend

    try:
        threads = num_threads or (choose_threads(model, vendor, reopen, folder) if name == "cpu" else 1)
        backend = _proven(reopen(threads))
    except BackendError as exc:
        if name == "cpu" and isinstance(exc, InvokeError):
            raise does_not_run(model, exc) from exc
        if not is_edgetpu:
            raise
        twin = cpu_twin(model)
        beside = f"; its CPU twin lies beside it: --model {twin}" if twin else ""
        raise type(exc)(f"{model.name}: is compiled for the Edge TPU; {exc}{beside}") from exc
    log.info("backend ready %s", backend.describe())
    return backend


def _proven(backend: Backend) -> Backend:
    """Return the backend after an invoke on zeros; close it where that fails."""
    try:
        backend.invoke([np.zeros(spec.shape, spec.dtype) for spec in backend.inputs])
    except InvokeError:
        backend.close()
        raise
    return backend


def _check_kind(model: Path, name: str, is_edgetpu: bool) -> None:
    """Raise where the backend can only fail, or would quietly run everything on the CPU."""
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
