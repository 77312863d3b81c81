"""One image in, detections out, on a prepared backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from edge_runtime.detector import Detector
from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.inference import Quantization, TensorSpec
from edge_runtime.inference.fake import FakeBackend
from edge_runtime.model.labels import Labels
from edge_runtime.model.spec import ModelSpec
from tests.factory.models import write_classifier

ROLES = {"boxes": 0, "classes": 1, "scores": 2, "count": 3}
INPUT = TensorSpec("image", (1, 20, 40, 3), np.dtype("uint8"), Quantization(1 / 128, 128))
SPEC = ModelSpec(
    decoder="ssd_postprocess", size_wh=(40, 20), is_nchw=False, color="rgb", mean=None, std=None, fit="stretch",
    fill=(0.0, 0.0, 0.0), roles=ROLES, labels=Labels(("person", None, "car")),
)  # fmt: skip
ROWS = [
    (0.5, (0.1, 0.1, 0.5, 0.5), 0),
    (0.9, (0.0, 0.0, 1.0, 1.0), 2),
    (0.7, (0.11, 0.1, 0.5, 0.5), 0),
    (0.2, (0.0, 0.0, 0.1, 0.1), 1),
]


def backend(rows: Sequence[tuple[float, tuple[float, ...], int]] = ROWS) -> FakeBackend:
    count = len(rows)
    float32 = np.dtype("float32")
    outputs = [
        TensorSpec("boxes", (1, count, 4), float32), TensorSpec("classes", (1, count), float32),
        TensorSpec("scores", (1, count), float32), TensorSpec("count", (1,), float32),
    ]  # fmt: skip
    answer = [
        np.array([[box for _, box, _ in rows]], np.float32).reshape(1, count, 4),
        np.array([[class_id for _, _, class_id in rows]], np.float32),
        np.array([[score for score, _, _ in rows]], np.float32),
        np.array([count], np.float32),
    ]
    return FakeBackend([INPUT], outputs, lambda inputs: answer)


def image(width: int = 400, height: int = 100) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def test_detections_come_best_first_in_pixels_of_the_frame() -> None:
    found = Detector.from_backend(backend(), SPEC).detect(image())
    assert_allclose(found.scores, [0.9, 0.7, 0.5])
    assert_allclose(found.boxes[0], [0, 0, 400, 100])
    assert_allclose(found.boxes[2], [40, 10, 200, 50], rtol=1e-5)


FACES = replace(SPEC, decoder="blazeface", size_wh=(40, 20), fit="letterbox", roles={"boxes": 0, "scores": 1},
                labels=Labels(("face",)), strides=(20,))  # fmt: skip


def faces() -> FakeBackend:
    """Return a model with two faces on four anchors, the second the surer one."""
    boxes, scores = np.zeros((1, 4, 16), np.float32), np.full((1, 4, 1), -9, np.float32)
    boxes[0, 0], boxes[0, 2] = [0, 0, 8, 8, *[1] * 12], [0, 0, 4, 4, *[-2] * 12]
    scores[0, 0], scores[0, 2] = 1, 3
    outputs = [TensorSpec("b", boxes.shape, boxes.dtype), TensorSpec("s", scores.shape, scores.dtype)]
    return FakeBackend([INPUT], outputs, lambda inputs: [boxes, scores])


def test_key_points_stay_with_their_face_in_pixels_of_the_frame() -> None:
    """Sorting, suppression and the letterbox must move them as they move the boxes."""
    found = Detector.from_backend(faces(), FACES).detect(image(400, 100))  # ten times smaller, 5 rows of border above
    assert_allclose(found.scores, 1 / (1 + np.exp([-3.0, -1.0])), rtol=1e-5)
    assert_allclose(found.keypoints[:, 0], [[280, 30], [110, 60]], rtol=1e-5)
    assert_allclose(found[found.scores > 0.9].keypoints.shape, (1, 6, 2))


def test_a_class_below_the_first_is_no_detection() -> None:
    """A damaged float model gives such numbers, and Python would count them from the last label."""
    rows = [*ROWS, (0.95, (0, 0, 1, 1), -7)]
    assert_allclose(Detector.from_backend(backend(rows), SPEC).detect(image()).scores, [0.9, 0.7, 0.5])


CLASSES = replace(SPEC, decoder="classify", roles={"scores": 0}, labels=Labels(("cat", "dog", "cow")))


def test_a_classifier_gives_labels_of_the_whole_frame() -> None:
    """The same columns as a detector's, so that every output takes them."""
    values = np.array([[0.3, 0.6, 0.1]], np.float32)
    backend = FakeBackend([INPUT], [TensorSpec("p", (1, 3), np.dtype("float32"))], lambda inputs: [values])
    detector = Detector.from_backend(backend, CLASSES, score_threshold=0.2)
    found = detector.detect(image(400, 100))
    assert (detector.task, detector.names_of(found)) == ("classify", ("dog", "cat"))
    assert_allclose(found.boxes, [[0, 0, 400, 100]] * 2)
    best = Detector.from_backend(backend, CLASSES, score_threshold=0, max_detections=1).detect(image())
    assert best.class_ids.tolist() == [1]


def test_anchors_are_made_where_the_spec_names_a_recipe() -> None:
    """The box of an encoding of zeros is the anchor itself."""
    encodings, scores = np.zeros((1, 2034, 4), np.uint8), np.zeros((1, 2034, 2), np.uint8)
    scores[0, -1, 1] = 255
    quantized = Quantization(1 / 256, 0)
    outputs = [TensorSpec("b", encodings.shape, encodings.dtype, quantized),
               TensorSpec("s", scores.shape, scores.dtype, quantized)]  # fmt: skip
    source = TensorSpec("image", (1, 320, 320, 3), np.dtype("uint8"), Quantization(1 / 128, 128))
    spec = replace(
        SPEC, decoder="ssd_anchors", size_wh=(320, 320), roles={"boxes": 0, "scores": 1}, anchor_recipe="ssd"
    )
    detector = Detector.from_backend(FakeBackend([source], outputs, lambda inputs: [encodings, scores]), spec)
    side = np.sqrt(0.95)
    (box,) = detector.detect(image(100, 100)).boxes
    assert_allclose(box, np.array([0.5 - side / 2] * 2 + [0.5 + side / 2] * 2) * 100, rtol=1e-5)


def test_classes_keeps_only_what_was_named() -> None:
    detector = Detector.from_backend(backend(), SPEC, classes=["car"])
    found = detector.detect(image())
    assert detector.names_of(found) == ("car",)


def test_classes_without_labels_says_which_flag_is_missing() -> None:
    with pytest.raises(ConfigError, match="--labels"):
        Detector.from_backend(backend(), replace(SPEC, labels=None), classes=["car"])


def test_an_unknown_class_is_refused_at_the_start() -> None:
    """Found out after a night of empty results, it is too late."""
    with pytest.raises(ConfigError, match="person"):
        Detector.from_backend(backend(), SPEC, classes=["persn"])


def test_the_overlap_limit_applies_where_it_is_given_and_not_where_the_model_has_its_own() -> None:
    assert len(Detector.from_backend(backend(), SPEC).detect(image())) == 3
    assert_allclose(Detector.from_backend(backend(), SPEC, iou_threshold=0.5).detect(image()).scores, [0.9, 0.7])


def test_no_more_than_max_detections_are_kept_the_best_ones() -> None:
    assert_allclose(Detector.from_backend(backend(), SPEC, max_detections=1).detect(image()).scores, [0.9])


def test_nothing_found_is_an_empty_result_not_an_error() -> None:
    detector = Detector.from_backend(backend(), SPEC, score_threshold=0.99)
    found = detector.detect(image())
    assert (len(found), detector.names_of(found)) == (0, ())


def test_a_class_without_a_label_has_a_name_all_the_same() -> None:
    detector = Detector.from_backend(backend([(0.9, (0.0, 0.0, 1.0, 1.0), 1)]), SPEC)
    assert detector.names_of(detector.detect(image())) == ("class 1",)
    unlabelled = Detector.from_backend(backend([(0.9, (0.0, 0.0, 1.0, 1.0), 7)]), replace(SPEC, labels=None))
    assert unlabelled.names_of(unlabelled.detect(image())) == ("class 7",)


def test_a_label_map_with_a_background_line_is_not_off_by_one() -> None:
    """Class 0 of the model is line 1 of the older starter map."""
    labels = Labels(("???", "person", "bicycle"), offset=1)
    detector = Detector.from_backend(backend(), replace(SPEC, labels=labels), classes=["person"])
    found = detector.detect(image())
    assert set(detector.names_of(found)) == {"person"}
    assert_array_equal(found.class_ids, [0, 0])


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3)), np.zeros((0, 5, 3), np.uint8)],
    ids=["grey", "alpha", "float", "empty"],
)  # fmt: skip
def test_what_is_no_bgr_image_is_refused_with_what_it_is(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\) BGR"):
        Detector.from_backend(backend(), SPEC).detect(wrong)


@pytest.mark.parametrize(("wrong", "named"), [(None, "NoneType"), ("street.jpg", "str"), ([[0]], "list")])
def test_what_is_no_image_at_all_is_refused_in_the_same_way(wrong: Any, named: str) -> None:
    """cv2.imread returns None for a file that is not there, and everybody passes that on once."""
    with pytest.raises(ValueError, match=rf"image: expected uint8 \(H, W, 3\) BGR, got {named}"):
        Detector.from_backend(backend(), SPEC).detect(wrong)


def test_a_model_for_the_edge_tpu_that_is_no_detector_is_refused_before_a_device_is_asked_for(tmp_path: Path) -> None:
    """Installing libedgetpu for it would be in vain."""
    model = write_classifier(tmp_path / "m.tflite", custom_op="edgetpu-custom-op")
    with pytest.raises(ModelError, match="looks like a classifier"):
        Detector(model, backend="edgetpu")


def test_a_decoder_gets_the_settings_of_its_model() -> None:
    """Strides and units are the model's, so a detector binds them once: here one grid of 10 pixels, 4 by 2 cells."""
    float32 = np.dtype("float32")
    boxes, scores = np.ones((1, 8, 4), np.float32), np.zeros((1, 8, 2), np.float32)
    scores[0, [0, 5], 1] = 0.9
    answer = [boxes, scores]
    outputs = [TensorSpec("boxes", boxes.shape, float32), TensorSpec("scores", scores.shape, float32)]
    spec = replace(SPEC, decoder="fcos", roles={"boxes": 0, "scores": 1}, strides=(10,), labels=None)
    detector = Detector.from_backend(FakeBackend([INPUT], outputs, lambda inputs: answer), spec)
    found = detector.detect(image(400, 200))
    assert_allclose(found.boxes, [[0, 0, 150, 150], [50, 50, 250, 200]])


def test_a_family_may_have_an_overlap_limit_of_its_own() -> None:
    """Faces of one crowd never share a third of their area; two such boxes are one face."""
    boxes, scores = np.zeros((1, 896, 16), np.float32), np.full((1, 896, 1), -9, np.float32)
    boxes[0, :, :4] = [0, 0, 20, 20]
    scores[0, [0, 2]] = 3  # 8 pixels from one another: IoU 0.43
    outputs = [TensorSpec("b", boxes.shape, np.dtype("float32")), TensorSpec("s", scores.shape, np.dtype("float32"))]
    spec = replace(
        SPEC, decoder="blazeface", size_wh=(128, 128), roles={"boxes": 0, "scores": 1}, strides=(8, 16, 16, 16)
    )
    square = TensorSpec("image", (1, 128, 128, 3), np.dtype("uint8"), Quantization(1 / 128, 128))
    face = FakeBackend([square], outputs, lambda inputs: [boxes, scores])
    assert len(Detector.from_backend(face, spec).detect(image(128, 128))) == 1
    assert len(Detector.from_backend(face, spec, iou_threshold=0.6).detect(image(128, 128))) == 2


def test_the_three_steps_together_are_detect() -> None:
    """The pipeline takes the steps one by one, each in another thread."""
    detector = Detector.from_backend(backend(), SPEC)
    invoked = detector.invoke(detector.shrink(image()))
    assert_allclose(detector.decode(invoked).boxes, detector.detect(image()).boxes)
    found, stages_ns = detector.detect_timed(image())
    assert_allclose(found.scores, detector.decode(invoked).scores)
    assert set(stages_ns) == {"preprocess", "invoke", "decode"}


def test_leaving_the_block_frees_the_backend() -> None:
    fake = backend()
    with Detector.from_backend(fake, SPEC):
        pass
    assert fake.is_closed
