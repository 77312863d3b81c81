"""Real-time object detection on small boards. Public names load when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_runtime.capture.open import open_source
    from edge_runtime.detections import Detections
    from edge_runtime.detector import Detector
    from edge_runtime.frame import Frame
    from edge_runtime.pipeline import Pipeline
    from edge_runtime.result import Result

__version__ = "0.1.0"
__all__ = ["Detections", "Detector", "Frame", "Pipeline", "Result", "__version__", "open_source"]

_HOMES = {
    "Detections": "edge_runtime.detections",
    "Detector": "edge_runtime.detector",
    "Frame": "edge_runtime.frame",
    "Pipeline": "edge_runtime.pipeline",
    "Result": "edge_runtime.result",
    "open_source": "edge_runtime.capture.open",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'edge_runtime' has no attribute {name!r}")
