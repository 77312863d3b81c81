"""Shapes and names tell the roles of the outputs, as far as they can."""

from __future__ import annotations

from itertools import permutations

import pytest

from edge_runtime.decoding import DECODERS
from edge_runtime.model.families import (
    FAMILIES,
    assignments,
    count_classes,
    count_rows,
    fits,
    show_shape,
)
from edge_runtime.model.output_names import roles_by_name

SSD, RAW = FAMILIES["ssd_postprocess"], FAMILIES["ssd_anchors"]
SHAPES = {"boxes": (1, 10, 4), "classes": (1, 10), "scores": (1, 10), "count": (1,)}


@pytest.mark.parametrize("order", list(permutations(SHAPES)))
def test_shapes_leave_only_classes_and_scores_open(order):
    """In every order of the outputs there are the same two ways, one of them right."""
    ways = assignments(SSD, [SHAPES[role] for role in order])
    assert len(ways) == 2
    assert {role: order.index(role) for role in SHAPES} in ways
    assert {way["boxes"] for way in ways} == {order.index("boxes")}


@pytest.mark.parametrize(
    "shapes",
    [
        [(1, 10, 4), (1, 10), (1, 10)],
        [(1, 10, 4), (1, 10), (1, 9), (1,)],
        [(1, 9, 4), (1, 10), (1, 10), (1,)],
        [(1, 0, 4), (1, 0), (1, 0), (1,)],
        [(1, 10, 4), (1, 10), (1, 10), (2,)],
        [(2, 10, 4), (2, 10), (2, 10), (1,)],
    ],
)
def test_shapes_that_do_not_agree_fit_no_way(shapes):
    """The number of rows is the same in all, or it is another family."""
    assert assignments(SSD, shapes) == []


def test_raw_scores_have_a_column_for_the_background():
    """With a single column there would be no class left."""
    assert assignments(RAW, [(1, 6, 2), (1, 6, 4)]) == [{"boxes": 1, "scores": 0}]
    assert assignments(RAW, [(1, 6, 1), (1, 6, 4)]) == []


def test_some_roles_may_be_checked_alone():
    """The sidecar may name only one output."""
    shapes = list(SHAPES.values())
    assert fits(SSD, shapes, {"scores": 1})
    assert not fits(SSD, shapes, {"boxes": 1})
    assert fits(SSD, shapes, {})


@pytest.mark.parametrize(
    "names",
    [
        ("TFLite_Detection_PostProcess", "TFLite_Detection_PostProcess:1", "TFLite_Detection_PostProcess:2",
         "TFLite_Detection_PostProcess:3"),
        ("StatefulPartitionedCall:3", "StatefulPartitionedCall:2", "StatefulPartitionedCall:1",
         "StatefulPartitionedCall:0"),
        ("output_3", "output_2", "output_1", "output_0"),
        ("detection_boxes", "detection_classes", "detection_scores", "num_detections"),
        ("location", "category", "score", "number of detections"),
        ("locations", "classes", "scores", "count"),
        ("Boxes", "class_ids", "class_scores", "num"),
    ],
)  # fmt: skip
def test_the_names_of_every_exporter_are_known(names):
    """Names tell what shapes cannot: which of two are the classes."""
    assert roles_by_name(SSD, names) == {"boxes": 0, "classes": 1, "scores": 2, "count": 3}


def test_names_that_tell_nothing_or_the_same_twice_are_left_out():
    """Half a hint is used, a contradiction is not."""
    assert roles_by_name(SSD, ["x", None, "scores", "y"]) == {"scores": 2}
    assert roles_by_name(SSD, ["score_a", "score_b", "boxes", "count"]) == {"boxes": 2, "count": 3}


def test_raw_heads_have_scores_by_class():
    """What is called class_predictions there are scores."""
    assert roles_by_name(RAW, ["raw_outputs/class_predictions", "raw_outputs/box_encodings"]) == {
        "scores": 0,
        "boxes": 1,
    }
    assert roles_by_name(RAW, ["num_detections"]) == {}


def test_shapes_are_written_as_in_every_message():
    """No spaces, so that they can be searched for."""
    assert show_shape((1, 300, 300, 3)) == "[1,300,300,3]"
    assert RAW.needs == "boxes [1,N,4], scores [1,N,1+classes]"


def test_every_family_has_its_decoder_and_the_settings_it_asks_for():
    """Two tables in two packages that may not import each other."""
    assert set(FAMILIES) == set(DECODERS)
    for name, family in FAMILIES.items():
        assert ("strides" in DECODERS[name].settings) == family.needs_strides
        assert ("box_unit" in DECODERS[name].settings) == family.needs_box_unit
        assert bool(family.grids) or not family.needs_strides


@pytest.mark.parametrize(
    ("name", "shapes", "classes", "rows"),
    [
        ("ssd_anchors", [(1, 6, 4), (1, 6, 91)], 90, 6),
        ("fcos", [(1, 480, 4), (1, 480, 6)], 6, 480),
        ("yolox", [(1, 3549, 85)], 80, 3549),
        ("yolo", [(1, 84, 3549)], 80, 3549),
        ("yolov5", [(1, 25200, 6)], 1, 25200),
        ("nanodet", [(1, 2125, 112)], 80, 2125),
        ("blazeface", [(1, 896, 16), (1, 896, 1)], 1, 896),
        ("yolo_end_to_end", [(1, 300, 6)], None, 300),
    ],
)
def test_classes_and_rows_are_counted_from_the_shapes(name, shapes, classes, rows):
    """Labels are checked against the one, strides against the other."""
    (roles,) = assignments(FAMILIES[name], shapes)
    assert count_classes(FAMILIES[name], shapes, roles) == classes
    assert count_rows(FAMILIES[name], shapes, roles) == rows


@pytest.mark.parametrize(("name", "shape"), [("yolox", (1, 21, 5)), ("yolo", (1, 4, 21)), ("nanodet", (1, 85, 32))])
def test_a_head_has_one_class_at_least(name, shape):
    """Boxes alone are another kind of model."""
    assert assignments(FAMILIES[name], [shape]) == []
