"""From a model file and a frame to detections in pixels of that frame, on the engine that is installed.

The models are scripted: what they find is known, so every box must come back where it was put.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from edge_runtime.detections import Detections
from edge_runtime.detector import Detector
from edge_runtime.errors import BackendError, ModelError
from edge_runtime.inference.engine import load_engine
from edge_runtime.inference.threads import available_cores
from edge_runtime.inference.verdicts import cache_folder, model_key, remember
from tests.factory.broken import BROKEN, write_broken
from tests.factory.metadata import embedded_metadata
from tests.factory.models import (
    NAMELESS,
    SSD_ROLES,
    TF1_NAMES,
    TF2_NAMES,
    TF2_SIGNATURE,
    Scripted,
    ssd_arrays,
    write_classifier,
    write_model,
    write_postprocess_ssd,
    write_raw_ssd,
    write_ssd,
)

BOXES_YXYX = np.array([(0.1, 0.2, 0.5, 0.6), (0.25, 0.5, 1.0, 0.875), (0.0, 0.0, 0.125, 1.0)])
CLASSES, SCORES = (3, 0, 17), (0.9, 0.75, 0.5)
FRAMES_WH = [(640, 480), (480, 640), (1280, 720), (300, 300), (33, 517)]
LAYOUTS = {"NHWC": (1, 24, 40, 3), "NCHW": (1, 3, 24, 40)}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "m.tflite"


def opened(model: Path, **options: Any) -> Detector:
    """Return a detector of a model that is known to be sound: tflite-runtime's probe, half a second, is spared."""
    remember(cache_folder(), model_key(model, load_engine(), available_cores()), {"opens": True})
    return Detector(model, num_threads=1, **options)


def frame(size_wh: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)


def pixels(size_wh: tuple[int, int], boxes_yxyx: np.ndarray = BOXES_YXYX) -> np.ndarray:
    """Return (n, 4) xyxy in a frame of this size that was stretched to the input."""
    return boxes_yxyx[:, [1, 0, 3, 2]] * np.array([*size_wh, *size_wh])


def assert_found(found: Detections, size_wh: tuple[int, int], *, score_step: float = 0, box_step: float = 0) -> None:
    """Check that found are the scripted boxes; a step is half of what quantisation may move, of 1 and of a side."""
    assert_array_equal(found.class_ids, CLASSES)
    assert_allclose(found.scores, SCORES, atol=score_step + 1e-6)
    assert_allclose(found.boxes, pixels(size_wh), atol=box_step * max(size_wh) + 1e-3)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "float32"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_boxes_come_back_in_frame_pixels_for_every_input(model: Path, dtype: str, layout: str) -> None:
    """Type and layout of the input are the model's affair: whoever reads the boxes does not notice them."""
    write_ssd(model, BOXES_YXYX, CLASSES, SCORES, input_dtype=dtype, input_shape=LAYOUTS[layout])
    with opened(model) as detector:
        assert detector.spec.size_wh == (40, 24)
        for size_wh in FRAMES_WH:
            assert_found(detector.detect(frame(size_wh)), size_wh)


ORDERS = [*permutations(SSD_ROLES)]


@pytest.mark.parametrize("order", ORDERS[::5], ids="-".join)
@pytest.mark.parametrize("names", [TF1_NAMES, TF2_NAMES], ids=["TF1", "TF2"])
def test_the_order_of_the_outputs_does_not_matter(model: Path, order: Sequence[str], names: dict[str, str]) -> None:
    """Exports of one network differ in it, and swapped classes and scores look like a bad model."""
    write_ssd(model, BOXES_YXYX, CLASSES, SCORES, order=order, names=names)
    with opened(model) as detector:
        assert_found(detector.detect(frame((64, 48))), (64, 48))


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_outputs_without_telling_names_are_told_apart(model: Path, order: Sequence[str]) -> None:
    """By the signature where there is one, by shapes and values where there is none."""
    for signature_names in (None, TF2_SIGNATURE):
        write_ssd(
            model, BOXES_YXYX, CLASSES, SCORES, order=order, names=NAMELESS, signature_names=signature_names, rows=3
        )  # fmt: skip
        with opened(model) as detector:
            assert_found(detector.detect(frame((64, 48))), (64, 48))


def test_the_operator_itself_finds_what_was_put_into_it(model: Path) -> None:
    """The real TFLite_Detection_PostProcess, whose outputs have no shape in the file."""
    write_postprocess_ssd(model, BOXES_YXYX, CLASSES, SCORES, order=("scores", "boxes", "count", "classes"))
    with opened(model) as detector:
        for size_wh in FRAMES_WH:
            assert_found(detector.detect(frame(size_wh)), size_wh)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_quantised_outputs_are_found_within_their_steps(model: Path, dtype: str) -> None:
    """A full integer conversion quantises what comes out as well, counts and class ids included."""
    low = np.iinfo(dtype).min
    steps = {"boxes": (1 / 255, low), "classes": (1.0, low), "scores": (1 / 256, low), "count": (1.0, low)}
    outputs = [
        Scripted(TF1_NAMES[role], np.rint(real / steps[role][0] + low).astype(dtype), steps[role])
        for role, real in ssd_arrays(BOXES_YXYX, CLASSES, SCORES).items()
    ]
    write_model(model, input_dtype=dtype, outputs=outputs)
    with opened(model) as detector:
        assert_found(detector.detect(frame((640, 480))), (640, 480), score_step=1 / 512, box_step=1 / 510)


def raw_ssd(model: Path, dtype: str, **options: Any) -> Path:
    """Write a raw SSD whose anchors are the boxes: encodings of zero, scores one-hot, and an anchor nobody is at."""
    anchors_yxyx = np.concatenate([BOXES_YXYX, [(0.4, 0.4, 0.6, 0.6)]])
    anchors = np.concatenate(
        [(anchors_yxyx[:, :2] + anchors_yxyx[:, 2:]) / 2, anchors_yxyx[:, 2:] - anchors_yxyx[:, :2]], 1
    )
    scores = np.zeros((4, 21))
    scores[np.arange(3), np.array(CLASSES) + 1] = SCORES
    scores[3, 0] = 0.99  # sure of the background
    if dtype == "float32":
        return write_raw_ssd(model, np.zeros((4, 4), np.float32), scores.astype(np.float32), anchors=anchors, **options)
    low = np.iinfo(dtype).min
    return write_raw_ssd(
        model, np.full((4, 4), 5, dtype), np.rint(scores * 256 + low).astype(dtype), anchors=anchors,
        encodings_quantization=(0.08, 5), scores_quantization=(1 / 256, low), **options,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_raw_ssd_is_decoded_with_the_anchors_beside_it(model: Path, dtype: str, layout: str) -> None:
    """The same boxes as with the operator in the model: what was cut off is done here."""
    input_dtype = dtype if dtype != "float32" else "int16"
    with opened(raw_ssd(model, dtype, input_dtype=input_dtype, input_shape=LAYOUTS[layout])) as detector:
        assert detector.spec.decoder == "ssd_anchors"
        for size_wh in FRAMES_WH:
            assert_found(detector.detect(frame(size_wh)), size_wh, score_step=1 / 512)


LABELS = "\n".join(f"thing {number}" for number in range(90))


@pytest.mark.parametrize("write", [write_ssd, write_postprocess_ssd])
def test_labels_inside_the_model_name_what_is_found(model: Path, write: Callable[..., Path]) -> None:
    """Nobody should have to look for the label file of a model that brings it along."""
    write(model, BOXES_YXYX, CLASSES, SCORES, metadata=embedded_metadata(), packed={"labelmap.txt": LABELS})
    with opened(model, classes=["thing 17", "thing 3"]) as detector:
        found = detector.detect(frame((640, 480)))
        assert detector.names_of(found) == ("thing 3", "thing 17")
        assert_allclose(found.boxes, pixels((640, 480))[[0, 2]], atol=1e-3)


def test_a_sidecar_outweighs_what_the_model_says_of_itself(model: Path) -> None:
    """Wrong labels and swapped roles inside a file that cannot be converted again are mended beside it."""
    swapped = TF1_NAMES | {"classes": TF1_NAMES["scores"], "scores": TF1_NAMES["classes"]}
    write_ssd(
        model, BOXES_YXYX, CLASSES, SCORES, names=swapped, metadata=embedded_metadata(), packed={"labelmap.txt": LABELS}
    )  # fmt: skip
    model.with_suffix(".toml").write_text(
        'labels = ["???", "dog", "b", "c", "cat"]\nclass_offset = 1\n[outputs]\nclasses = 1\nscores = 2\n'
    )
    with opened(model) as detector:
        found = detector.detect(frame((640, 480)))
        assert_found(found, (640, 480))
        assert detector.names_of(found)[:2] == ("cat", "dog")


@pytest.mark.parametrize("size_wh", FRAMES_WH)
@pytest.mark.parametrize("fit", ["letterbox", "letterbox-topleft"])
def test_boxes_come_back_from_a_letterbox(model: Path, fit: str, size_wh: tuple[int, int]) -> None:
    """The model sees a picture with borders; boxes count from the corner of the frame, and end at its edge."""
    side = 64
    write_ssd(model, BOXES_YXYX, CLASSES, SCORES, input_shape=(1, side, side, 3))
    model.with_suffix(".toml").write_text(f'fit = "{fit}"')
    scale = side / max(size_wh)
    content = np.array([round(one * scale) for one in size_wh])
    corner = (side - content) // 2 if fit == "letterbox" else np.zeros(2)
    in_model = pixels((side, side)).reshape(-1, 2, 2)
    expected = np.clip((in_model - corner) * np.array(size_wh) / content, 0, size_wh).reshape(-1, 4)
    with opened(model) as detector:
        found = detector.detect(frame(size_wh))
    assert_allclose(found.boxes, expected, atol=1e-2)
    assert_array_equal(found.class_ids, CLASSES)


def test_frames_may_change_their_size_on_the_way(model: Path) -> None:
    """A network camera is reconfigured while it runs."""
    write_ssd(model, BOXES_YXYX, CLASSES, SCORES)
    with opened(model) as detector:
        for size_wh in (*FRAMES_WH, *FRAMES_WH):
            assert_found(detector.detect(frame(size_wh)), size_wh)


@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.8, 0.95])
def test_the_threshold_keeps_the_best(model: Path, threshold: float) -> None:
    write_ssd(model, BOXES_YXYX, CLASSES, SCORES)
    with opened(model, score_threshold=threshold) as detector:
        found = detector.detect(frame((64, 48)))
    assert_allclose(found.scores, [score for score in SCORES if score >= threshold], atol=1e-6)


@pytest.mark.parametrize("kind", sorted(set(BROKEN) - {"edgetpu"}))
def test_what_is_no_usable_detector_is_refused_in_one_line_that_names_it(model: Path, kind: str) -> None:
    """Before the camera is opened, and with what to do about it."""
    with pytest.raises(ModelError) as caught:
        Detector(write_broken(kind, model), num_threads=1)
    assert str(caught.value).startswith(f"{model}: ")
    assert "\n" not in str(caught.value)
    assert ";" in str(caught.value)


def test_a_model_for_the_edge_tpu_does_not_run_on_the_cpu_unasked(model: Path) -> None:
    """Nor does the engine's "unresolved custom op" help anybody."""
    with pytest.raises(BackendError, match=r"libedgetpu|Edge TPU"):
        Detector(write_broken("edgetpu", model))


def test_a_classifier_is_refused_as_one(model: Path) -> None:
    """It is what people give by mistake."""
    write_classifier(model)
    with pytest.raises(ModelError, match=r"m\.tflite: .*classifier"):
        opened(model)
