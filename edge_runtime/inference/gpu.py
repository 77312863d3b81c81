"""GPU: TensorFlow Lite's classic GPU delegate, a library that the user builds, loaded by path."""

from __future__ import annotations

from pathlib import Path

from edge_runtime.errors import BackendError, BackendMissingError
from edge_runtime.inference.delegate import load_delegate, load_library
from edge_runtime.inference.engine import load_engine
from edge_runtime.inference.tflite import TfliteBackend

LIBRARY = "libtensorflowlite_gpu_delegate.so"


def open_gpu(model: Path, *, engine: str = "auto", num_threads: int = 1, device: str = "") -> TfliteBackend:
    """Return the model opened on the GPU delegate.

    The delegate gets no options: its own option parser is broken upstream and reads beside them.

    Args:
        model: the file.
        engine: key of ENGINES, or "auto".
        num_threads: for the operators that stay on the CPU.
        device: path of the delegate library; "" looks for libtensorflowlite_gpu_delegate.so where the loader looks.

    Raises:
        BackendMissingError: there is no such library.
        BackendError: the delegate refused, or took no operator of this model.
        ModelError: the engine refuses the file.
    """
    library = device or LIBRARY
    if device and not Path(device).is_file():
        raise BackendMissingError(f"backend gpu: {device} is not there; give the path of the built {LIBRARY}")
    load_library(library, f"build it from TensorFlow Lite and name it: --backend gpu:/path/to/{LIBRARY}")
    vendor = load_engine(engine)
    delegate = load_delegate(vendor.load_delegate, library, {})
    opened = TfliteBackend("gpu", model, vendor, num_threads=num_threads, delegate=delegate, delegate_name=library)
    if opened.describe().delegated_nodes == 0:
        opened.close()
        raise BackendError(f"backend gpu: {library} took none of the operators of {model.name}; use --backend cpu")
    return opened
