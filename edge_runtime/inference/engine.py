"""The two packages that hold a TFLite interpreter, found and loaded by name."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from edge_runtime.errors import BackendMissingError, ConfigError

log = logging.getLogger(__name__)

ENGINES = {"litert": ("ai-edge-litert", "ai_edge_litert"), "tflite-runtime": ("tflite-runtime", "tflite_runtime")}
"""Name a user types -> (package to install, module to import). In order of preference: LiteRT runs quantised models
on XNNPACK, tflite-runtime only float ones."""

MAX_MESSAGE = 300
"""Characters of an engine's message that are passed on."""

_STDERR = threading.RLock()


@dataclass(frozen=True, slots=True)
class Engine:
    """An interpreter package that is installed and fits."""

    name: str
    version: str  # "unknown" where the package does not say
    interpreter: Callable[..., Any]
    load_delegate: Callable[..., Any]


def is_installed(name: str) -> bool:
    """Return whether the package of this engine can be imported; a folder left over of one cannot."""
    spec = find_spec(ENGINES[name][1])
    return spec is not None and spec.origin is not None


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
        refuse_numpy_2(import_module("numpy").__version__)
    try:
        vendor = import_module(f"{module}.interpreter")
        return Engine(name, version_of(package, module), vendor.Interpreter, vendor.load_delegate)
    except (ImportError, OSError, AttributeError, RuntimeError) as exc:
        raise BackendMissingError(
            f"engine: {package} is installed but does not load ({one_line(exc)}); "
            f"run: python -m pip install --force-reinstall '{package}'"
        ) from exc


def version_of(package: str, module: str) -> str:
    """Return the version of an imported package.

    Its own word counts first: that is the code that runs. The record of the installer may be missing, or be of
    another copy, where a package comes from Debian or was put on the path by hand.
    """
    own = getattr(import_module(module), "__version__", None)
    if own:
        return str(own)
    from importlib.metadata import PackageNotFoundError, version  # 2.5 MB, which few need

    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def refuse_numpy_2(numpy_version: str) -> None:
    """Raise BackendMissingError where tflite-runtime would load and then die in its first interpreter."""
    if int(numpy_version.split(".")[0]) >= 2:
        raise BackendMissingError(
            f"engine: tflite-runtime needs numpy 1.26, found {numpy_version}; "
            "run: python -m pip install 'numpy<2' 'opencv-python-headless<4.12', or use --engine litert"
        )


def one_line(error: BaseException | str) -> str:
    """Return the first line of an engine's message, which may run over many and grows with every failed invoke."""
    lines = str(error).strip().splitlines()
    return lines[0].strip()[:MAX_MESSAGE] if lines else type(error).__name__


@contextmanager
def quiet_stderr() -> Iterator[list[str]]:
    """Send what native code prints to file descriptor 2 to the debug log, and to the list it gives, instead.

    The engines greet on it and cannot be told not to. For the moment of opening only: other threads' words would
    be taken along. One thread at a time, as two that swap the descriptor crosswise would lose it. A pipe needs no
    folder that can be written; what it cannot hold is dropped, rather than waited for.
    """
    lines: list[str] = []
    with _STDERR:
        try:
            kept = os.dup(2)
        except OSError:  # the process was started without one
            yield lines
            return
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        os.dup2(writing, 2)
        os.close(writing)
        try:
            yield lines
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            with os.fdopen(reading, "rb", buffering=0) as caught:
                said = caught.read(1 << 16) or b""
            for line in said.decode(errors="replace").splitlines():
                lines.append(line)
                log.debug("engine said %s", line)
