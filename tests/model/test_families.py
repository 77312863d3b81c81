"""Shapes and names tell the roles of the outputs, as far as they can."""

from __future__ import annotations

from itertools import permutations

import pytest

from edge_runtime.model.families import FAMILIES, assignments, fits, roles_by_name, show_shape

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
