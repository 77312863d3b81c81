"""Outputs that are recognised but not decoded, so that a refusal can say more than "unknown"."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

from edge_runtime.model.families import Shape
from edge_runtime.vision.grid import count_cells

_POINTS = 17  # of a person in COCO
_LANDMARKS = (
    195,
    165,
    63,
    1404,
    1434,
)  # numbers: 39 or 33 points of a body by 5, 21 of a hand, 468 or 478 of a face by 3
_YOLO_GRIDS = ((8, 16, 32), (8, 16, 32, 64))


@dataclass(frozen=True, slots=True)
class Head:
    """Outputs that are recognised but not decoded."""

    what: str
    matches: Callable[[Sequence[Shape], tuple[int, int]], bool]  # output shapes, (width, height) of the input
    is_detector: bool = True
    instead: str = ""  # what to do with it; ends in "or "


def _single(shapes: Sequence[Shape], rank: int) -> Iterator[Shape]:
    """Yield the shape of the only output if it has this rank."""
    if len(shapes) == 1 and len(shapes[0]) == rank and shapes[0][0] == 1:
        yield shapes[0]


def _is_yolo_segmentation(shapes: Sequence[Shape], size_wh: tuple[int, int]) -> bool:
    """Tell a YOLO head with more numbers than a box and classes beside a quarter-sized map of masks."""
    return len(shapes) == 2 and any(
        one[2:] == (count_cells(size_wh, (8, 16, 32)),) and len(other) == 4
        for one, other in (shapes, tuple(reversed(shapes)))
        if len(one) == 3
    )


def _is_yolo_pose(shapes: Sequence[Shape], size_wh: tuple[int, int]) -> bool:
    """Tell a YOLO head for persons: a box, a score and 17 points of three numbers; with NMS inside a class, too."""
    cells = {count_cells(size_wh, strides) for strides in _YOLO_GRIDS}
    columns = {shape[1] if shape[2] in cells else shape[2] if shape[1] in cells else 0 for shape in _single(shapes, 3)}
    return 5 + _POINTS * 3 in columns or any(shape[2] == 6 + _POINTS * 3 for shape in _single(shapes, 3))


def _is_single_pose(shapes: Sequence[Shape], _: tuple[int, int]) -> bool:
    """Tell the points of one person (MoveNet's [1,1,17,3]) or of six (its [1,6,56])."""
    return any(shape[1:] == (1, _POINTS, 3) for shape in _single(shapes, 4)) or any(
        shape[1:] == (6, 5 + _POINTS * 3) for shape in _single(shapes, 3)
    )


def _is_pose_beside_boxes(shapes: Sequence[Shape], _: tuple[int, int]) -> bool:
    """Tell a detector of persons with their points beside the boxes, as CenterNet's export has them: [1,N,17,2]."""
    return len(shapes) > 1 and any(len(shape) == 4 and shape[2:] == (_POINTS, 2) for shape in shapes)


def _is_pose_map(shapes: Sequence[Shape], _: tuple[int, int]) -> bool:
    """Tell PoseNet: heat maps of 17 points, their offsets, and displacements forwards and backwards."""
    depths = [shape[3] for shape in shapes if len(shape) == 4]
    return len(depths) == len(shapes) and sorted(depths) in ([17, 32, 32, 34], [17, 34])


def _is_landmarks(shapes: Sequence[Shape], _: tuple[int, int]) -> bool:
    """Tell MediaPipe's landmark models: of a body [1,195], a hand [1,63] or a face [1,1,1,1404], beside a score."""
    sizes = [prod(shape) for shape in shapes]
    return len(shapes) > 1 and 1 in sizes and any(size in sizes for size in _LANDMARKS)


def _is_classifier(shapes: Sequence[Shape], _: tuple[int, int]) -> bool:
    return any(_single(shapes, 2)) or any(shape[1:3] == (1, 1) for shape in _single(shapes, 4))


def _is_segmentation(shapes: Sequence[Shape], size_wh: tuple[int, int]) -> bool:
    """Tell a map of the picture: of its proportions, and at least a sixteenth of its size."""
    maps = (*_single(shapes, 3), *_single(shapes, 4))
    return any(height * size_wh[0] == width * size_wh[1] and 16 * width >= size_wh[0] for _, height, width, *_ in maps)


_CLASSIFY = "run it with edge-runtime run --task classify, or one picture with edge-runtime detect --task classify, or "

HEADS = (
    Head("a YOLO head with masks (task segment)", _is_yolo_segmentation),
    Head("a YOLO head with key points (a pose model)", _is_yolo_pose),
    Head("a pose model (MoveNet)", _is_single_pose, is_detector=False),
    Head("a detector with key points (a pose model)", _is_pose_beside_boxes),
    Head("a pose model (PoseNet)", _is_pose_map, is_detector=False),
    Head("a model of landmarks (a pose, hand or face mesh model)", _is_landmarks, is_detector=False),
    Head("a classifier", _is_classifier, is_detector=False, instead=_CLASSIFY),
    Head("a segmentation model", _is_segmentation, is_detector=False),
)


def name_head(shapes: Sequence[Shape], size_wh: tuple[int, int]) -> Head | None:
    """Return what outputs of these shapes look like, None where nothing comes to mind."""
    return next((head for head in HEADS if head.matches(shapes, size_wh)), None)
