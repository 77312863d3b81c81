"""The families of outputs: which shapes each one has, by what names its outputs go, and its usual input.

A decoder of `edge_runtime.decoding` belongs to each key of `FAMILIES`. What is recognised but not decoded is in
`heads`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

Shape = tuple[int, ...]
Pattern = tuple[int | str, ...]  # a word stands for any number, and for the same one in all patterns of a family
Roles = Mapping[str, int]  # role -> index of the output
Triple = tuple[float, float, float]

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


def _yolo(outputs: Mapping[str, Pattern], grids: tuple[tuple[int, ...], ...] = (), per_cell: int = 1) -> Family:
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
    )


FAMILIES: dict[str, Family] = {
    "ssd_postprocess": Family(
        {"boxes": (1, "N", 4), "classes": (1, "N"), "scores": (1, "N"), "count": (1,)}, must_know_roles=False
    ),
    "ssd_anchors": Family({"boxes": (1, "N", 4), "scores": (1, "N", "1+classes")}, must_know_roles=True),
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
    "yolo": _yolo({"predictions": (1, "4+classes", "N")}, grids=((8, 16, 32), _FOUR, (4, 8, 16, 32), (16, 32))),
    "yolov5": _yolo({"predictions": (1, "N", "5+classes")}, grids=((8, 16, 32), _FOUR, (16, 32)), per_cell=3),
    "yolo_end_to_end": _yolo({"predictions": (1, "N", 6)}),
    "nanodet": Family(
        {"predictions": (1, "N", "classes+32")},
        must_know_roles=True,
        mean=(103.53, 116.28, 123.675),
        std=(57.375, 57.12, 58.395),
        color="bgr",
        grids=(_FOUR,),
        needs_strides=True,
    ),
    "blazeface": Family(
        {"boxes": (1, "N", 16), "scores": (1, "N", 1)},
        must_know_roles=True,
        fit="letterbox",
        grids=((8, 16, 16, 16), (16, 32, 32, 32)),
        needs_strides=True,
        per_cell=2,
        labels=("face",),
    ),
}


def show_shape(shape: Iterable[int | str]) -> str:
    """Return a shape as messages write it: ``[1,300,300,3]``."""
    return f"[{','.join(str(side) for side in shape)}]"


def assignments(family: Family, shapes: Sequence[Shape]) -> list[dict[str, int]]:
    """Return every way to give the outputs of these shapes the roles of the family; empty where none fits."""
    if len(shapes) != len(family.outputs):
        return []
    ways = (dict(zip(family.roles, order, strict=True)) for order in permutations(range(len(shapes))))
    return [way for way in ways if fits(family, shapes, way)]


def fits(family: Family, shapes: Sequence[Shape], roles: Roles) -> bool:
    """Return whether outputs of these shapes can have these roles, which may be some of the family's."""
    bound: dict[str, int] = {}
    for role, index in roles.items():
        pattern, shape = family.outputs[role], shapes[index]
        if len(pattern) != len(shape):
            return False
        for wanted, found in zip(pattern, shape, strict=True):
            expected = bound.setdefault(wanted, found) if isinstance(wanted, str) else wanted
            if found != expected or found < _least(wanted):
                return False
    return True


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
    """Return the N of a family whose outputs have one."""
    rows = _bound("N", family, shapes, roles)
    assert rows is not None
    return rows


def _bound(word: str, family: Family, shapes: Sequence[Shape], roles: Roles) -> int | None:
    """Return the number that a word of the patterns stands for; None where no pattern has it."""
    for role, index in roles.items():
        if word in family.outputs[role]:
            return shapes[index][family.outputs[role].index(word)]
    return None


_FIXED_NAMES = {
    # TF1 exports number the outputs of the operator, TF2 exports those of the signature, which is sorted by name.
    "tflite_detection_postprocess": "boxes",
    "tflite_detection_postprocess:1": "classes",
    "tflite_detection_postprocess:2": "scores",
    "tflite_detection_postprocess:3": "count",
    "statefulpartitionedcall:3": "boxes",
    "statefulpartitionedcall:2": "classes",
    "statefulpartitionedcall:1": "scores",
    "statefulpartitionedcall:0": "count",
    "output_3": "boxes",
    "output_2": "classes",
    "output_1": "scores",
    "output_0": "count",
}
_WORDS = (("box", "boxes"), ("location", "boxes"), ("score", "scores"), ("class", "classes"), ("categor", "classes"),
          ("num", "count"), ("count", "count"))  # fmt: skip
"""A part of a name and the role it tells; the first that occurs counts, so class_scores are scores."""


def roles_by_name(family: Family, names: Sequence[str | None]) -> dict[str, int]:
    """Return the roles that the names of the outputs tell; a role that two of them claim is left out."""
    claims: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        role = _role_of(name or "", family)
        if role is not None:
            claims.setdefault(role, []).append(index)
    return {role: indices[0] for role, indices in claims.items() if len(indices) == 1}


def _role_of(name: str, family: Family) -> str | None:
    lower = name.lower()
    role = _FIXED_NAMES.get(lower) or next((role for word, role in _WORDS if word in lower), None)
    if role == "classes" and role not in family.outputs:
        role = "scores"  # raw heads have one score per class: class_predictions
    return role if role in family.outputs else None
