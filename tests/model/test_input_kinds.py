"""Every kind of input and output, from a file through an engine to the detections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from edge_runtime.detector import Detector
from edge_runtime.errors import ModelError
from tests.factory.models import Scripted, write_echo, write_model, write_raw_ssd, write_ssd

WIDTH, HEIGHT = 80, 64
IMAGE = np.random.default_rng(3).integers(0, 256, (100, 200, 3), np.uint8)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "float16", "float32"])
@pytest.mark.parametrize("shape", [(1, 24, 40, 3), (1, 3, 24, 40), (1, 24, 40, 1), (1, 1, 24, 40)])
def test_every_type_and_layout_of_the_input_runs(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    """None of them is square, so that exchanged sides are refused by the engine."""
    model = write_ssd(tmp_path / "m.tflite", input_shape=shape, input_dtype=dtype)
    with Detector(model, num_threads=1) as detector:
        found = detector.detect(IMAGE)
    assert detector.spec.size_wh == (40, 24)
    assert_allclose(found.boxes, [[0.2 * 200, 0.1 * 100, 0.6 * 200, 0.5 * 100]], rtol=1e-4)


def fcos(dtype: str, quantization: tuple[float, int] | None) -> list[Scripted]:
    """Return a head of stride 8 that finds one thing; scores and boxes have types of their own."""
    scores, boxes = np.zeros((1, 80, 2), dtype), np.zeros((1, 80, 4), np.float32)
    scale, zero = quantization or (1, 0)
    scores += np.array(zero, dtype)
    scores[0, 15, 1], boxes[0, 15] = 0.75 / scale + zero, (1, 1, 2, 2)
    return [Scripted("scores", scores, quantization), Scripted("boxes", boxes)]


@pytest.mark.parametrize(
    ("dtype", "quantization"),
    [("float32", None), ("uint8", (1 / 256, 0)), ("int8", (1 / 256, -128)), ("int16", (1 / 32768, 0))],
)
@pytest.mark.parametrize("input_dtype", ["uint8", "float32", "int16"])
def test_inputs_and_outputs_of_different_types_are_decoded(
    tmp_path: Path, input_dtype: str, dtype: str, quantization: tuple[float, int] | None
) -> None:
    """Converters quantise ends one by one: float in and int8 out, 16 bits beside float."""
    model = write_model(
        tmp_path / "m.tflite",
        input_shape=(1, HEIGHT, WIDTH, 3),
        input_dtype=input_dtype,
        outputs=fcos(dtype, quantization),
    )
    with Detector(model, num_threads=1) as detector:
        found = detector.detect(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert_allclose(found.scores, [0.75], atol=0.002)
    assert_allclose(found.boxes, [[44 - 8, 12 - 8, 44 + 16, 12 + 16]], rtol=1e-3)
    assert found.class_ids.tolist() == [1]


def test_scores_and_boxes_of_a_raw_ssd_have_a_quantisation_each(tmp_path: Path) -> None:
    """Encodings around zero, scores from zero on: in the other's scale both are nonsense."""
    encodings = np.full((3, 4), 128, np.uint8)
    scores = np.array([[0, 30, 200], [0, 10, 20], [0, 0, 0]], np.uint8)
    anchors = np.array([[0.5, 0.25, 0.5, 0.2], [0.5, 0.75, 0.5, 0.2], [0.5, 0.5, 0.5, 0.5]])
    encodings[0, 0] = 138  # ten steps of 0.1, and a tenth of the height of the anchor for each one
    model = write_raw_ssd(
        tmp_path / "m.tflite",
        encodings,
        scores,
        encodings_quantization=(0.1, 128),
        scores_quantization=(1 / 256, 0),
        anchors=anchors,
        input_shape=(1, 32, 48, 3),
    )
    with Detector(model, num_threads=1) as detector:
        found = detector.detect(IMAGE)
    assert found.class_ids.tolist() == [1]
    assert_allclose(found.scores, [200 / 256])
    assert_allclose(found.boxes, [[30, 30, 70, 80]], rtol=1e-4)


@pytest.mark.parametrize("shape", [(2, 24, 40, 3), (4, 1, 24, 40)])
def test_more_than_one_picture_at_once_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """A camera gives one frame; a batch would wait for others."""
    model = write_echo(tmp_path / "m.tflite", shape)
    with pytest.raises(ModelError, match=rf"a batch of {shape[0]}; export it with a batch of 1"):
        Detector(model, num_threads=1)
