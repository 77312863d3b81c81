"""How the backend was chosen, in many lines: what was looked at, what was found, why each other was not taken."""

from __future__ import annotations

import logging
from collections.abc import Callable
from ctypes.util import find_library
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edge_runtime.inference import BACKENDS
from edge_runtime.inference.edgetpu_devices import from_system
from edge_runtime.inference.engine import ENGINES, is_installed
from edge_runtime.inference.opening import Order
from edge_runtime.inference.threads import available_cores

log = logging.getLogger(__name__)


def say(order: Order, why: str, twin: Order | None, *, is_edgetpu: bool, is_child: bool) -> None:
    """Log the explanation, whatever else is logged: it was asked for."""
    log.setLevel(logging.INFO)
    for line in explanation(order, why, twin, is_edgetpu=is_edgetpu, is_child=is_child):
        log.info("explain %s", line)


def explanation(
    order: Order,
    why: str,
    twin: Order | None,
    *,
    is_edgetpu: bool,
    is_child: bool,
    root: Path = Path("/"),
    library: Callable[[str], str | None] = find_library,
) -> list[str]:
    """Return one line for the model, each backend, the isolation and the fallback."""
    kind = "compiled for the Edge TPU" if is_edgetpu else f"a plain {order.model.suffix or 'unnamed'} file"
    lines = [f"model {order.model.name}: {kind}"]
    sticks = ", ".join(map(str, from_system(root))) or "none seen"
    found = {
        "cpu": f"engines {engines(order.engine)}; {available_cores()} cores to use",
        "edgetpu": f"{_library(library, 'edgetpu')}; plugged in: {sticks}",
        "gpu": f"{_library(library, 'vulkan')}; {_library(library, 'tensorflowlite_gpu_delegate')}",
        "onnx": f"onnxruntime {_version('onnxruntime', 'onnxruntime-gpu')}",
        "remote": f"tritonclient {_version('tritonclient')}",
    }
    for name in BACKENDS:
        verdict = f"taken, {why}" if name == order.backend else f"not taken, {_why_not(name, order, is_edgetpu)}"
        lines.append(f"backend {name}: {verdict} ({found.get(name, 'nothing looked at')})")
    lines.append(f"isolation {'process' if is_child else 'thread'}: {_why_there(order, is_child)}")
    lines.append(_twin_line(order, twin))
    return lines


def engines(asked: str) -> str:
    """Return the engines with their versions; "auto" takes the first that is installed."""
    said = [f"{name} {_version(package)}" for name, (package, _) in ENGINES.items() if is_installed(name)]
    missing = [f"{name} not installed" for name in ENGINES if not is_installed(name)]
    return ", ".join([*said, *missing]) + f", asked for is {asked}"


def _library(find: Callable[[str], str | None], name: str) -> str:
    found = find(name)
    return f"library {found} is there" if found else f"no library lib{name}.so where the loader looks"


def _version(*packages: str) -> str:
    for package in packages:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return "not installed"


def _why_not(name: str, order: Order, is_edgetpu: bool) -> str:
    if name == "edgetpu" and not is_edgetpu:
        return "the model is not compiled for it"
    if is_edgetpu:
        return "the model holds the Edge TPU's operator and runs nowhere else"
    is_onnx = order.model.suffix.lower() == ".onnx"
    if is_onnx != (name == "onnx") and name != "remote":
        return "it does not run this kind of file"
    if name in ("gpu", "remote"):
        return f"only by name: --backend {name}" + (":grpc://HOST:8001/MODEL" if name == "remote" else "")
    return f"{order.backend} was asked for"


def _why_there(order: Order, is_child: bool) -> str:
    if is_child:
        return f"a hang or crash of {order.backend} costs a child process and not this one"
    return f"{order.backend} runs in this process, a new model only after a child has opened it"


def _twin_line(order: Order, twin: Order | None) -> str:
    if twin is not None:
        return f"fallback: {twin.model.name} on {twin.backend} serves while {order.backend} is away"
    if order.backend == "edgetpu":
        return "fallback: none, the model from before edgetpu_compiler does not lie beside it"
    return "fallback: none, there is nothing to fall back from"
