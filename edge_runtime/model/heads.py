"""Outputs that are recognised but not decoded, so that a refusal can say more than "unknown"."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from edge_runtime.model.families import Shape


@dataclass(frozen=True, slots=True)
class Head:
    """Outputs that are recognised but not decoded."""

    what: str
    matches: Callable[[Sequence[Shape], tuple[int, int]], bool]  # output shapes, (width, height) of the input
    is_detector: bool = True


def _cells(size_wh: tuple[int, int], strides: Iterable[int]) -> int:
    """Return how many cells the grids of an anchor-free head have on an input of this size."""
    return sum(-(-size_wh[0] // stride) * -(-size_wh[1] // stride) for stride in strides)


def _single(shapes: Sequence[Shape], rank: int) -> Iterator[Shape]:
    """Yield the shape of the only output if it has this rank."""
    if len(shapes) == 1 and len(shapes[0]) == rank and shapes[0][0] == 1:
        yield shapes[0]


def _is_yolo(shapes: Sequence[Shape], size_wh: tuple[int, int]) -> bool:
    return any(rows == _cells(size_wh, (8, 16, 32)) and side > 4 for _, side, rows in _single(shapes, 3))


def _is_yolox(shapes: Sequence[Shape], size_wh: tuple[int, int]) -> bool:
    return any(rows == _cells(size_wh, (8, 16, 32)) and side > 5 for _, rows, side in _single(shapes, 3))


def _is_yolov5(shapes: Sequence[Shape], size_wh: tuple[int, int]) -> bool:
    return any(rows == 3 * _cells(size_wh, (8, 16, 32)) and side > 5 for _, rows, side in _single(shapes, 3))


def _is_nanodet(shapes: Sequence[Shape], size_wh: tuple[int, int]) -> bool:
    return any(rows == _cells(size_wh, (8, 16, 32, 64)) and side > 32 for _, rows, side in _single(shapes, 3))


def _is_end_to_end(shapes: Sequence[Shape], _: tuple[int, int]) -> bool:
    return any(side == 6 for _, _, side in _single(shapes, 3))


def _is_blazeface(shapes: Sequence[Shape], _: tuple[int, int]) -> bool:
    return len(shapes) == 2 and {shape[2:] for shape in shapes} == {(16,), (1,)} and shapes[0][:2] == shapes[1][:2]


def _is_classifier(shapes: Sequence[Shape], _: tuple[int, int]) -> bool:
    return any(_single(shapes, 2)) or any(shape[1:3] == (1, 1) for shape in _single(shapes, 4))


def _is_segmentation(shapes: Sequence[Shape], size_wh: tuple[int, int]) -> bool:
    """Tell a map of the picture: of its proportions, and at least a sixteenth of its size."""
    maps = (*_single(shapes, 3), *_single(shapes, 4))
    return any(height * size_wh[0] == width * size_wh[1] and 16 * width >= size_wh[0] for _, height, width, *_ in maps)


HEADS = (
    Head("a YOLO head (YOLOv8, YOLO11)", _is_yolo),
    Head("a YOLOX head", _is_yolox),
    Head("a YOLOv5 head", _is_yolov5),
    Head("a NanoDet head", _is_nanodet),
    Head("an end-to-end YOLO head (YOLOv10, YOLO26)", _is_end_to_end),
    Head("a BlazeFace head", _is_blazeface),
    Head("a classifier", _is_classifier, is_detector=False),
    Head("a segmentation model", _is_segmentation, is_detector=False),
)


def name_head(shapes: Sequence[Shape], size_wh: tuple[int, int]) -> Head | None:
    """Return what outputs of these shapes look like, None where nothing comes to mind."""
    return next((head for head in HEADS if head.matches(shapes, size_wh)), None)
