"""The child process of the doctor: ``python -m edge_runtime.doctor.child TASKS SECONDS``, TASKS as JSON.

It writes one line of JSON for each task, as soon as it knows. Whatever a task raises is its result.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import import_module
from typing import Any


def try_import(name: str) -> dict[str, Any]:
    """Return the version of a package after importing it."""
    module = import_module(name)
    facts: dict[str, Any] = {"version": str(getattr(module, "__version__", "unknown")), "file": str(module.__file__)}
    if name == "cv2":
        from edge_runtime.outputs.window import has_gui

        facts["has_windows"] = has_gui(module)
    return facts


def try_library(name: str) -> dict[str, Any]:
    """Return what a delegate library says of itself after loading it.

    Source of `edgetpu_version`: google-coral/libedgetpu, tflite/public/edgetpu_c.h.
    """
    library = ctypes.CDLL(name)
    facts: dict[str, Any] = {"is_delegate": hasattr(library, "tflite_plugin_create_delegate"), "version": ""}
    if hasattr(library, "edgetpu_version"):
        library.edgetpu_version.restype = ctypes.c_char_p
        facts["version"] = (library.edgetpu_version() or b"").decode(errors="replace")
    return facts


def try_engine(name: str) -> dict[str, Any]:
    """Return what an engine says after it ran the bundled model once on the CPU."""
    import numpy as np

    from edge_runtime.bundled import bundled_model
    from edge_runtime.inference.tflite import open_cpu

    backend = open_cpu(bundled_model(), engine=name)
    backend.invoke([np.zeros(spec.shape, spec.dtype) for spec in backend.inputs])
    return {**asdict(backend.describe()), "text": str(backend.describe())}


def try_model(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a model after opening it as a run would, with these flags.

    A model compiled for the Edge TPU is only read: its device may be serving another process.
    """
    from edge_runtime.config import load
    from edge_runtime.model.flatbuffer import read_model
    from edge_runtime.model.spec import resolve_spec
    from edge_runtime.service import build_detector, require_model

    config = load(settings, {}).config
    model, backend = require_model(config), ""
    file = read_model(model) if model.suffix == ".tflite" else None
    if file is not None and file.is_edgetpu:
        spec = resolve_spec(model, file.inputs, file.outputs, labels_file=config.labels, model_file=file)
    else:
        with build_detector(config) as detector:
            spec, backend = detector.spec, str(detector.describe())
    labels = None if spec.labels is None else len(spec.labels.names)
    return {"decoder": spec.decoder, "size_wh": list(spec.size_wh), "labels": labels, "backend": backend}


def try_display(_: Any) -> dict[str, Any]:
    """Return that a window can be shown.

    Raises:
        ConfigError: it cannot; the message says why.
    """
    import cv2

    from edge_runtime.outputs.window import check_display, x_server_answers

    check_display(cv2, os.environ, x_server_answers)
    return {}


TASKS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "import": try_import,
    "library": try_library,
    "engine": try_engine,
    "model": try_model,
    "display": try_display,
}


def attempt(name: str, kind: str, argument: Any) -> dict[str, Any]:
    """Return the result of one task as a record."""
    try:
        return {"name": name, "state": "done", "said": "", "kind": "", "facts": TASKS[kind](argument)}
    except BaseException as exc:  # noqa: BLE001 (whatever a package raises when it loads is what we want to know)
        lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
        said = lines[0] if lines else "no reason given"
        return {"name": name, "state": "failed", "said": said, "kind": type(exc).__name__, "facts": {}}


def main(tasks: str) -> None:
    """Try each of the tasks and write its result."""
    for task in json.loads(tasks):
        record = attempt(task["name"], task["kind"], task["argument"])
        sys.stdout.write(json.dumps(record) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is possible here and worth no space on a card
    signal.alarm(int(sys.argv[2]) + 5)  # should nobody be left to kill us
    main(sys.argv[1])
    os._exit(0)  # what was loaded may crash in its own good-bye, which says nothing about a run
