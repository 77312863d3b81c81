"""What an .onnx file says of itself, and how it is refused where it is none."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import BackendMissingError, ConfigError, ModelError
from edge_runtime.model.flatbuffer import Quantization, read_model
from edge_runtime.model.spec import ModelSpec, resolve_spec

pytest.importorskip("onnx", reason="the package onnx is not installed; it is in the extra [onnx]")
from tests.factory.models import write_ssd
from tests.factory.onnx import write_onnx, write_relu_after_custom

NAMES = "{0: 'cat', 1: \"the dog's\"}"
ULTRALYTICS = {"names": NAMES, "task": "detect", "stride": "32", "imgsz": "[320, 320]", "batch": "1"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "m.onnx"


def yolo(path: Path, properties: dict[str, str], **options: object) -> Path:
    """Write a head of two classes on an input of 320x320."""
    values = np.zeros((1, 6, 2100), np.float32)
    return write_onnx(path, {"output0": values}, shape=(1, 3, 320, 320), properties=properties, **options)


def spec_of(path: Path, **options: Path) -> ModelSpec:
    file = read_model(path)
    return resolve_spec(path, file.inputs, file.outputs, model_file=file, **options)


def test_the_ends_of_the_graph_are_told_as_those_of_a_tflite_file_are(model: Path) -> None:
    """All that comes after asks one kind of object, whatever the format."""
    write_onnx(model, {"boxes": np.zeros((1, 7, 4), np.float32)}, dtype="float16", properties={"author": "me"})
    file = read_model(model)
    assert (file.format, file.description, file.properties) == ("onnx", "tests/factory", {"author": "me"})
    assert file.size_bytes == model.stat().st_size
    assert [(one.name, one.shape, one.dtype.name) for one in file.inputs] == [("images", (1, 3, 32, 32), "float16")]
    assert [(one.name, one.shape, one.dtype.name) for one in file.outputs] == [("boxes", (1, 7, 4), "float32")]
    assert (file.operators, file.custom_operators, file.is_edgetpu) == (("Identity",), (), False)


def test_an_operator_of_somebodys_own_is_told_with_its_maker(model: Path) -> None:
    """It is what no engine will run, so it has to be seen among a hundred others."""
    file = read_model(write_relu_after_custom(model))
    assert file.operators == ("maker.of.chips.Magic", "Relu")
    assert file.custom_operators == ("maker.of.chips.Magic",)


def test_an_open_batch_is_one_and_remembered_as_open(model: Path) -> None:
    """Exporters leave it open by habit; one picture at a time is what is run here."""
    write_onnx(model, shape=("batch", 3, 32, 32))
    (image,) = read_model(model).inputs
    assert (image.shape, image.shape_signature) == ((1, 3, 32, 32), (-1, 3, 32, 32))


def test_an_open_height_is_refused_and_not_taken_for_one_pixel(model: Path) -> None:
    yolo(model, ULTRALYTICS)
    outputs = read_model(model).outputs
    inputs = read_model(write_onnx(model, shape=(1, 3, "height", "width"))).inputs
    with pytest.raises(ModelError, match=r"shape \[1,3,-1,-1\], which leaves its size open; export it with a fixed"):
        resolve_spec(model, inputs, outputs)


def test_the_scale_of_an_integer_output_is_that_of_the_operator_that_makes_it(model: Path) -> None:
    """Without it 200 of 255 would be a score of 200."""
    write_onnx(model, {"scores": np.zeros((1, 5), np.float32)}, scales={"scores": (0.25, 7)})
    (scores,) = read_model(model).outputs
    assert (scores.dtype.name, scores.quantization) == ("uint8", Quantization(0.25, 7))


def test_the_classes_of_an_ultralytics_export_are_found_in_its_properties(model: Path) -> None:
    spec = spec_of(yolo(model, ULTRALYTICS))
    assert spec.labels is not None
    assert spec.labels.names == ("cat", "the dog's")
    assert (spec.decoder, spec.size_wh, spec.is_nchw) == ("yolo", (320, 320), True)


def test_the_boxes_of_such_an_export_are_in_pixels(model: Path) -> None:
    """Its TensorFlow Lite exports have them from 0 to 1: taken for those, all boxes would be off the picture."""
    spec = spec_of(yolo(model, ULTRALYTICS))
    assert (spec.box_unit, spec.origins["box_unit"]) == ("pixels", "embedded metadata")


def test_another_task_of_such_an_export_is_named(model: Path) -> None:
    with pytest.raises(ModelError, match="its task is 'pose', decoded is 'detect'"):
        spec_of(yolo(model, ULTRALYTICS | {"task": "pose"}))


@pytest.mark.parametrize("names", ["{0: ", "__import__('os').getcwd()", "7", "{'a': 'b'}"])
def test_names_that_are_none_are_refused_and_replaced_by_a_flag(model: Path, tmp_path: Path, names: str) -> None:
    """They are a text that somebody wrote; it is never run, and --labels must be able to replace it."""
    yolo(model, ULTRALYTICS | {"names": names})
    with pytest.raises(ModelError, match=r"embedded properties: names.* give the labels with --labels"):
        spec_of(model)
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\n")
    (tmp_path / "m.toml").write_text('box_unit = "pixels"\n')
    assert spec_of(model, labels_file=labels).labels is not None


def test_properties_of_other_exporters_are_passed_over(model: Path) -> None:
    (model.parent / "m.toml").write_text('box_unit = "pixels"\n')
    assert spec_of(yolo(model, {"description": "mine"})).labels is None


def test_weights_beside_the_file_are_not_read_but_must_be_there(model: Path) -> None:
    """Only one of the two is copied to the board, and the engine's word for that is long and strange."""
    yolo(model, {}, external="m.onnx.data")
    assert [one.shape for one in read_model(model).outputs] == [(1, 6, 2100)]
    (model.parent / "m.onnx.data").unlink()
    with pytest.raises(ModelError, match=r"m\.onnx: keeps its weights in m\.onnx\.data, which is not beside it; copy"):
        read_model(model)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"hello, I am a model\n", "looks like a text file"),
        (b"\0" * 64, "nothing but zero bytes"),
        (b"<!doctype html><html>", "a web page"),
        (b"\x01\x02\xfe\xff\0\x07", "unknown kind"),
        (b"\x08\x07\x12\x02ab", "holds no whole graph"),
        (b"\x08\x07\x3a\x05abc", "cannot be parsed"),
    ],
)
def test_what_is_no_onnx_model_is_named_in_one_line(model: Path, content: bytes, said: str) -> None:
    model.write_bytes(content)
    with pytest.raises(ModelError, match=said) as caught:
        read_model(model)
    assert str(caught.value).startswith(f"{model}: ")
    assert "\n" not in str(caught.value)


def test_no_cut_of_a_file_is_taken_for_a_model(model: Path) -> None:
    """A download that broke off at any byte at all: what is left must be refused, and by an error of ours."""
    whole = yolo(model, ULTRALYTICS).read_bytes()
    for size in [*range(0, 400, 7), *range(400, len(whole), 997)]:
        model.write_bytes(whole[:size])
        with pytest.raises(ModelError):
            read_model(model)


def test_no_change_of_a_byte_ends_in_another_error(model: Path) -> None:
    """What is changed may still be a model; but whatever it is, it is no crash and no traceback."""
    whole = write_onnx(model, {"scores": np.ones((1, 5), np.float32)}, scales={"scores": (0.25, 7)}).read_bytes()
    refused = 0
    for at in range(len(whole)):
        for flip in (0x01, 0x80, 0xFF):
            model.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
            try:
                read_model(model)
            except ModelError:
                refused += 1
    assert refused > len(whole) // 4


def test_the_wrong_ending_is_told_either_way(tmp_path: Path) -> None:
    """The ending decides what reads a file, so a wrong one must not look like damage."""
    tflite = write_ssd(tmp_path / "m.tflite").rename(tmp_path / "a.onnx")
    with pytest.raises(
        ModelError, match="is not an ONNX model, it looks like a TFLite model; give its name the ending"
    ):
        read_model(tflite)
    onnx = write_onnx(tmp_path / "m.onnx").rename(tmp_path / "b.tflite")
    with pytest.raises(
        ModelError, match="is not a TFLite model, it looks like an ONNX model; give its name the ending"
    ):
        read_model(onnx)


def test_a_sidecar_beside_it_counts_as_for_any_model(model: Path) -> None:
    yolo(model, {})
    with pytest.raises(ModelError, match=r"write in .*m\.toml: box_unit"):
        spec_of(model)
    (model.parent / "m.toml").write_text('box_unit = "normalized"\nlabels = ["a", "b", "c"]\n')
    with pytest.raises(ConfigError, match="3 labels, but the model has 2 classes"):
        spec_of(model)


def test_a_missing_package_is_one_line_with_what_to_install(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_onnx(model)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(BackendMissingError, match=r"pip install 'edge-runtime\[onnx\]'$") as caught:
        read_model(model)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["yolox_nano_416.onnx", "yunet_n_320_320.onnx"])
def test_real_files_are_read(shared: Path, name: str) -> None:
    file = read_model(shared / "models" / name)
    assert [one.shape[1] for one in file.inputs] == [3]
    assert len(file.operators) > 100
    assert not file.custom_operators
