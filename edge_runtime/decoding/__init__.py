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
    "centernet_postprocess": Family("edge_runtime.decoding.ssd_postprocess:decode", needs_nms=False),
    "ssd_anchors": Family("edge_runtime.decoding.ssd_anchors:decode", needs_nms=True),
    "fcos": Family("edge_runtime.decoding.fcos:decode", needs_nms=True, settings=("strides",)),
    "yolox": Family("edge_runtime.decoding.yolox:decode", needs_nms=True, settings=("strides",)),
    "yolo": Family("edge_runtime.decoding.yolo:decode", needs_nms=True, settings=("box_unit",)),
    "yolo_rows": Family("edge_runtime.decoding.yolo:decode_rows", needs_nms=True, settings=("box_unit",)),
    "yolo_split": Family("edge_runtime.decoding.yolo:decode_split", needs_nms=True, settings=("box_unit",)),
    "yolo_split_rows": Family("edge_runtime.decoding.yolo:decode_split_rows", needs_nms=True, settings=("box_unit",)),
    "yolov5": Family("edge_runtime.decoding.yolo:decode_v5", needs_nms=True, settings=("box_unit",)),
    "yolo_end_to_end": Family("edge_runtime.decoding.yolo:decode_end_to_end", needs_nms=False, settings=("box_unit",)),
    "nanodet": Family("edge_runtime.decoding.nanodet:decode", needs_nms=True, settings=("strides",)),
    "nanodet_v0": Family("edge_runtime.decoding.nanodet:decode_v0", needs_nms=True, settings=("strides",)),
    "nanodet_v0_split": Family("edge_runtime.decoding.nanodet:decode_split", needs_nms=True, settings=("strides",)),
    "picodet": Family("edge_runtime.decoding.nanodet:decode_split", needs_nms=True, settings=("strides",)),
    "centernet": Family("edge_runtime.decoding.centernet:decode", needs_nms=False, settings=("strides",)),
    "centernet_planes": Family("edge_runtime.decoding.centernet:decode_planes", needs_nms=False, settings=("strides",)),
    # Source: MediaPipe's face detection, min_suppression_threshold.
    "blazeface": Family(
        "edge_runtime.decoding.blazeface:decode", needs_nms=True, settings=("strides",), iou_threshold=0.3
    ),
    "blazeface_full_range": Family(
        "edge_runtime.decoding.blazeface:decode_full_range", needs_nms=True, settings=("strides",), iou_threshold=0.3
    ),
    # Source: OpenCV's FaceDetectorYN, nms_threshold.
    "yunet": Family("edge_runtime.decoding.yunet:decode", needs_nms=True, settings=("strides",), iou_threshold=0.3),
    "classify": Family("edge_runtime.decoding.classify:decode", needs_nms=False, settings=("score_kind",)),
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
    points_model: NDArray[np.float32] | None = None  # (n, k, 2), x and y of key points, pixels of the model's input


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """The outputs of one invoke, and how to read them."""

    outputs: Sequence[NDArray[Any]]  # as stored, in the order of the model; may be lent, so they are not written to
    specs: Sequence[OutputSpec]  # one for each output
    model_wh: tuple[int, int]  # size of the model's input
    roles: Mapping[str, int]  # what an output is to its decoder -> its index

    def array(self, role: str) -> NDArray[Any]:
        """Return an output as stored."""
        return self.outputs[self.roles[role]]

    def spec(self, role: str) -> OutputSpec:
        """Return how an output is stored."""
        return self.specs[self.roles[role]]


class Decoder(Protocol):
    """From one invoke's outputs to candidates. Holds nothing between calls."""

    def __call__(self, heads: Heads, score_threshold: float) -> Candidates:
        """Return what reaches the threshold.

        A function of the table takes the settings of its family by name as well: `strides`, the pixels between the
        cells of each grid, the finest first; `box_unit`, "pixels" or "normalized"; `score_kind`, see `classify`.

        Args:
            heads: each decoder tells the shapes, units and ranges that it expects, by role.
            score_threshold: 0 to 1; applied to scores as they are stored, so that only rows that pass are dequantised.

        Raises:
            ModelError: the outputs do not fit the settings, or are not those of this family.
        """
