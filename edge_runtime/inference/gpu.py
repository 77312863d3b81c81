"""GPU: LiteRT's own accelerator, or TensorFlow Lite's classic GPU delegate, a library that the user builds.

Either is believed only when its results on one picture are those of the CPU.
"""

from __future__ import annotations

from pathlib import Path

from edge_runtime.errors import BackendError, BackendMissingError
from edge_runtime.inference import Backend
from edge_runtime.inference.delegate import load_delegate, load_library
from edge_runtime.inference.engine import load_engine
from edge_runtime.inference.tflite import TfliteBackend, open_cpu
from edge_runtime.inference.webgpu import open_webgpu, refuse_wrong

LIBRARY = "libtensorflowlite_gpu_delegate.so"


def open_gpu(model: Path, *, engine: str = "auto", num_threads: int = 1, device: str = "") -> Backend:
    """Return the model opened on the GPU.

    Args:
        model: the file.
        engine: key of ENGINES, or "auto".
        num_threads: for the operators that stay on the CPU.
        device: path of the classic delegate's library; "" is LiteRT's accelerator, and with tflite-runtime, which has
            none, libtensorflowlite_gpu_delegate.so where the loader looks.

    Raises:
        BackendMissingError: there is no such library, or no GPU that it can use.
        BackendError: it refused, took no operator of this model, or computes something else than the CPU.
        ModelError: the engine refuses the file.
    """
    if not device and load_engine(engine).name == "litert":
        return open_webgpu(model, num_threads=num_threads)
    return open_delegate(model, engine=engine, num_threads=num_threads, library=device)


def open_delegate(model: Path, *, engine: str, num_threads: int, library: str) -> TfliteBackend:
    """Return the model opened on a classic delegate.

    The delegate gets no options: its own option parser is broken upstream and reads beside them.
    """
    if library and not Path(library).is_file():
        raise BackendMissingError(f"backend gpu: {library} is not there; give the path of the built {LIBRARY}")
    name = library or LIBRARY
    load_library(name, f"build it from TensorFlow Lite and name it: --backend gpu:/path/to/{LIBRARY}")
    vendor = load_engine(engine)
    delegate = load_delegate(vendor.load_delegate, name, {})
    opened = TfliteBackend("gpu", model, vendor, num_threads=num_threads, delegate=delegate, delegate_name=name)
    if opened.describe().delegated_nodes == 0:
        opened.close()
        raise BackendError(f"backend gpu: {name} took none of the operators of {model.name}; use --backend cpu")
    reference = open_cpu(model, engine=engine, num_threads=num_threads)
    try:
        refuse_wrong(reference, opened, reference.ranked, model)
    finally:
        reference.close()
    return opened
