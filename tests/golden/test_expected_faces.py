"""YuNet and YOLOX as .onnx files, decoded as every model is; the engine here is OpenCV's, which everybody has."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.detector import Detector
from edge_runtime.inference import TensorSpec
from edge_runtime.inference.fake import FakeBackend
from edge_runtime.model.flatbuffer import ModelFile, TensorInfo
from edge_runtime.model.spec import resolve_spec
from tests.golden.test_expected_detections import SCORE_TOLERANCE, is_among, picture

FLOAT = np.dtype("float32")
MODELS = {
    "yunet_n_320_320.onnx": (320, "yunet", None),
    "yolox_nano_416.onnx": (416, "yolox", "coco_80.txt"),
}


def opened(shared: Path, name: str, threshold: float) -> Detector:
    """Return a detector that runs an .onnx file in OpenCV."""
    side, decoder, labels = MODELS[name]
    path, shape = shared / "models" / name, (1, 3, side, side)
    network = cv2.dnn.readNetFromONNX(str(path))
    names = network.getUnconnectedOutLayersNames()

    def invoke(inputs: list[np.ndarray]) -> list[np.ndarray]:
        network.setInput(inputs[0])
        return [np.asarray(one) for one in network.forward(names)]

    shapes = [one.shape for one in invoke([np.zeros(shape, np.float32)])]
    source = TensorInfo("input", shape, shape, FLOAT)
    ends = tuple(TensorInfo(one, found, found, FLOAT) for one, found in zip(names, shapes, strict=True))
    file = ModelFile(path, path.stat().st_size, "", (source,), ends, (), ())
    labels_file = None if labels is None else shared / "models" / "labels" / labels
    spec = resolve_spec(path, file.inputs, file.outputs, model_file=file, labels_file=labels_file)
    assert spec.decoder == decoder
    outputs = [TensorSpec(one.name, one.shape, FLOAT) for one in ends]
    backend = FakeBackend([TensorSpec("input", shape, FLOAT)], outputs, invoke)
    return Detector.from_backend(backend, spec, score_threshold=threshold)


@pytest.mark.parametrize("name", MODELS)
def test_each_expected_detection_of_an_onnx_file_is_found(shared: Path, name: str) -> None:
    """Twelve outputs, or one with boxes relative to cells; NCHW, BGR, and the picture in the top left corner."""
    expected = json.loads((shared / "models" / "expected_detections.json").read_text())[name]
    missed, total = [], 0
    with opened(shared, name, expected["threshold"] - SCORE_TOLERANCE) as detector:
        for key, rows in expected["results"].items():
            image = picture(shared, key)
            found = detector.detect(image)
            names = detector.names_of(found)
            missed += [(key, row) for row in rows if not is_among(row, image, found, names, SCORE_TOLERANCE)]
            total += len(rows)
    assert total > 2
    assert missed == []


def blazeface(name: str) -> Callable[[Path], Detector]:
    return lambda shared: Detector(shared / "models" / name, num_threads=1, score_threshold=0.5)


FACES = {
    "blazeface_short_range.tflite": blazeface("blazeface_short_range.tflite"),
    "blazeface_front_float32.tflite": blazeface("blazeface_front_float32.tflite"),
    "yunet_n_320_320.onnx": lambda shared: opened(shared, "yunet_n_320_320.onnx", 0.5),
}


@pytest.mark.parametrize("name", FACES)
def test_key_points_lie_on_the_face_where_a_face_has_them(shared: Path, name: str) -> None:
    """Eyes above the nose above the mouth, all inside the box: points of another row or axis are nowhere near."""
    image = picture(shared, "images/reference/grace_hopper.bmp")
    with FACES[name](shared) as detector:
        found = detector.detect(image)
    (right_eye, left_eye, nose, mouth, *_) = found.keypoints[0]
    left, top, right, bottom = found.boxes[0]
    assert left < right_eye[0] < nose[0] < left_eye[0] < right
    assert top < max(right_eye[1], left_eye[1]) < nose[1] < mouth[1] < bottom


def test_key_points_of_two_models_agree(shared: Path) -> None:
    """Made by other people from other data; the eyes of the same face are in the same place."""
    image = picture(shared, "images/reference/grace_hopper.bmp")
    eyes = []
    for name in ("blazeface_short_range.tflite", "yunet_n_320_320.onnx"):
        with FACES[name](shared) as detector:
            found = detector.detect(image)
            eyes.append(found.keypoints[0, :2])
            width = found.boxes[0, 2] - found.boxes[0, 0]
    assert np.abs(eyes[0] - eyes[1]).max() < 0.1 * width
