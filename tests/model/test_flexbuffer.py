"""Options of custom operators, as converters write them and as damage leaves them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.errors import ModelError
from edge_runtime.model.detection import read_detection_options
from edge_runtime.model.flexbuffer import read_numbers


def error_of(call):
    """Return the ModelError a call ends in, None where it returns; anything else fails the test."""
    try:
        call()
    except ModelError as error:
        return error
    return None


def dumps(values):
    flexbuffers = pytest.importorskip("flatbuffers.flexbuffers")
    return bytes(flexbuffers.Dumps(values))


def test_numbers_of_every_kind_and_width_are_read():
    """Converters choose the width by the largest value, so the same option has many forms."""
    values = {"a": 7, "b": 0.5, "c": True, "d": 70_000, "e": -3, "f": 1 << 40, "g": 0.1, "h": False}
    assert read_numbers(dumps(values), "m") == values
    for key, value in values.items():
        assert read_numbers(dumps({key: value}), "m") == {key: value}


def test_values_that_are_no_numbers_are_left_out():
    """A label list or a text among the options is of no use here."""
    assert read_numbers(dumps({"a": 1, "s": "text", "v": [1, 2], "m": {"x": 1}}), "m") == {"a": 1}


def test_numbers_stored_elsewhere_are_followed():
    """The format allows a number behind an offset, and some writers use it to keep words small."""
    builder = pytest.importorskip("flatbuffers.flexbuffers").Builder()
    with builder.Map():
        builder.Key("a")
        builder.IndirectInt(-70_000)
        builder.Key("b")
        builder.IndirectUInt(70_000)
        builder.Key("c")
        builder.IndirectFloat(0.25)
    assert read_numbers(bytes(builder.Finish()), "m") == {"a": -70_000, "b": 70_000, "c": 0.25}


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x01\x04\x01", b"\x00\x24\x03", b"\xff\x24\x01"])
def test_bytes_that_are_no_map_are_refused(data):
    """The options of some other operator may lie where these are expected."""
    with pytest.raises(ModelError, match=r"^m: is damaged"):
        read_numbers(data, "m")


def test_a_name_without_an_end_is_refused():
    """Names end in a zero byte; without one, reading would go on into what lies behind."""
    ended = b"aaaa\0" + bytes([1, 6, 1, 1, 1, 1, 4, 2, 36, 1])
    assert read_numbers(ended, "m") == {"aaaa": 1}
    endless = b"aaaa" + bytes([1, 5, 1, 1, 1, 1, 4, 2, 36, 1])
    with pytest.raises(ModelError, match=r"^m: .* the name of an option has no end"):
        read_numbers(endless, "m")


def test_the_options_of_the_detection_operator_are_named():
    """The number of classes decides whether labels fit."""
    written = {"max_detections": 10, "num_classes": 90, "nms_iou_threshold": 0.5, "y_scale": 10.0, "h_scale": 5.0}
    options = read_detection_options(dumps(written), "m")
    assert (options.max_detections, options.num_classes, options.nms_iou_threshold) == (10, 90, 0.5)
    assert options.scales == (10, 1, 5, 1)
    assert options.shapes == {"boxes": (1, 10, 4), "classes": (1, 10), "scores": (1, 10), "count": (1,)}


@pytest.mark.parametrize("value", [-1, 2_000_000, 0.5, float("inf"), float("nan")])
def test_impossible_counts_are_refused(value):
    """They come from damage, and would become shapes."""
    with pytest.raises(ModelError, match=r"^m: num_classes = .*, allowed is a whole number"):
        read_detection_options(dumps({"num_classes": value}), "m")


@given(st.binary(max_size=80))
def test_any_bytes_give_numbers_or_a_model_error(data):
    """Whatever a file holds, nothing but ModelError may come out."""
    error = error_of(lambda: read_numbers(data, "m"))
    assert error is None or str(error).startswith("m: is damaged")


@given(st.integers(0, 1 << 30), st.integers(0, 255))
def test_changed_bytes_give_numbers_or_a_model_error(place, value):
    """Changed bytes reach further into the reader than random ones."""
    data = bytearray(dumps({"max_detections": 10, "num_classes": 90, "nms_iou_threshold": 0.5, "text": "abc"}))
    data[place % len(data)] = value
    error = error_of(lambda: read_detection_options(bytes(data), "m"))
    assert error is None or str(error).startswith("m: ")
