"""The families of outputs: which shapes each one has, how sure these shapes are of it, and its usual input.

A decoder of `edge_runtime.decoding` belongs to each key of `FAMILIES`. What is recognised but not decoded is in
`heads`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Shape = tuple[int, ...]
Pattern = tuple[int | str, ...]  # a word stands for any number, and for the same one in all patterns of a family
Roles = Mapping[str, int]  # role -> index of the output
Triple = tuple[float, float, float]

ALONE, ON_GRID, REARRANGED, OTHER_TOOLS = 0.5, 0.8, 0.6, 0.3
"""How sure outputs of the shapes of a family are of it, 0 to 1, with nothing but the shapes to go by.

Any number of rows will do; the number of rows is that of a grid; the same in a layout that its exporter does not have
by itself; the shapes are usually those of another family.
"""
_LEVELS = ("N1", "N2", "N3", "N4")
"""Words for the rows of each grid, where a family has outputs for each: the finest grid first, so they get fewer."""
_BESIDE_CLASSES = {"classes": 0, "1+classes": 1, "4+classes": 4, "5+classes": 5, "classes+32": 32}
"""How many of so many numbers are no class: "1+classes" has the background in column 0. One class is left at least."""


@dataclass(frozen=True, slots=True)
class Family:
    """Outputs that one decoder understands, and the input that models with them usually want."""

    outputs: Mapping[str, Pattern]
    must_know_roles: bool  # False: the decoder tells apart by value what shapes and names leave open
    mean: Triple = (127.5, 127.5, 127.5)
    std: Triple = (127.5, 127.5, 127.5)
    color: str = "rgb"
    fit: str = "stretch"
    fill: Triple = (0.0, 0.0, 0.0)
    grids: tuple[tuple[int, ...], ...] = ()  # the strides it can have, where a row belongs to a cell of a grid
    needs_strides: bool = False  # True: its decoder must know which
    per_cell: int = 1  # rows for each cell
    needs_box_unit: bool = False  # True: boxes are in pixels or normalised, and its decoder must know which
    raw_boxes: tuple[float, float] | None = None  # what boxes before decoding must at least reach from and to
    labels: tuple[str, ...] = ()  # of a family that finds one kind of thing
    confidence: float = ON_GRID  # that of the shapes alone, see above
    is_symmetric: bool = False  # True: what shapes and names leave open makes no difference
    is_squeezed: bool = False  # True: sides of 1 do not count
    needs_anchors: bool = False
    task: str = "detect"  # or "classify"

    @property
    def roles(self) -> tuple[str, ...]:
        """The names its outputs have here."""
        return tuple(self.outputs)

    @property
    def needs(self) -> str:
        """Its outputs in words: ``boxes [1,N,4], scores [1,N,1+classes]``."""
        return ", ".join(f"{role} {show_shape(pattern)}" for role, pattern in self.outputs.items())


_ZEROS, _GREY = (0.0,) * 3, (114.0,) * 3
_FOUR = (8, 16, 32, 64)


def _yolo(
    outputs: Mapping[str, Pattern],
    grids: tuple[tuple[int, ...], ...] = (),
    per_cell: int = 1,
    confidence: float = ON_GRID,
) -> Family:
    """Return a family of Ultralytics' exports, which share their input."""
    return Family(
        outputs,
        must_know_roles=True,
        mean=_ZEROS,
        std=(255.0,) * 3,
        fit="letterbox",
        fill=_GREY,
        grids=grids,
        per_cell=per_cell,
        needs_box_unit=True,
        confidence=confidence,
    )


def _levels(outputs: Mapping[str, Pattern], count: int) -> dict[str, Pattern]:
    """Return these outputs once for each of so many grids: "scores" becomes "scores_1", its "N" becomes "N1"."""
    return {
        f"{role}_{level[1:]}": tuple(level if side == "N" else side for side in pattern)
        for level in _LEVELS[:count]
        for role, pattern in outputs.items()
    }


_YOLO_GRIDS = ((8, 16, 32), _FOUR, (4, 8, 16, 32), (16, 32))
_NANODET_MEAN, _NANODET_STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
_DISTRIBUTIONS: dict[str, Pattern] = {"scores": (1, "N", "classes"), "distances": (1, "N", 32)}


def _nanodet(outputs: Mapping[str, Pattern], strides: tuple[int, ...], confidence: float = ON_GRID) -> Family:
    """Return a family of NanoDet's exports, which share their input."""
    return Family(
        outputs,
        must_know_roles=True,
        mean=_NANODET_MEAN,
        std=_NANODET_STD,
        color="bgr",
        grids=(strides,),
        needs_strides=True,
        confidence=confidence,
    )


def _centernet(scores: Pattern, pair: Pattern) -> Family:
    """Return a family of CenterNet's heads, which share their input."""
    return Family(
        {"scores": scores, "sizes": pair, "offsets": pair},
        must_know_roles=True,
        mean=(104.04, 113.985, 119.85),
        std=(73.695, 69.87, 70.89),
        color="bgr",
        fit="letterbox",
        grids=((4,),),
        needs_strides=True,
    )


def _blazeface(grids: tuple[tuple[int, ...], ...], per_cell: int) -> Family:
    """Return a family of MediaPipe's face detectors, which share their input."""
    return Family(
        {"boxes": (1, "N", 16), "scores": (1, "N", 1)},
        must_know_roles=True,
        fit="letterbox",
        grids=grids,
        needs_strides=True,
        per_cell=per_cell,
        labels=("face",),
    )


_DETECTED: dict[str, Pattern] = {"boxes": (1, "N", 4), "classes": (1, "N"), "scores": (1, "N"), "count": (1,)}

FAMILIES: dict[str, Family] = {
    "ssd_postprocess": Family(_DETECTED, must_know_roles=False, confidence=ALONE),
    "centernet_postprocess": Family(
        _DETECTED, must_know_roles=False, mean=_ZEROS, std=(1.0,) * 3, confidence=OTHER_TOOLS
    ),
    "ssd_anchors": Family(
        {"boxes": (1, "N", 4), "scores": (1, "N", "1+classes")},
        must_know_roles=True,
        confidence=ALONE,
        needs_anchors=True,
    ),
    "fcos": Family(
        {"boxes": (1, "N", 4), "scores": (1, "N", "classes")},
        must_know_roles=True,
        mean=_ZEROS,
        std=(255.0,) * 3,
        fit="letterbox",
        fill=_GREY,
        grids=((4,), (8,), (16,), (32,), (64,), (16, 32), (8, 16, 32), _FOUR, (*_FOUR, 128), (4, 8, 16, 32)),
        needs_strides=True,
    ),
    "yolox": Family(
        {"predictions": (1, "N", "5+classes")},
        must_know_roles=True,
        mean=_ZEROS,
        std=(1.0,) * 3,
        color="bgr",
        fit="letterbox-topleft",
        fill=_GREY,
        grids=((8, 16, 32),),
        needs_strides=True,
        raw_boxes=(-1.0, 2.0),
    ),
    "yolo": _yolo({"predictions": (1, "4+classes", "N")}, grids=_YOLO_GRIDS),
    "yolo_rows": _yolo({"predictions": (1, "N", "4+classes")}, grids=_YOLO_GRIDS, confidence=REARRANGED),
    "yolo_split": _yolo({"boxes": (1, 4, "N"), "scores": (1, "classes", "N")}, grids=_YOLO_GRIDS),
    "yolo_split_rows": _yolo({"boxes": (1, "N", 4), "scores": (1, "N", "classes")}, grids=_YOLO_GRIDS),
    "yolov5": _yolo({"predictions": (1, "N", "5+classes")}, grids=((8, 16, 32), _FOUR, (16, 32)), per_cell=3),
    "yolo_end_to_end": _yolo({"predictions": (1, "N", 6)}, confidence=ALONE),
    "nanodet": _nanodet({"predictions": (1, "N", "classes+32")}, _FOUR),
    "nanodet_v0": _nanodet({"predictions": (1, "N", "classes+32")}, (8, 16, 32), REARRANGED),
    "nanodet_v0_split": _nanodet(_levels(_DISTRIBUTIONS, 3), (8, 16, 32)),
    "picodet": Family(
        _levels(_DISTRIBUTIONS, 4),
        must_know_roles=True,
        mean=_NANODET_MEAN[::-1],
        std=_NANODET_STD[::-1],
        grids=(_FOUR,),
        needs_strides=True,
    ),
    "centernet": _centernet((1, "H", "W", "classes"), (1, "H", "W", 2)),
    "centernet_planes": _centernet((1, "classes", "H", "W"), (1, 2, "H", "W")),
    "blazeface": _blazeface(((8, 16, 16, 16), (16, 32, 32, 32)), per_cell=2),
    "blazeface_full_range": _blazeface(((4,),), per_cell=1),
    "yunet": Family(
        _levels({"cls": (1, "N", 1), "obj": (1, "N", 1), "bbox": (1, "N", 4), "kps": (1, "N", 10)}, 3),
        must_know_roles=True,
        mean=_ZEROS,
        std=(1.0,) * 3,
        color="bgr",
        fit="letterbox-topleft",
        grids=((8, 16, 32),),
        needs_strides=True,
        labels=("face",),
        is_symmetric=True,
    ),
    "classify": Family({"scores": ("classes",)}, must_know_roles=True, is_squeezed=True, task="classify"),
}


def families_for(task: str) -> dict[str, Family]:
    """Return the families of a task."""
    return {name: family for name, family in FAMILIES.items() if family.task == task}


def show_shape(shape: Iterable[int | str]) -> str:
    """Return a shape as messages write it: ``[1,300,300,3]``."""
    return f"[{','.join(str(side) for side in shape)}]"


def assignments(family: Family, shapes: Sequence[Shape]) -> list[dict[str, int]]:
    """Return every way to give the outputs of these shapes the roles of the family; empty where none fits."""
    if len(shapes) != len(family.outputs):
        return []
    ways: list[dict[str, int]] = [{}]
    for role in family.roles:  # role by role, for twelve outputs have half a billion orders
        tried = ({**way, role: index} for way in ways for index in range(len(shapes)) if index not in way.values())
        ways = [way for way in tried if fits(family, shapes, way)]
    return ways


def fits(family: Family, shapes: Sequence[Shape], roles: Roles) -> bool:
    """Return whether outputs of these shapes can have these roles, which may be some of the family's."""
    bound: dict[str, int] = {}
    for role, index in roles.items():
        pattern, shape = family.outputs[role], _counted(family, shapes[index])
        if len(pattern) != len(shape):
            return False
        for wanted, found in zip(pattern, shape, strict=True):
            expected = bound.setdefault(wanted, found) if isinstance(wanted, str) else wanted
            if found != expected or found < _least(wanted):
                return False
    levels = [bound[level] for level in _LEVELS if level in bound]
    return all(finer > coarser for finer, coarser in pairwise(levels))


def _counted(family: Family, shape: Shape) -> Shape:
    return tuple(side for side in shape if side != 1) if family.is_squeezed else shape


def _least(wanted: int | str) -> int:
    return _BESIDE_CLASSES.get(wanted, 0) + 1 if isinstance(wanted, str) else 1


def count_classes(family: Family, shapes: Sequence[Shape], roles: Roles) -> int | None:
    """Return how many classes the family or the shapes have, without background; None where they do not tell."""
    if family.labels:
        return len(family.labels)
    for word, others in _BESIDE_CLASSES.items():
        found = _bound(word, family, shapes, roles)
        if found is not None:
            return found - others
    return None


def count_rows(family: Family, shapes: Sequence[Shape], roles: Roles) -> int:
    """Return how many rows the outputs of a family on grids have: its N, those of all its grids, or H times W."""
    found = {word: _bound(word, family, shapes, roles) for word in ("N", *_LEVELS, "H", "W")}
    if found["H"] and found["W"]:
        return found["H"] * found["W"]
    return sum(found[word] or 0 for word in ("N", *_LEVELS))


def _bound(word: str, family: Family, shapes: Sequence[Shape], roles: Roles) -> int | None:
    """Return the number that a word of the patterns stands for; None where no pattern has it."""
    for role, index in roles.items():
        if word in family.outputs[role]:
            return _counted(family, shapes[index])[family.outputs[role].index(word)]
    return None
