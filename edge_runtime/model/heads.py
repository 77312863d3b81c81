"""Outputs that are recognised but not decoded, so that a refusal can say more than "unknown"."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edge_runtime.model.families import Shape
from edge_runtime.vision.grid import count_cells


@dataclass(frozen=True, slots=True)
class Head:
    """Outputs that are recognised but not decoded."""

    what: str
    matches: Callable[[Sequence[Shape], tuple[int, int]], bool]  # output shapes, (width, height) of the input
    is_detector: bool = True


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


def _is_classifier(shapes: Sequence[Shape], _: tuple[int, int]) -> bool:
    return any(_single(shapes, 2)) or any(shape[1:3] == (1, 1) for shape in _single(shapes, 4))


def _is_segmentation(shapes: Sequence[Shape], size_wh: tuple[int, int]) -> bool:
    """Tell a map of the picture: of its proportions, and at least a sixteenth of its size."""
    maps = (*_single(shapes, 3), *_single(shapes, 4))
    return any(height * size_wh[0] == width * size_wh[1] and 16 * width >= size_wh[0] for _, height, width, *_ in maps)


HEADS = (
    Head("a YOLO head with masks (task segment)", _is_yolo_segmentation),
    Head("a classifier", _is_classifier, is_detector=False),
    Head("a segmentation model", _is_segmentation, is_detector=False),
)


def name_head(shapes: Sequence[Shape], size_wh: tuple[int, int]) -> Head | None:
    """Return what outputs of these shapes look like, None where nothing comes to mind."""
    return next((head for head in HEADS if head.matches(shapes, size_wh)), None)
