"""What the embedded metadata says, following Google's schema."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.errors import ModelError
from edge_runtime.model.flatbuffer import read_model
from edge_runtime.model.metadata import BoxProperties, parse_metadata
from tests.factory.metadata import AXIS_LABELS, embedded_metadata


def error_of(call):
    """Return the ModelError a call ends in, None where it returns; anything else fails the test."""
    try:
        call()
    except ModelError as error:
        return error
    return None


def test_scaling_colours_names_and_files_are_told():
    """These are what a float model cannot be run without."""
    found = parse_metadata(embedded_metadata(name="cats", mean=(1, 2, 3), std=(4,)), "m")
    assert found.name == "cats"
    (image,) = found.inputs
    assert (image.mean, image.std, image.color) == ((1, 2, 3), (4, 4, 4), "rgb")
    assert [output.name for output in found.outputs] == ["location", "category", "score", "number of detections"]
    assert found.outputs[0].boxes == BoxProperties((1, 0, 3, 2), "boundaries", is_pixels=False)
    assert found.outputs[1].boxes is None
    assert found.label_files == ("labelmap.txt",)


def test_what_the_metadata_leaves_out_is_none():
    """Every field of the schema may be missing."""
    found = parse_metadata(
        embedded_metadata(mean=None, color=0, labels_file=None, box_kind=0, box_order=(), box_is_pixels=True), "m"
    )
    assert (found.inputs[0].mean, found.inputs[0].std, found.inputs[0].color) == (None, None, None)
    assert found.outputs[0].boxes == BoxProperties((), None, is_pixels=True)
    assert found.label_files == ()
    empty = parse_metadata(embedded_metadata(outputs=(), labels_file=None), "m")
    assert empty.outputs == ()


def test_metadata_without_a_graph_says_nothing_of_tensors():
    """Every field may be missing, this one too."""
    builder = pytest.importorskip("flatbuffers").Builder(64)
    name = builder.CreateString("bare")
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, name, 0)
    builder.Finish(builder.EndObject(), b"M001")
    found = parse_metadata(bytes(builder.Output()), "m")
    assert (found.name, found.inputs, found.outputs, found.files) == ("bare", (), (), ())


def test_labels_of_values_count_before_labels_of_axes():
    """A detector gives classes as values; labels of an axis belong to raw scores."""
    found = parse_metadata(embedded_metadata(labels_kind=AXIS_LABELS), "m")
    assert found.outputs[1].files[0].kind == "axis labels"
    assert found.label_files == ("labelmap.txt",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": (1, 2)}, r"^m: embedded metadata: tensor 'image': mean: found \(1.0, 2.0\), allowed are 1 or 3"),
        ({"std": ()}, r"std: found \(\), allowed are 1 or 3 numbers"),
        ({"mean": (float("nan"),)}, "mean: found"),
        ({"std": (0,)}, "is not above 0"),
    ],
)
def test_an_impossible_scaling_is_refused(options, message):
    """Dividing by zero gives a tensor of infinities and no detections, silently."""
    with pytest.raises(ModelError, match=message):
        parse_metadata(embedded_metadata(**options), "m")


@settings(deadline=None)
@given(st.integers(0, 1 << 20), st.integers(0, 255), st.integers(0, 1 << 20))
def test_changed_bytes_give_metadata_or_a_model_error(place, value, cut):
    """It comes from the same damaged download as the rest of the file."""
    data = bytearray(embedded_metadata())
    data[place % len(data)] = value
    kept = bytes(data[: max(1, cut % (2 * len(data)))])
    error = error_of(lambda: parse_metadata(kept, "m"))
    assert error is None or str(error).startswith("m: embedded metadata")


def test_the_metadata_of_the_real_detector_is_read(shared):
    """Written by Google's own tool."""
    file = read_model(shared / "models" / "ssd_mobilenet_v1_coco_quant_metadata.tflite")
    found = parse_metadata(file.metadata, "m")
    assert found.inputs[0].mean == (127.5, 127.5, 127.5)
    assert [output.name for output in found.outputs] == ["locations", "classes", "scores", "number of detections"]
    assert found.outputs[0].boxes == BoxProperties((1, 0, 3, 2), "boundaries", is_pixels=False)
    assert found.label_files == ("labelmap.txt",)
    assert "Apache" in found.license
