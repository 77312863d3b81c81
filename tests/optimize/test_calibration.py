"""Pictures to calibrate with: enough, shuffled, none artificial; and how they go into the model."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.optimize.calibration import (
    CHECKED,
    LEAST,
    is_extreme,
    load_pictures,
    resolve_feed,
    scenes,
    shuffled,
)
from tests.factory.metadata import embedded_metadata
from tests.factory.models import Scripted, write_classifier, write_model
from tests.optimize.material import SIDE, picture, write_detector, write_pictures

WH = (64, 48)


def test_pictures_are_shuffled_by_the_seed_and_not_taken_by_name(tmp_path: Path) -> None:
    """Folders are sorted by place and time; what is calibrated on must not be one of both."""
    folder = write_pictures(tmp_path / "p", 40)
    names = [path.name for path in shuffled(folder, 0)]
    assert names != sorted(names)
    assert sorted(names) == sorted(path.name for path in folder.iterdir())
    assert names == [path.name for path in shuffled(folder, 0)]
    assert names != [path.name for path in shuffled(folder, 1)]


def test_variants_are_compared_on_other_pictures_than_those_for_calibration(tmp_path: Path) -> None:
    """What was calibrated on looks better than it is."""
    found = load_pictures(write_pictures(tmp_path / "p", 60), size_wh=WH, count=30)
    assert (len(found.calibration), len(found.check)) == (30, CHECKED)
    used = {one.args for one in found.calibration}
    assert used.isdisjoint(one.args for one in found.check)


def test_few_pictures_are_used_with_a_warning(tmp_path: Path) -> None:
    found = load_pictures(write_pictures(tmp_path / "p", LEAST), size_wh=WH)
    assert len(found.calibration) == LEAST
    assert "10 pictures are few; with 50 to 200" in str(found.warning)


@pytest.mark.parametrize("count", [1, LEAST - 1])
def test_too_few_pictures_are_an_error_that_says_how_many(tmp_path: Path, count: int) -> None:
    with pytest.raises(ConfigError, match=f"holds {count} pictures that can be used, at least 10 are needed"):
        load_pictures(write_pictures(tmp_path / "p", count), size_wh=WH)


def test_a_folder_without_pictures_one_file_and_nothing_are_told_apart(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "p", 1)
    (tmp_path / "empty").mkdir()
    answers = {
        folder / "000.png": "is one file",
        tmp_path / "empty": "holds no pictures",
        tmp_path / "x": "does not exist",
    }
    for source, answer in answers.items():
        with pytest.raises(ConfigError, match=answer):
            load_pictures(source, size_wh=WH)


def test_pictures_that_cannot_be_read_are_left_out_and_named(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "p", 12)
    (folder / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    found = load_pictures(folder, size_wh=WH)
    assert len(found.calibration) == 10
    assert len(found.left_out) == 1
    assert "torn.jpg" in found.left_out[0]


def test_black_white_and_flat_pictures_are_left_out(tmp_path: Path) -> None:
    """One of them first has cost six points of mAP: it stretches the ranges of all the others."""
    folder = write_pictures(tmp_path / "p", 12)
    board = np.kron(np.indices((6, 6)).sum(0) % 2 * 255, np.ones((8, 8))).astype(np.uint8)
    artificial = {"black": np.zeros((48, 48, 3), np.uint8), "grey": np.full((48, 48, 3), 130, np.uint8),
                  "board": cv2.merge([board] * 3)}  # fmt: skip
    for name, image in artificial.items():
        cv2.imwrite(str(folder / f"{name}.png"), image)
        assert is_extreme(image)
    assert not is_extreme(picture(3))
    left_out = load_pictures(folder, size_wh=WH).left_out
    assert sorted(Path(one.split(":")[0].removeprefix("picture ")).stem for one in left_out) == sorted(artificial)


def test_only_artificial_pictures_are_an_error(tmp_path: Path) -> None:
    for number in range(20):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((20, 20, 3), number * 10, np.uint8))
    with pytest.raises(ConfigError, match=r"holds 0 pictures that can be used.*of one colour"):
        load_pictures(tmp_path, size_wh=WH)


def test_drawn_pictures_are_the_same_every_time_and_others_for_the_comparison() -> None:
    one, other = (load_pictures("scene", size_wh=WH, count=12) for _ in range(2))
    assert_array_equal(one.calibration[3](), other.calibration[3]())
    assert not np.array_equal(one.calibration[0](), one.check[0]())
    assert one.calibration[0]().shape == (48, 64, 3)
    assert len(scenes(WH).calibration) == 0


@pytest.mark.parametrize("count", [9, 201])
def test_so_many_pictures_are_not_taken(count: int) -> None:
    with pytest.raises(ConfigError, match=r"--pictures: .+ is not allowed; give 10 to 200"):
        load_pictures("scene", size_wh=WH, count=count)


def test_a_detector_is_fed_as_at_run_time(tmp_path: Path) -> None:
    """Another scaling than the camera's pictures get would calibrate another model."""
    feed = resolve_feed(write_detector(tmp_path / "m.tflite"))
    assert feed.spec is not None
    assert feed.spec.decoder == "fcos"
    assert (feed.span, feed.is_straight) == ((0.0, 1.0), True)
    image = picture(0)
    (tensor,) = feed.tensors([lambda: image])
    assert tensor.shape == (1, SIDE, SIDE, 3)
    assert_allclose(tensor[0], image[..., ::-1] / 255, atol=1e-6)


def write_float_classifier(path: Path, metadata: bytes | None = None) -> Path:
    outputs = [Scripted("scores", np.zeros((1, 1001), np.float32))]
    return write_model(path, input_dtype="float32", outputs=outputs, metadata=metadata)


def test_what_is_no_detector_is_fed_as_its_metadata_says(tmp_path: Path) -> None:
    feed = resolve_feed(write_float_classifier(tmp_path / "m.tflite", embedded_metadata()))
    assert feed.spec is None
    assert "classifier" in feed.why_none
    assert feed.span == (-1.0, 1.0)


def test_a_sidecar_tells_the_scaling_of_what_is_no_detector(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text('mean = [0, 10, 20]\nstd = 255\ncolor = "bgr"\n')
    feed = resolve_feed(write_float_classifier(tmp_path / "m.tflite"))
    assert (feed.format.color, feed.format.mean) == ("bgr", (0.0, 10.0, 20.0))
    assert not feed.is_straight
    assert_allclose(feed.span, (-20 / 255, 1.0))


def test_a_scaling_nothing_tells_is_asked_for(tmp_path: Path) -> None:
    model = write_float_classifier(tmp_path / "m.tflite")
    with pytest.raises(ConfigError, match="say what black and white become with --input-range"):
        resolve_feed(model)
    for span in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        assert_allclose(resolve_feed(model, input_range=span).span, span, atol=1e-9)
    with pytest.raises(ConfigError, match="the smaller first"):
        resolve_feed(model, input_range=(1.0, 0.0))


def test_a_quantised_model_is_no_parent(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="quantised already; give the float model"):
        resolve_feed(write_classifier(tmp_path / "m.tflite"))
