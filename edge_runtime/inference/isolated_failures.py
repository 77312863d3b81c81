"""How long a child may take to open a model, and what it means when it does not."""

from __future__ import annotations

from edge_runtime.errors import BackendError, InvokeError, ModelError
from edge_runtime.inference.opening import Order

OPEN_WITHIN_S = 60.0
MEASURE_WITHIN_S = 180.0
REMOTE_WITHIN_S = 100.0
"""The backend gives a server that loads the model a minute, and says it better."""
BUILD_WITHIN_S = 1800.0
"""TensorRT makes an engine of a model it has not met, which takes minutes."""
CRASHED = {
    "edgetpu": "libedgetpu was most likely built for another TensorFlow; install a build for TensorFlow 2.14 or later",
    "gpu": "its library or the driver does not fit this engine; update the driver, or use --backend cpu",
    "onnx": "its provider or driver does not fit, or the file is damaged; use --backend onnx:cpu, or copy it again",
    "remote": "its client library does not fit this Python; install it again",
}
"""What the death of a child by a signal means where it is not the model's fault alone."""


def patience_with(order: Order) -> float:
    """Return how many seconds opening may take."""
    if order.device.startswith("tensorrt"):
        return BUILD_WITHIN_S
    if order.backend == "remote":
        return REMOTE_WITHIN_S
    return MEASURE_WITHIN_S if order.measures_threads else OPEN_WITHIN_S


def does_not_run(order: Order, error: InvokeError) -> ModelError:
    """Return the error for a model that the CPU opens and cannot invoke: no restart would mend that."""
    return ModelError(f"{order.model}: opens but does not run ({error}); convert it again, or try another --engine")


def took_too_long(order: Order, within_s: float) -> ModelError | BackendError:
    """Return the error for a child that did not open the model in time."""
    if order.backend == "cpu":
        return ModelError(
            f"{order.model}: opening it took more than {within_s:g} s on {order.engine}; it is damaged or too large, "
            "copy or convert it again"
        )
    return BackendError(
        f"backend {order.backend}: opening {order.model.name} took more than {within_s:g} s; the device or its driver "
        "hangs, plug it in again or restart the board"
    )


def died(order: Order, ending: str, words: str) -> ModelError | BackendError:
    """Return the error for a child that died while it opened the model."""
    if ending == "SIGKILL":
        return ModelError(
            f"{order.model}: opening it on {order.backend} was killed (SIGKILL), most likely for lack of memory; "
            "free some, or give a smaller model"
        )
    if not ending.startswith(("SIG", "signal")):
        said = f": {words}" if words else ""
        return BackendError(
            f"backend {order.backend}: the child process ended before the model was open ({ending}{said})"
        )
    if order.backend in CRASHED:
        return BackendError(
            f"backend {order.backend}: opening {order.model.name} crashes ({ending}): {CRASHED[order.backend]}"
        )
    return ModelError(
        f"{order.model}: crashes the engine {order.engine} ({ending}); the file is damaged, copy or convert it again"
    )
