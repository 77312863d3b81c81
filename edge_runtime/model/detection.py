"""The operator that ends an SSD: TFLite_Detection_PostProcess and the options it was built with.

Source: tensorflow/lite/kernels/detection_postprocess.cc.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_runtime.errors import ModelError
from edge_runtime.model.flexbuffer import read_numbers

DETECTION_OPERATOR = "TFLite_Detection_PostProcess"
DETECTION_ROLES = ("boxes", "classes", "scores", "count")
"""Its outputs, in the order it has them."""

_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """What the operator was built with."""

    max_detections: int
    max_classes_per_detection: int
    num_classes: int  # without background; 0 where the file does not say
    nms_iou_threshold: float
    nms_score_threshold: float
    scales: tuple[float, float, float, float]  # y, x, height, width

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each output, as the engine will allocate it."""
        rows = self.max_detections * self.max_classes_per_detection
        return {"boxes": (1, rows, 4), "classes": (1, rows), "scores": (1, rows), "count": (1,)}


def read_detection_options(data: bytes, name: str) -> DetectionOptions:
    """Return the options from the operator's flexbuffer; `name` is what to call it in a message.

    Raises:
        ModelError: the bytes are damaged, or a count in them is impossible.
    """
    numbers = read_numbers(data, name)

    def count(key: str, default: int) -> int:
        value = numbers.get(key, default)
        if not 0 <= value <= _MOST or value != int(value):
            raise ModelError(f"{name}: {key} = {value}, allowed is a whole number up to {_MOST}; convert it again")
        return int(value)

    def real(key: str, default: float) -> float:
        return float(numbers.get(key, default))

    return DetectionOptions(
        max_detections=count("max_detections", 0),
        max_classes_per_detection=count("max_classes_per_detection", 1),
        num_classes=count("num_classes", 0),
        nms_iou_threshold=real("nms_iou_threshold", 0),
        nms_score_threshold=real("nms_score_threshold", 0),
        scales=(real("y_scale", 1), real("x_scale", 1), real("h_scale", 1), real("w_scale", 1)),
    )
