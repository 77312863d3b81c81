"""The resolved spec: each field from the weightiest place that says something, and which place that was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.errors import ConfigError, EdgeRuntimeError, ModelError
from edge_runtime.model.flatbuffer import read_model
from edge_runtime.model.spec import resolve_spec
from tests.factory.broken import write_broken
from tests.factory.metadata import embedded_metadata, ultralytics_dictionary
from tests.factory.models import (
    NAMELESS,
    TF2_NAMES,
    TF2_SIGNATURE,
    Scripted,
    write_classifier,
    write_model,
    write_postprocess_ssd,
    write_raw_ssd,
    write_ssd,
)


def resolve(path, **options):
    """Return the spec as it is without an engine: the tensors are those the file lists."""
    file = read_model(path)
    return resolve_spec(path, file.inputs, file.outputs, **options)


@pytest.fixture
def model(tmp_path):
    return tmp_path / "m.tflite"


def raw_ssd(path, columns=4, **options):
    return write_raw_ssd(path, np.zeros((6, 4), np.uint8), np.zeros((6, columns), np.uint8), **options)


def test_a_plain_ssd_needs_nothing_beside_it(model):
    """The starter model and its kin run as they are, with numbers for names."""
    spec = resolve(write_postprocess_ssd(model, num_classes=7, input_shape=(1, 24, 40, 3)))
    assert (spec.decoder, spec.size_wh, spec.is_nchw) == ("ssd_postprocess", (40, 24), False)
    assert (spec.color, spec.fit, spec.fill) == ("rgb", "stretch", (0, 0, 0))
    assert spec.roles == {"boxes": 0, "classes": 1, "scores": 2, "count": 3}
    assert (spec.num_classes, spec.labels, spec.class_offset, spec.anchors) == (7, None, 0, None)
    assert spec.origins["roles"] == "operator TFLite_Detection_PostProcess"
    assert spec.origins["num_classes"] == "operator TFLite_Detection_PostProcess"
    assert spec.origins["color"] == "default of ssd_postprocess"
    assert spec.origins["labels"] == "none found"


def test_every_field_has_an_origin(model):
    """`inspect` prints each field with where it came from."""
    spec = resolve(write_ssd(model))
    assert set(spec.origins) == set(spec.__slots__) - {"origins"}


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_pixels_go_into_eight_bits_as_they_are(model, dtype):
    """Scaling and quantising would do and undo the same, with rounding errors."""
    spec = resolve(write_ssd(model, input_dtype=dtype, metadata=embedded_metadata()))
    assert (spec.mean, spec.std) == (None, None)
    assert spec.origins["mean"] == f"input type {dtype}, pixels as they are"
    model.with_suffix(".toml").write_text("mean = 1\nstd = 2")
    assert resolve(model).mean == (1, 1, 1)


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_other_inputs_are_scaled_by_the_weightiest_source(model, dtype):
    """Default, then metadata, then sidecar: each one outweighs those before it."""
    write_ssd(model, input_dtype=dtype)
    spec = resolve(model)
    assert (spec.mean, spec.std) == ((127.5,) * 3, (127.5,) * 3)
    assert spec.origins["mean"] == "default of ssd_postprocess"

    write_ssd(model, input_dtype=dtype, metadata=embedded_metadata(mean=(1, 2, 3), std=(4,)))
    spec = resolve(model)
    assert (spec.mean, spec.std) == ((1, 2, 3), (4, 4, 4))
    assert spec.origins["std"] == spec.origins["color"] == "embedded metadata"

    model.with_suffix(".toml").write_text(
        'mean = 0\nstd = [1, 1, 2]\ncolor = "bgr"\nfit = "letterbox"\nfill = [1, 2, 3]'
    )
    spec = resolve(model)
    assert (spec.mean, spec.std) == ((0, 0, 0), (1, 1, 2))
    assert {spec.origins[key] for key in ("mean", "std", "color", "fit", "fill")} == {"sidecar m.toml"}
    assert (spec.color, spec.fit, spec.fill) == ("bgr", "letterbox", (1, 2, 3))


def test_metadata_that_says_nothing_of_pixels_leaves_the_defaults(model):
    """Colour unknown or grey, on an input of three channels, is no statement."""
    spec = resolve(write_ssd(model, input_dtype="float32", metadata=embedded_metadata(mean=None, color=2)))
    assert spec.origins["color"] == spec.origins["mean"] == "default of ssd_postprocess"
    assert spec.color == "rgb"


def test_the_fill_is_turned_into_the_order_of_a_frame(model):
    """The sidecar gives colours in the order of the input, frames are BGR."""
    write_ssd(model)
    model.with_suffix(".toml").write_text("fill = [1, 2, 3]")
    assert resolve(model).fill == (3, 2, 1)


def test_labels_come_from_the_weightiest_source(model, tmp_path):
    """The flag, then the sidecar, then the file itself."""
    packed = {"labelmap.txt": "in_a\nin_b\n"}
    write_ssd(model, metadata=embedded_metadata(), packed=packed)
    spec = resolve(model)
    assert (spec.labels.name_of(0), spec.origins["labels"]) == ("in_a", "embedded metadata, labelmap.txt")

    model.with_suffix(".toml").write_text('labels = ["side_a", "side_b"]')
    spec = resolve(model)
    assert (spec.labels.name_of(0), spec.origins["labels"]) == ("side_a", "sidecar m.toml")

    (tmp_path / "mine.txt").write_text("flag_a\nflag_b\n")
    spec = resolve(model, labels_file=tmp_path / "mine.txt")
    assert (spec.labels.name_of(0), spec.origins["labels"]) == ("flag_a", "--labels mine.txt")


def test_names_from_ultralytics_outweigh_the_label_file_their_metadata_lists(model):
    """It lists the dictionary itself as a label file; its lines are no names."""
    metadata = embedded_metadata(labels_file="temp_meta.txt")
    write_ssd(model, metadata=metadata, packed=ultralytics_dictionary(["cat", "dog"]))
    spec = resolve(model)
    assert spec.labels.names == ("cat", "dog")
    assert spec.origins["labels"] == "embedded metadata"


def test_labels_that_are_promised_but_not_packed_are_warned_of(model, caplog):
    """Tools that rewrite a model drop the zip behind it; the model still detects."""
    spec = resolve(write_ssd(model, metadata=embedded_metadata(labels_file="lost.txt")))
    assert spec.labels is None
    (record,) = caplog.records
    assert record.getMessage() == f"labels named in the metadata are not packed model={model} names=lost.txt"


@pytest.mark.parametrize(
    ("lines", "offset", "origin"),
    [(["a", "b", "c"], 0, "number of labels and classes"), (["???", "a", "b", "c"], 1, "number of labels and classes")],
)
def test_class_0_is_the_first_real_label(model, tmp_path, lines, offset, origin):
    """With and without the line for the background, the same class has the same name."""
    (tmp_path / "labels.txt").write_text("\n".join(lines))
    spec = resolve(write_postprocess_ssd(model, num_classes=3), labels_file=tmp_path / "labels.txt")
    assert [spec.labels.name_of(number) for number in range(3)] == ["a", "b", "c"]
    assert (spec.class_offset, spec.origins["class_offset"]) == (offset, origin)


def test_labels_of_another_model_are_refused(model, tmp_path):
    """With the counts of both, and where the labels came from."""
    (tmp_path / "labels.txt").write_text("a\nb\n")
    write_postprocess_ssd(model, num_classes=3)
    with pytest.raises(ConfigError, match=r"m\.tflite: --labels labels\.txt: 2 labels, but the model has 3 classes"):
        resolve(model, labels_file=tmp_path / "labels.txt")
    model.with_suffix(".toml").write_text("class_offset = -1")
    spec = resolve(model, labels_file=tmp_path / "labels.txt")
    assert (spec.labels.name_of(1), spec.class_offset) == ("a", -1)
    assert spec.origins["class_offset"] == "sidecar m.toml"
    assert resolve(model).class_offset == -1


def test_without_a_count_of_classes_the_first_label_decides(model, tmp_path):
    """Plain operators do not say how many classes there are; a detection is never of the background."""
    (tmp_path / "labels.txt").write_text("???\nperson\n")
    spec = resolve(write_ssd(model), labels_file=tmp_path / "labels.txt")
    assert (spec.num_classes, spec.labels.name_of(0)) == (None, "person")
    assert spec.origins["class_offset"] == "first label"


def test_an_ssd_without_telling_names_leaves_classes_and_scores_open(model):
    """The decoder tells them apart by their values."""
    spec = resolve(write_ssd(model, names=NAMELESS, order=("scores", "count", "boxes", "classes")))
    assert spec.roles == {"count": 1, "boxes": 2}
    named = resolve(
        write_ssd(model, names=TF2_NAMES, signature_names=TF2_SIGNATURE, order=("scores", "count", "boxes", "classes"))
    )
    assert named.roles == {"scores": 0, "count": 1, "boxes": 2, "classes": 3}
    assert named.origins["roles"] == "tensor signature"


def test_a_raw_ssd_takes_the_anchors_beside_it(model):
    """Six rows are those of no recipe, and without anchors its numbers mean nothing."""
    raw_ssd(model)
    with pytest.raises(
        ModelError,
        match=r"there is no m_anchors\.csv beside it, and no published recipe makes so many; write in .*m\.toml: anch",
    ):
        resolve(model)
    raw_ssd(model, anchors=np.zeros((6, 4)))
    spec = resolve(model)
    assert (spec.decoder, spec.anchors) == ("ssd_anchors", model.with_name("m_anchors.csv"))
    assert spec.origins["anchors"] == "file beside the model"
    assert (spec.roles, spec.origins["roles"]) == ({"boxes": 0, "scores": 1}, "tensor names")


def big_raw_ssd(path, size=300, rows=1917, columns=91):
    boxes, scores = np.zeros((rows, 4), np.uint8), np.zeros((rows, columns), np.uint8)
    return write_raw_ssd(path, boxes, scores, input_shape=(1, size, size, 3))


def test_anchors_are_made_where_the_number_of_rows_is_that_of_a_published_recipe(model):
    """Nobody ships the anchors with the model; the recipe is known. A file outweighs it, and so does the sidecar."""
    spec = resolve(big_raw_ssd(model))
    assert (spec.decoder, spec.anchors, spec.anchor_recipe) == ("ssd_anchors", None, "ssd")
    assert spec.origins["anchors"] == "number of rows, as the recipe ssd makes"
    model.with_suffix(".toml").write_text('anchor_recipe = "ssd"')
    assert resolve(model).origins["anchor_recipe"] == "sidecar m.toml"
    model.with_suffix(".toml").write_text('anchor_recipe = "ssd_fpn"')
    with pytest.raises(
        ConfigError, match=r"'ssd_fpn' makes \d+ anchors for an input of 300x300, the model has 1917; correct or remove"
    ):
        resolve(model)
    model.with_suffix(".toml").unlink()
    model.with_name("m_anchors.csv").write_text("0,0,1,1\n")
    assert resolve(model).anchors == model.with_name("m_anchors.csv")


def test_anchors_come_from_one_place(model):
    """Two lines for the same thing are a mistake; so is one for a model that has none."""
    write_ssd(model)
    model.with_suffix(".toml").write_text('anchor_recipe = "ssd"')
    with pytest.raises(ConfigError, match="anchor_recipe is for ssd_anchors, this model is ssd_postprocess; remove it"):
        resolve(model)
    model.with_name("a.csv").write_text("0,0,1,1\n")
    model.with_suffix(".toml").write_text('anchor_recipe = "ssd"\nanchors = "a.csv"')
    with pytest.raises(ConfigError, match="anchors and anchor_recipe: the anchors are from a file or made; remove one"):
        resolve(model)


@pytest.mark.parametrize("shape", [(1, 24, 40, 1), (1, 1, 24, 40)])
def test_a_grey_input_takes_one_number_a_pixel(model, shape):
    """Whatever colours the family has; the mean of three channels is that of their mean."""
    write_ssd(model, input_shape=shape, input_dtype="float32", metadata=embedded_metadata(mean=(1, 2, 3), std=(4,)))
    spec = resolve(model)
    assert (spec.color, spec.is_nchw, spec.size_wh) == ("grey", shape[1] == 1, (40, 24))
    assert (spec.mean, spec.std, spec.origins["color"]) == ((2,) * 3, (4,) * 3, "one channel")


def test_an_efficientdet_is_an_ssd_with_its_own_scaling(model):
    """It ends in the same operator; its metadata says the rest."""
    metadata = embedded_metadata(mean=(127,), std=(128,))
    packed = {"labelmap.txt": "\n".join(f"name {number}" for number in range(90))}
    options = {"num_classes": 90, "input_shape": (1, 320, 320, 3), "metadata": metadata, "packed": packed}
    spec = resolve(write_postprocess_ssd(model, **options, input_dtype="float32"))
    assert (spec.decoder, spec.mean, spec.std, spec.num_classes) == ("ssd_postprocess", (127,) * 3, (128,) * 3, 90)
    assert spec.labels.name_of(0) == "name 0"
    assert resolve(write_postprocess_ssd(model, **options)).mean is None


def test_the_sidecar_may_name_other_anchors(model):
    """Several models may share them."""
    raw_ssd(model)
    model.with_name("shared.csv").write_text("0,0,1,1\n")
    model.with_suffix(".toml").write_text('anchors = "shared.csv"\n[outputs]\nboxes = "Squeeze"')
    spec = resolve(model)
    assert (spec.anchors, spec.origins["anchors"]) == (model.with_name("shared.csv"), "sidecar m.toml")
    assert spec.roles == {"boxes": 0, "scores": 1}
    write_ssd(model)
    model.with_suffix(".toml").write_text('anchors = "shared.csv"')
    with pytest.raises(ConfigError, match="anchors is for ssd_anchors, this model is ssd_postprocess; remove it"):
        resolve(model)


@pytest.mark.parametrize("lines", [["a", "b", "c", "d"], ["???", "a", "b", "c", "d"]])
def test_columns_of_scores_count_the_background(model, tmp_path, lines):
    """With 5 columns there are 4 classes, and class 0 is that of column 1."""
    raw_ssd(model, 5, anchors=np.zeros((6, 4)))
    (tmp_path / "labels.txt").write_text("\n".join(lines))
    spec = resolve(model, labels_file=tmp_path / "labels.txt")
    assert (spec.num_classes, spec.labels.name_of(0), spec.labels.name_of(3)) == (4, "a", "d")
    assert spec.origins["num_classes"] == "tensor shapes, less the background"
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\ne\n")
    with pytest.raises(ConfigError, match="5 labels, but the model has 4 classes"):
        resolve(model, labels_file=tmp_path / "labels.txt")


def test_boxes_that_the_metadata_gives_another_order_are_refused(model):
    """Read as y1, x1, y2, x2 they would be mirrored at the diagonal, which looks almost right."""
    for options, found in (
        ({"box_order": (0, 1, 2, 3)}, r"boundaries in the order \[0, 1, 2, 3\], 0 to 1"),
        ({"box_kind": 3}, r"center in the order \[1, 0, 3, 2\], 0 to 1"),
        ({"box_is_pixels": True}, r"boundaries in the order \[1, 0, 3, 2\], pixels"),
    ):
        write_ssd(model, metadata=embedded_metadata(**options))
        with pytest.raises(ModelError, match=f"boxes are {found}; decoded are boundaries"):
            resolve(model)
    model.with_suffix(".toml").write_text('decoder = "ssd_postprocess"')
    assert resolve(model).origins["decoder"] == "sidecar m.toml"


def test_boxes_of_the_operator_are_in_its_order_whatever_metadata_says(model):
    """The operator has one order; metadata is written by hand."""
    spec = resolve(write_postprocess_ssd(model, metadata=embedded_metadata(box_order=(0, 1, 2, 3), labels_file=None)))
    assert spec.decoder == "ssd_postprocess"


def test_metadata_without_box_properties_or_of_other_outputs_is_no_objection(model):
    """Most tools leave them out."""
    assert resolve(write_ssd(model, metadata=embedded_metadata(box_output=None, labels_file=None))).decoder
    assert resolve(write_ssd(model, metadata=embedded_metadata(outputs=("location",), labels_file=None))).decoder


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("two-inputs", "has 2 inputs"),
        ("batch-of-two", "a batch of 2; export it with a batch of 1"),
        ("dynamic-shape", "leaves its size open; export it with a fixed size"),
        ("zero-sized", "leaves its size open"),
        ("truncated", "is damaged or cut short"),
        ("bit-flipped", "is damaged or cut short"),
        ("wrong-identifier", "is not a TFLite model"),
        ("empty", r"is empty \(0 bytes\)"),
    ],
)
def test_a_model_that_cannot_be_run_is_refused_in_one_line(model, kind, message):
    """The line names the file, the shape and the next step."""
    with pytest.raises(ModelError, match=message) as caught:
        resolve(write_broken(kind, model))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(model))


def test_a_classifier_is_named_as_such(model):
    """The commonest wrong model; the flag that runs it is named."""
    with pytest.raises(ModelError, match=r"\[1,1001\] looks like a classifier, not a detector: .* --task classify"):
        resolve(write_classifier(model))
    spec = resolve(write_classifier(model), task="classify")
    assert (spec.decoder, spec.num_classes, spec.fit) == ("classify", 1001, "stretch")
    assert spec.roles == {"scores": 0}


def test_a_detector_given_as_a_classifier_is_refused(model):
    """The flag stands in a file of settings, and the model has been replaced."""
    with pytest.raises(
        ModelError, match=r"are no classifier's, needed is one row of scores.* leave out --task classify"
    ):
        resolve(write_ssd(model), task="classify")
    model.with_suffix(".toml").write_text('decoder = "ssd_postprocess"')
    with pytest.raises(ModelError, match="decoder = 'ssd_postprocess' is for --task detect, not classify"):
        resolve(model, task="classify")
    model.with_suffix(".toml").write_text('decoder = "classify"')
    with pytest.raises(
        ModelError, match="decoder = 'classify' is for --task classify, not detect; give --task classify"
    ):
        resolve(write_classifier(model))


def test_what_a_classifier_puts_out_may_be_said_by_the_sidecar(model):
    """Numbers that happen to lie within 0 and 1 look like probabilities."""
    write_classifier(model)
    assert resolve(model, task="classify").origins["score_kind"] == "the values"
    model.with_suffix(".toml").write_text('score_kind = "logits"')
    spec = resolve(model, task="classify")
    assert (spec.score_kind, spec.origins["score_kind"]) == ("logits", "sidecar m.toml")
    with pytest.raises(ConfigError, match="score_kind is for classify, this model is ssd_postprocess; remove it"):
        resolve(write_ssd(model))


@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_128_quant", "mobilenet_v1_0.25_224_float32"])
def test_real_classifiers_say_that_they_end_in_probabilities(shared, name):
    """The last operator tells, so that no frame is decoded by chance."""
    spec = resolve(shared / "models" / f"{name}.tflite", task="classify")
    assert (spec.num_classes, spec.score_kind, spec.origins["score_kind"]) == (
        1001,
        "probabilities",
        "operator SOFTMAX",
    )


FCOS_SIDECAR = 'decoder = "fcos"\nlabels = ["cube", "ball"]\nstrides = [8]\n'


def write_fcos(path, **options):
    outputs = [
        Scripted("scores", np.zeros((1, 80, 2), np.float32)), Scripted("boxes", np.zeros((1, 80, 4), np.float32)),
    ]  # fmt: skip
    return write_model(path, input_shape=(1, 64, 80, 3), input_dtype="float32", outputs=outputs, **options)


def test_a_head_on_a_grid_needs_nothing_beside_it(model):
    """Family, roles and strides are told by the shapes; the picture is the family's."""
    spec = resolve(write_fcos(model))
    assert (spec.decoder, spec.roles, spec.strides) == ("fcos", {"scores": 0, "boxes": 1}, (8,))
    assert (spec.mean, spec.std, spec.fit, spec.fill) == ((0,) * 3, (255,) * 3, "letterbox", (114,) * 3)
    assert (spec.num_classes, spec.origins["strides"]) == (2, "number of rows")


def test_a_packed_sidecar_stands_between_the_one_beside_the_model_and_its_metadata(model, tmp_path):
    """Each place outweighs those behind it, and says where a value is from."""
    write_fcos(
        model,
        packed={"edge-runtime.toml": FCOS_SIDECAR + "mean = 1\nstd = 2\n", "labelmap.txt": "in_a\nin_b\n"},
        metadata=embedded_metadata(outputs=("scores", "boxes"), mean=(5,), std=(6,), box_output=None),
    )
    spec = resolve(model)
    assert (spec.labels.names, spec.mean, spec.strides) == (("cube", "ball"), (1, 1, 1), (8,))
    said = {spec.origins[key] for key in ("decoder", "labels", "mean", "std", "strides")}
    assert said == {"sidecar packed in the model"}
    model.with_suffix(".toml").write_text('labels = ["box", "sphere"]')
    spec = resolve(model)
    assert (spec.labels.names, spec.origins["labels"]) == (("box", "sphere"), "sidecar m.toml")
    assert spec.origins["strides"] == "sidecar packed in the model"
    (tmp_path / "labels.txt").write_text("x\ny\n")
    assert resolve(model, labels_file=tmp_path / "labels.txt").origins["labels"] == "--labels labels.txt"


def test_a_packed_sidecar_that_does_not_fit_is_named_as_the_place(model):
    """The file beside the model, which a message would otherwise name, does not exist."""
    write_fcos(model, packed={"edge-runtime.toml": 'decoder = "yolox"'})
    with pytest.raises(
        ConfigError, match=r"m\.tflite: edge-runtime\.toml packed in it: decoder = 'yolox': yolox needs"
    ):
        resolve(model)
    write_fcos(model, packed={"edge-runtime.toml": "strides = [16]"})
    with pytest.raises(ConfigError, match=r"edge-runtime\.toml packed in it: strides = \[16\] make 20 rows"):
        resolve(model)


def test_facts_read_before_are_not_read_again(model, tmp_path):
    """The pipeline has read the file already to choose the backend."""
    file = read_model(write_ssd(model))
    other = write_ssd(tmp_path / "other.tflite", input_shape=(1, 8, 8, 3))
    assert resolve_spec(model, file.inputs, file.outputs, model_file=file).size_wh == (32, 32)
    assert resolve_spec(other, file.inputs, file.outputs, model_file=file).size_wh == (32, 32)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_changed_file_gives_a_spec_or_one_of_our_errors(tmp_path_factory, data):
    """From the first byte to the last: graph, metadata, zip and labels."""
    path = tmp_path_factory.getbasetemp() / "changed.tflite"
    write_ssd(path, metadata=embedded_metadata(), packed={"labelmap.txt": "a\nb\n"})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    error = None
    try:
        spec = resolve(path)
    except EdgeRuntimeError as caught:
        error = str(caught)
    assert "\n" not in (error or spec.decoder)


DECODED = {
    "detect.tflite": ("ssd_postprocess", (300, 300), None, 90, "none found"),
    "ssd_mobilenet_v1_coco_quant_metadata.tflite": (
        "ssd_postprocess", (300, 300), None, 90, "embedded metadata, labelmap.txt",
    ),
    "ssd_mobilenet_v2_fpnlite_320_coco_float_io.tflite": (
        "ssd_postprocess", (320, 320), (127.5,) * 3, 90, "none found",
    ),
    "ssd_mobilenet_v1_coco_quant_raw.tflite": ("ssd_anchors", (300, 300), None, 90, "none found"),
}  # fmt: skip
REFUSED = {
    "mobilenet_v1_0.25_128_quant.tflite": r"\[1,1001\] looks like a classifier",
    "mobilenet_v1_0.25_128_quant_edgetpu.tflite": r"\[1,1001\] looks like a classifier",
    "mobilenet_v1_0.25_224_float32.tflite": r"\[1,1001\] looks like a classifier",
    "model_invoking_error.tflite": r"has shape \[1,3\]; needed is a picture",
    "traffic_model.tflite": r"has 3 inputs \(normalized_input_image_tensor \[1,256,256,3\], ",
}
YOLOX = ("yolox", 80, "none found", "bgr", (0,) * 3, (1,) * 3, "letterbox-topleft", (114,) * 3, True)
FACE = ("blazeface", 1, "default of blazeface", "rgb", (127.5,) * 3, (127.5,) * 3, "letterbox", (0,) * 3, False)
ON_GRIDS = {
    "agpl-3.0/yolo11n_full_integer_quant_416.tflite": (
        "yolo", 80, "embedded metadata", "rgb", None, None, "letterbox", (114,) * 3, False,
    ),
    "blazeface_front_float32.tflite": FACE,
    "blazeface_short_range.tflite": FACE,
    "face-detector-quantized_edgetpu.tflite": (*FACE[:4], None, None, *FACE[6:]),
    "yolox_nano_416_dynamic_range.tflite": YOLOX,
    "yolox_nano_416_float16.tflite": YOLOX,
    "yolox_nano_416_int8_BROKEN.tflite": YOLOX,
}  # fmt: skip


@pytest.mark.parametrize("name", DECODED)
def test_real_detectors_resolve(shared, name):
    """Files of four exporters, and what each of them needs."""
    decoder, size_wh, mean, num_classes, labels = DECODED[name]
    spec = resolve(shared / "models" / name)
    assert (spec.decoder, spec.size_wh, spec.mean, spec.num_classes) == (decoder, size_wh, mean, num_classes)
    assert (spec.color, spec.fit, spec.is_nchw) == ("rgb", "stretch", False)
    assert spec.origins["labels"] == labels
    roles = ("boxes", "classes", "scores", "count") if decoder == "ssd_postprocess" else ("boxes", "scores")
    assert spec.roles == {role: index for index, role in enumerate(roles)}


@pytest.mark.parametrize("name", ON_GRIDS)
def test_real_heads_on_grids_resolve(shared, name):
    """The picture each of them wants differs in every respect there is."""
    decoder, num_classes, labels, *picture = ON_GRIDS[name]
    spec = resolve(shared / "models" / name)
    assert (spec.decoder, spec.num_classes, spec.origins["labels"]) == (decoder, num_classes, labels)
    assert [spec.color, spec.mean, spec.std, spec.fit, spec.fill, spec.is_nchw] == picture
    assert spec.strides == {"yolox": (8, 16, 32), "yolo": (), "blazeface": (8, 16, 16, 16)}[decoder]
    assert spec.box_unit == ("normalized" if decoder == "yolo" else None)


@pytest.mark.parametrize("name", REFUSED)
def test_real_files_of_other_kinds_are_refused_by_name(shared, name):
    """Each is a file somebody might try."""
    with pytest.raises(ModelError, match=REFUSED[name]):
        resolve(shared / "models" / name)


def test_every_real_model_is_in_one_of_the_tables(shared):
    """A file that is added to the collection gets its line here."""
    models = shared / "models"
    found = {str(path.relative_to(models)) for path in models.rglob("*.tflite")}
    assert found == {*DECODED, *ON_GRIDS, *REFUSED}


@pytest.mark.parametrize("model_name", ["detect.tflite", "ssd_mobilenet_v1_coco_quant_raw.tflite"])
@pytest.mark.parametrize("labels_name", ["labelmap_90.txt", "labelmap_background_91.txt"])
def test_both_real_label_maps_call_class_0_a_person(shared, model_name, labels_name):
    """They differ by one line; the detections do not."""
    spec = resolve(shared / "models" / model_name, labels_file=shared / "models" / "labels" / labels_name)
    assert [spec.labels.name_of(number) for number in (0, 2, 16, 17, 89)] == [
        "person", "car", "cat", "dog", "toothbrush",
    ]  # fmt: skip
    assert spec.labels.ids_of(["person", "dog"]) == (0, 17)


def test_the_real_list_of_80_is_refused_for_90_classes(shared):
    """It fits the first eleven classes, which is how it passes unnoticed."""
    models = shared / "models"
    with pytest.raises(ConfigError, match="80 labels, but the model has 90 classes; give the 90-line COCO map"):
        resolve(models / "detect.tflite", labels_file=models / "labels" / "coco_80.txt")


def test_the_labels_inside_the_real_model_name_its_classes(shared):
    """90 lines with holes, packed behind the file."""
    spec = resolve(shared / "models" / "ssd_mobilenet_v1_coco_quant_metadata.tflite")
    assert (spec.labels.name_of(0), spec.labels.name_of(17), spec.labels.name_of(11)) == ("person", "dog", "class 11")
    assert len(spec.labels.names) == 90
