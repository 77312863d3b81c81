"""A detector that finds exactly what is in the pictures it was told about, on a prepared backend.

All around it is real: the preprocessing, the tensor, the decoder, the labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edge_runtime.capture.sprites import SHAPES
from edge_runtime.detections import Detections
from edge_runtime.detector import Detector
from edge_runtime.inference import Quantization, TensorSpec
from edge_runtime.inference.fake import FakeBackend
from edge_runtime.model.labels import Labels
from edge_runtime.model.spec import ModelSpec
from edge_runtime.selftest.checks import turned
from edge_runtime.selftest.frames import Shown
from tests.factory.models import SSD_ROLES, ssd_arrays

ROWS = 20
MODEL_WH = (192, 160)
SPEC = ModelSpec(
    decoder="ssd_postprocess", size_wh=MODEL_WH, is_nchw=False, color="rgb", mean=None, std=None, fit="letterbox",
    fill=(114.0, 114.0, 114.0), roles={role: index for index, role in enumerate(SSD_ROLES)}, labels=Labels(SHAPES),
)  # fmt: skip


class Oracle:
    """Knows the pictures by what arrives at the model; a picture it was not told about is empty."""

    def __init__(self, *, spec: ModelSpec = SPEC, dtype: str = "uint8") -> None:
        shape = (1, 3, *MODEL_WH[::-1]) if spec.is_nchw else (1, *MODEL_WH[::-1], 3)
        quantization = Quantization(1 / 128, 128) if dtype == "uint8" else None
        float32 = np.dtype("float32")
        outputs = [TensorSpec(role, one.shape, float32) for role, one in ssd_arrays([], [], [], rows=ROWS).items()]
        backend = FakeBackend([TensorSpec("image", shape, np.dtype(dtype), quantization)], outputs, self._answer)
        self.detector = Detector.from_backend(backend, spec)
        self._answers: dict[bytes, Detections] = {}

    def learn(self, shown: Shown, truth: Detections | None = None) -> Shown:
        """Remember what is in a picture, its own truth or another; return the picture."""
        known = truth or shown.truth
        assert known is not None
        shrunk = self.detector.shrink(shown.image)
        tensor = self.detector._preprocessor.finish(shrunk)
        scale = np.tile(MODEL_WH, 2)
        self._answers[tensor.tobytes()] = replace(known, boxes=shrunk.letterbox.to_model(known.boxes) / scale)
        return shown

    def _answer(self, inputs: Sequence[np.ndarray]) -> list[Any]:
        found = self._answers.get(inputs[0].tobytes(), Detections.empty())
        return list(ssd_arrays(found.boxes[:, [1, 0, 3, 2]], found.class_ids, found.scores, rows=ROWS).values())


def taught(pictures: Iterable[Shown], **options: Any) -> tuple[Oracle, list[Shown]]:
    """Return an oracle that knows these pictures, and the pictures."""
    oracle = Oracle(**options)
    return oracle, [oracle.learn(one) for one in pictures]


def moved(shown: Shown, *, mirrored: bool = False, turns: int = 0) -> tuple[Shown, Detections]:
    """Return a picture as a wrongly mounted camera delivers it, its truth left as it was, and the real truth."""
    image = shown.image[:, ::-1] if mirrored else shown.image
    image = np.ascontiguousarray(np.rot90(image, -turns))
    assert shown.truth is not None
    boxes_norm = turned(shown.truth.boxes / np.tile(shown.truth_wh, 2), mirrored=mirrored, turns=turns)
    boxes = (boxes_norm * np.tile(image.shape[1::-1], 2)).astype(np.float32)
    return replace(shown, image=image), replace(shown.truth, boxes=boxes)
