"""Pixels or parts of the input: what tells, and what must be asked."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.model.flatbuffer import read_model
from edge_runtime.model.spec import resolve_spec
from tests.factory.metadata import ultralytics_dictionary
from tests.factory.models import Scripted, write_model, write_ssd


def resolve(path):
    file = read_model(path)
    return resolve_spec(path, file.inputs, file.outputs)


@pytest.fixture
def model(tmp_path):
    return tmp_path / "m.tflite"


def write_yolo(path, quantization=None, **options):
    dtype = np.int8 if quantization else np.float32
    head = Scripted("output0", np.zeros((1, 6, 84), dtype), quantization)
    return write_model(path, input_shape=(1, 64, 64, 3), outputs=[head], **options)


def test_nothing_in_a_float_model_tells_so_the_line_is_asked_for(model):
    """Wrong by a factor of 640, boxes would all be in the corner: visible, but not understandable."""
    write_yolo(model)
    with pytest.raises(ModelError, match=r"nothing tells whether its boxes are in pixels .* box_unit = \"pixels\"$"):
        resolve(model)
    model.with_suffix(".toml").write_text('box_unit = "pixels"')
    spec = resolve(model)
    assert (spec.decoder, spec.box_unit, spec.origins["box_unit"]) == ("yolo", "pixels", "sidecar m.toml")


@pytest.mark.parametrize(
    ("quantization", "unit", "origin"),
    [((1 / 255, -128), "normalized", "quantisation, up to 1"), ((0.3, -128), "pixels", "quantisation, up to 76.5")],
)
def test_the_range_of_integers_tells(model, quantization, unit, origin):
    """What cannot reach 2 is no pixel, what reaches the size of the input is no part of it."""
    spec = resolve(write_yolo(model, quantization))
    assert (spec.box_unit, spec.origins["box_unit"]) == (unit, origin)


def test_a_range_between_the_two_tells_nothing(model):
    """Normalised boxes with outliers, or pixels of a small input."""
    with pytest.raises(ModelError, match="nothing tells"):
        resolve(write_yolo(model, (0.05, -128)))


def test_an_export_of_ultralytics_is_normalized(model):
    """Their exports to this format divide by the size of the input."""
    spec = resolve(write_yolo(model, packed=ultralytics_dictionary(["cat", "dog"])))
    assert (spec.box_unit, spec.origins["box_unit"]) == ("normalized", "embedded metadata")
    assert spec.labels.names == ("cat", "dog")
    assert (spec.mean, spec.std, spec.fit, spec.fill, spec.color) == (None, None, "letterbox", (114,) * 3, "rgb")


def test_another_task_is_refused_though_its_output_looks_like_boxes(model):
    """The points of a pose model would come out as classes."""
    write_yolo(model, packed=ultralytics_dictionary(["person"], task="pose"))
    with pytest.raises(
        ModelError, match=r"m\.tflite: embedded metadata: its task is 'pose', decoded is 'detect'; give a"
    ):
        resolve(model)


def test_a_unit_for_another_decoder_is_refused(model):
    """The line would do nothing."""
    write_ssd(model)
    model.with_suffix(".toml").write_text('box_unit = "pixels"')
    with pytest.raises(
        ConfigError, match=r"box_unit is for yolo, yolo_rows, .*yolo_end_to_end, this model is ssd_postprocess"
    ):
        resolve(model)


def test_a_damaged_dictionary_can_be_replaced_by_flags_and_sidecar(model, tmp_path):
    """Labels from a file and the unit from the sidecar leave nothing to read in it."""
    file = read_model(write_yolo(model, packed={"temp_meta.txt": "{'names': "}))
    with pytest.raises(ModelError, match="give the labels with --labels"):
        resolve(model)
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    with pytest.raises(ModelError, match=r"write in .*m\.toml: box_unit"):
        resolve_spec(model, file.inputs, file.outputs, labels_file=tmp_path / "labels.txt")
    model.with_suffix(".toml").write_text('box_unit = "normalized"')
    spec = resolve_spec(model, file.inputs, file.outputs, labels_file=tmp_path / "labels.txt")
    assert (spec.labels.names, spec.box_unit) == (("cat", "dog"), "normalized")


def test_a_head_that_looks_like_a_pose_is_refused_unless_something_says_that_it_has_so_many_classes(model, tmp_path):
    """Seventeen points of three numbers, a box and a score make 56: as many as a box and 52 classes."""
    write_model(model, input_shape=(1, 32, 32, 3), outputs=[Scripted("output0", np.zeros((1, 56, 21), np.float32))])
    with pytest.raises(
        ModelError,
        match=r"\[1,56,21\] looks like a YOLO head with key points .* if it is one with 52 classes, write in .*m\.toml",
    ):
        resolve(model)
    (tmp_path / "labels.txt").write_text("\n".join(f"name {number}" for number in range(52)))
    file = read_model(model)
    labelled = {"labels_file": tmp_path / "labels.txt"}
    model.with_suffix(".toml").write_text('box_unit = "pixels"')
    assert resolve_spec(model, file.inputs, file.outputs, **labelled).num_classes == 52
    model.with_suffix(".toml").write_text('decoder = "yolo"\nbox_unit = "pixels"')
    assert resolve(model).num_classes == 52
