"""What is not decoded is at least called by its name."""

from __future__ import annotations

import pytest

from edge_runtime.model.heads import name_head


@pytest.mark.parametrize(
    ("shapes", "size_wh", "what"),
    [
        ([(1, 116, 3549), (1, 104, 104, 32)], (416, 416), "a YOLO head with masks"),
        ([(1, 32, 160, 160), (1, 116, 8400)], (640, 640), "a YOLO head with masks"),
        ([(1, 1001)], (224, 224), "a classifier"),
        ([(1, 1, 1, 1000)], (224, 224), "a classifier"),
        ([(1, 257, 257, 21)], (257, 257), "a segmentation model"),
        ([(1, 256, 256)], (256, 256), "a segmentation model"),
        ([(1, 120, 160, 1)], (640, 480), "a segmentation model"),
        ([(1, 1, 17, 3)], (192, 192), "a pose model (MoveNet)"),
        ([(1, 6, 56)], (256, 256), "a pose model (MoveNet)"),
        ([(1, 23, 17, 17), (1, 23, 17, 34), (1, 23, 17, 32), (1, 23, 17, 32)], (257, 353), "a pose model (PoseNet)"),
        ([(1, 195), (1, 1), (1, 256, 256, 1), (1, 64, 64, 39), (1, 117)], (256, 256), "a model of landmarks"),
        ([(1, 10, 4), (1, 10), (1, 10), (1,), (1, 10, 17, 2), (1, 10, 17)], (320, 320), "a detector with key points"),
        ([(1, 1, 1, 1404), (1, 1, 1, 1)], (192, 192), "a model of landmarks"),
        ([(1, 56, 3549)], (416, 416), "a YOLO head with key points (a pose model)"),
        ([(1, 3549, 56)], (416, 416), "a YOLO head with key points (a pose model)"),
        ([(1, 300, 57)], (640, 640), "a YOLO head with key points (a pose model)"),
    ],
)
def test_known_outputs_are_named(shapes, size_wh, what):
    """The name is what the user searches the web for."""
    assert name_head(shapes, size_wh).what.startswith(what)


@pytest.mark.parametrize(
    "shapes",
    [
        [],
        [()],
        [(1, 5)] * 2,
        [(1, 13, 13, 255)],
        [(2, 1001)],
        [(1, 896, 16), (1, 895, 1)],
        [(1, 84, 3548)],
        [(1, 4, 3549)],
        [(1, 116, 3548), (1, 104, 104, 32)],
    ],
)
def test_other_outputs_are_not_given_a_wrong_name(shapes):
    """A wrong name sends the user the wrong way."""
    assert name_head(shapes, (416, 416)) is None


def test_only_detectors_are_called_detectors():
    """The next step differs: another decoder, or another model."""
    assert name_head([(1, 116, 3549), (1, 104, 104, 32)], (416, 416)).is_detector
    assert not name_head([(1, 1001)], (416, 416)).is_detector
