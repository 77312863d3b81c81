"""What to open, and the opening itself: the same here and in a child process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge_runtime.errors import InvokeError
from edge_runtime.inference import BACKENDS, Backend
from edge_runtime.inference.engine import load_engine
from edge_runtime.inference.threads import choose_threads

MEASURED = ("cpu", "onnx")
"""The backends whose number of threads is measured where none is given, without a device."""


class EngineName(NamedTuple):
    """An engine as the memory of measurements knows it."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Order:
    """What to open, and where: all that a child process needs to be told."""

    model: Path
    backend: str  # key of BACKENDS
    device: str = ""
    engine: str = "auto"  # key of ENGINES, or "auto"
    num_threads: int | None = 1  # None: measured, where that makes sense
    cache: Path | None = None  # where measurements are kept
    opener: str = ""  # "module:function"; empty: the one of the table

    def to_json(self) -> str:
        """Return the order as text for a child; the opener is looked up here."""
        fields = asdict(self) | {"model": str(self.model), "cache": str(self.cache) if self.cache else None}
        return json.dumps(fields | {"opener": self.opener or BACKENDS[self.backend]})

    @classmethod
    def from_json(cls, text: str) -> Order:
        """Return the order that `to_json` wrote."""
        fields = json.loads(text)
        cache = Path(fields.pop("cache")) if fields["cache"] else fields.pop("cache")
        return cls(model=Path(fields.pop("model")), cache=cache, **fields)

    @property
    def measures_threads(self) -> bool:
        """Whether opening takes the time of a measurement, where none is remembered."""
        return self.num_threads is None and self.backend in MEASURED and self.device in ("", "cpu")


def engine_of(order: Order) -> EngineName:
    """Return the engine that runs the order in this process; it is loaded then.

    Raises:
        ConfigError: the engine is unknown.
        BackendMissingError: it is not installed.
    """
    if order.backend == "onnx":
        from edge_runtime.inference.onnx import ENGINE, load_onnxruntime

        return EngineName(ENGINE, load_onnxruntime().__version__)
    vendor = load_engine(order.engine)
    return EngineName(vendor.name, vendor.version)


def open_here(order: Order) -> Backend:
    """Return the model opened in this process, after one invoke on zeros.

    Raises:
        ConfigError: the engine or the device is unknown.
        ModelError: the engine refuses the file.
        BackendError: the engine, the library or the device is missing or refuses.
        InvokeError: the model opens and does not run.
    """
    module, function = (order.opener or BACKENDS[order.backend]).split(":")
    opener = getattr(import_module(module), function)

    def reopen(threads: int) -> Backend:
        backend: Backend = opener(order.model, engine=order.engine, num_threads=threads, device=order.device)
        return backend

    threads = order.num_threads or 1
    if order.measures_threads:
        threads = choose_threads(order.model, engine_of(order), reopen, order.cache)
    return _proven(reopen(threads))


def _proven(backend: Backend) -> Backend:
    """Return the backend after an invoke on zeros; close it where that fails."""
    try:
        backend.invoke([np.zeros(spec.shape, spec.dtype) for spec in backend.inputs])
    except InvokeError:
        backend.close()
        raise
    return backend
