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


DECODERS = {
    "ssd_postprocess": Family("edge_runtime.decoding.ssd_postprocess:decode", needs_nms=False),
    "ssd_anchors": Family("edge_runtime.decoding.ssd_anchors:decode", needs_nms=True),
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
