"""Decoders: one pure function for each family of model outputs, and the table of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Family(NamedTuple):
    """A family of outputs and where its decoder lives."""

    function: str  # "module:function"
    needs_nms: bool  # False where the model suppresses overlaps itself
    settings: tuple[str, ...] = ()  # fields of the ModelSpec that the function takes by name
    iou_threshold: float = 0.6  # overlap above which the lower score goes; Source: the value of the SSD pipelines


DECODERS = {
    "ssd_postprocess": Family("edge_runtime.decoding.ssd_postprocess:decode", needs_nms=False),
    "ssd_anchors": Family("edge_runtime.decoding.ssd_anchors:decode", needs_nms=True),
    "fcos": Family("edge_runtime.decoding.fcos:decode", needs_nms=True, settings=("strides",)),
    "yolox": Family("edge_runtime.decoding.yolox:decode", needs_nms=True, settings=("strides",)),
    "yolo": Family("edge_runtime.decoding.yolo:decode", needs_nms=True, settings=("box_unit",)),
    "yolov5": Family("edge_runtime.decoding.yolo:decode_v5", needs_nms=True, settings=("box_unit",)),
    "yolo_end_to_end": Family("edge_runtime.decoding.yolo:decode_end_to_end", needs_nms=False, settings=("box_unit",)),
    "nanodet": Family("edge_runtime.decoding.nanodet:decode", needs_nms=True, settings=("strides",)),
    # Source: MediaPipe's face detection, min_suppression_threshold.
    "blazeface": Family(
        "edge_runtime.decoding.blazeface:decode", needs_nms=True, settings=("strides",), iou_threshold=0.3
    ),
}


class QuantizedSpec(Protocol):
    """The part of a quantisation that decoding needs."""

    @property
    def scale(self) -> float: ...

    @property
    def zero_point(self) -> int: ...


class OutputSpec(Protocol):
    """The part of an output's description that decoding needs."""

    @property
    def quantization(self) -> QuantizedSpec | None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Decoded rows before NMS, in no order."""

    boxes_model: NDArray[np.float32]  # (n, 4), xyxy, pixels of the model's input, may leave it
    scores: NDArray[np.float32]  # (n,), 0 to 1
    class_ids: NDArray[np.int32]  # (n,), index into the labels, background excluded


class Decoder(Protocol):
    """From one invoke's outputs to candidates. Holds nothing between calls."""

    def __call__(
        self,
        outputs: Sequence[NDArray[Any]],
        specs: Sequence[OutputSpec],
        model_wh: tuple[int, int],
        score_threshold: float,
        roles: Mapping[str, int],
    ) -> Candidates: ...
