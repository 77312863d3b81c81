"""The two packages that hold a TFLite interpreter, found and loaded by name."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from edge_runtime.errors import BackendMissingError, ConfigError

log = logging.getLogger(__name__)

ENGINES = {"litert": ("ai-edge-litert", "ai_edge_litert"), "tflite-runtime": ("tflite-runtime", "tflite_runtime")}
"""Name a user types -> (package to install, module to import). In order of preference: LiteRT runs quantised models
on XNNPACK, tflite-runtime only float ones."""


@dataclass(frozen=True, slots=True)
class Engine:
    """An interpreter package that is installed and fits."""

    name: str
    version: str
    interpreter: Callable[..., Any]
    load_delegate: Callable[..., Any]


def is_installed(name: str) -> bool:
    """Return whether the package of this engine can be imported."""
    return find_spec(ENGINES[name][1]) is not None


def load_engine(name: str = "auto", *, installed: Callable[[str], bool] = is_installed) -> Engine:
    """Return the engine of this name, or with "auto" the first of the table that is installed.

    Raises:
        ConfigError: the name is unknown.
        BackendMissingError: the engine, or every engine, is missing or does not fit its numpy.
    """
    if name != "auto" and name not in ENGINES:
        raise ConfigError(f"engine: {name!r} is unknown; choose from auto, {', '.join(ENGINES)}")
    wanted = list(ENGINES) if name == "auto" else [name]
    found = [one for one in wanted if installed(one)]
    if not found:
        packages = " or ".join(ENGINES[one][0] for one in wanted)
        raise BackendMissingError(
            f"engine: {packages} is not installed; run: python -m pip install '{ENGINES[wanted[0]][0]}' "
            "(32-bit Raspberry Pi OS has an engine for Python 3.11 only)"
        )
    return _load(found[0])


def _load(name: str) -> Engine:
    package, module = ENGINES[name]
    if name == "tflite-runtime":
        refuse_numpy_2(version("numpy"))
    try:
        vendor = import_module(f"{module}.interpreter")
    except (ImportError, OSError) as exc:
        raise BackendMissingError(f"engine: {package} is installed but does not load: {one_line(exc)}") from exc
    return Engine(name, version(package), vendor.Interpreter, vendor.load_delegate)


def refuse_numpy_2(numpy_version: str) -> None:
    """Raise BackendMissingError where tflite-runtime would load and then die in its first interpreter."""
    if int(numpy_version.split(".")[0]) >= 2:
        raise BackendMissingError(
            f"engine: tflite-runtime needs numpy 1.26, found {numpy_version}; "
            "run: python -m pip install 'edge-runtime[tflite-runtime]', or use --engine litert"
        )


def one_line(error: BaseException | str) -> str:
    """Return the first line of an engine's message, which may run over many."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what native code prints to file descriptor 2 to the debug log instead.

    The engines greet on it and cannot be told not to. For the moment of opening only: other threads' words would
    be taken along.
    """
    with tempfile.TemporaryFile() as caught:
        kept = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            for line in caught.read().decode(errors="replace").splitlines():
                log.debug("engine said %s", line)
