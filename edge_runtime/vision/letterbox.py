"""The geometry between a frame and the model's input, in both directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FITS = ("stretch", "letterbox", "letterbox-topleft")


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where a frame lies inside the model's input: resized to `content_wh`, its corner at `offset_xy`.

    The content has a whole number of pixels, so its true scale differs a little from the ideal one, and from x
    to y. Both directions use the true scale; boxes come back where they were.
    """

    frame_wh: tuple[int, int]
    model_wh: tuple[int, int]
    content_wh: tuple[int, int]
    offset_xy: tuple[int, int]

    @property
    def scale_xy(self) -> tuple[float, float]:
        """Model pixels per frame pixel, in x and y."""
        return self.content_wh[0] / self.frame_wh[0], self.content_wh[1] / self.frame_wh[1]

    def to_frame(self, boxes_model: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, 4) xyxy in frame pixels from (n, 4) xyxy in model pixels."""
        return ((boxes_model - self._offset()) / self._scale()).astype(np.float32)

    def points_to_frame(self, points_model: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, k, 2) points in frame pixels from (n, k, 2) points in model pixels."""
        return ((points_model - self._offset()[:2]) / self._scale()[:2]).astype(np.float32)

    def to_model(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, 4) xyxy in model pixels from (n, 4) xyxy in frame pixels."""
        return (boxes * self._scale() + self._offset()).astype(np.float32)

    def _scale(self) -> NDArray[np.float64]:
        return np.array(self.scale_xy * 2)

    def _offset(self) -> NDArray[np.float64]:
        return np.array(self.offset_xy * 2, np.float64)


def fit(frame_wh: tuple[int, int], model_wh: tuple[int, int], how: str) -> Letterbox:
    """Return how a frame of this size goes into the model's input.

    Args:
        frame_wh: size of the frame, both at least 1.
        model_wh: size of the model's input.
        how: "stretch" fills the input and distorts; "letterbox" keeps the shape, centred (Ultralytics, MediaPipe);
            "letterbox-topleft" keeps the shape, in the top left corner (YOLOX).

    Raises:
        ValueError: `how` is none of these.
    """
    if how not in FITS:
        raise ValueError(f"fit: {how!r} is unknown; choose from {', '.join(FITS)}")
    if how == "stretch":
        return Letterbox(frame_wh, model_wh, model_wh, (0, 0))
    scale = min(model_wh[0] / frame_wh[0], model_wh[1] / frame_wh[1])
    content_wh = (_whole(frame_wh[0] * scale, model_wh[0]), _whole(frame_wh[1] * scale, model_wh[1]))
    if how == "letterbox-topleft":
        return Letterbox(frame_wh, model_wh, content_wh, (0, 0))
    offset_xy = ((model_wh[0] - content_wh[0]) // 2, (model_wh[1] - content_wh[1]) // 2)
    return Letterbox(frame_wh, model_wh, content_wh, offset_xy)


def _whole(length: float, most: int) -> int:
    return max(1, min(most, round(length)))
