"""The metadata inside a model file: how its input is scaled, what its outputs are called, its labels.

Two forms are in use. Google's is a flatbuffer in a buffer of the model, with the label files as a zip behind it;
Ultralytics' is a zip behind it that holds a Python or JSON dictionary.

Source: tensorflow_lite_support/metadata/metadata_schema.fbs; the slot numbers below are the order of the fields there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_runtime.errors import ModelError
from edge_runtime.model.table import Buffer, Table

Triple = tuple[float, float, float]

_IMAGE_PROPERTIES, _BOX_PROPERTIES = 2, 3  # members of the union ContentProperties
_NORMALIZATION, _SCORE_THRESHOLDING = 1, 3  # members of the union ProcessUnitOptions
_COLORS = {1: "rgb", 2: "grayscale"}
_FILE_KINDS = {1: "descriptions", 2: "axis labels", 3: "value labels", 4: "score calibration", 5: "vocabulary"}
_BOX_KINDS = {1: "boundaries", 2: "upper-left", 3: "center"}


@dataclass(frozen=True, slots=True)
class AssociatedFile:
    """A file packed behind the model."""

    name: str
    kind: str | None  # "value labels", "axis labels", ...; None where the metadata does not say


@dataclass(frozen=True, slots=True)
class BoxProperties:
    """How the four numbers of a box are meant."""

    order: tuple[int, ...]  # where left, top, right, bottom (or the four of `kind`) stand; empty: in that order
    kind: str | None  # "boundaries", "upper-left" or "center"
    is_pixels: bool  # False: 0 to 1


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """What the metadata says of one input or output."""

    name: str
    mean: Triple | None = None  # real = (pixel - mean) / std, of the float model
    std: Triple | None = None
    color: str | None = None  # "rgb" or "grayscale"
    boxes: BoxProperties | None = None
    score_threshold: float | None = None
    files: tuple[AssociatedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the metadata says of the model."""

    name: str
    description: str
    version: str
    author: str
    license: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]
    files: tuple[AssociatedFile, ...]

    @property
    def label_files(self) -> tuple[str, ...]:
        """Names of the packed files that hold labels, the most telling first.

        Detectors give the class as a value ("value labels"), raw heads one score per class ("axis labels").
        """
        tensors = [file for output in self.outputs for file in output.files]
        by_kind = [file.name for kind in ("value labels", "axis labels") for file in tensors if file.kind == kind]
        others = [file.name for file in self.files if "label" in file.name.lower()]
        return tuple(dict.fromkeys(by_kind + others))


def parse_metadata(data: bytes, name: str) -> Metadata:
    """Return what the embedded flatbuffer says; `name` is what to call the model in a message.

    Raises:
        ModelError: the bytes are damaged, or a scaling in them is impossible.
    """
    buffer = Buffer(data, f"{name}: embedded metadata")
    root = buffer.root()
    graphs = root.tables(3)
    graph = graphs[0] if graphs else None
    return Metadata(
        name=root.text(0),
        description=root.text(1),
        version=root.text(2),
        author=root.text(4),
        license=root.text(5),
        inputs=tuple(_tensor(one, buffer.name) for one in graph.tables(2)) if graph else (),
        outputs=tuple(_tensor(one, buffer.name) for one in graph.tables(3)) if graph else (),
        files=_files(root, 6) + (_files(graph, 4) if graph else ()),
    )


def _tensor(table: Table, source: str) -> TensorMetadata:
    name = table.text(0)
    units = {unit.integer(0, "u8"): unit.table(1) for unit in table.tables(4)}
    scaling, threshold = units.get(_NORMALIZATION), units.get(_SCORE_THRESHOLDING)
    mean, std = _normalization(scaling, f"{source}: tensor {name!r}") if scaling else (None, None)
    color, boxes = _content(table.table(3))
    return TensorMetadata(
        name=name,
        mean=mean,
        std=std,
        color=color,
        boxes=boxes,
        score_threshold=threshold.real(0) if threshold else None,
        files=_files(table, 6),
    )


def _normalization(table: Table, source: str) -> tuple[Triple, Triple]:
    mean, std = _triple(table.reals(0), f"{source}: mean"), _triple(table.reals(1), f"{source}: std")
    if min(std) <= 0:
        raise ModelError(f"{source}: std {std} is not above 0; set mean and std in the sidecar of the model")
    return mean, std


def _triple(values: tuple[float, ...], source: str) -> Triple:
    if len(values) not in (1, 3) or not all(math.isfinite(value) for value in values):
        raise ModelError(f"{source}: found {values}, allowed are 1 or 3 numbers; set it in the sidecar of the model")
    return values if len(values) == 3 else (values[0], values[0], values[0])


def _content(content: Table | None) -> tuple[str | None, BoxProperties | None]:
    """Return the colour of an image tensor and the properties of a box tensor, each None for the other kind."""
    properties = content.table(1) if content else None
    if content is None or properties is None:
        return None, None
    kind = content.integer(0, "u8")
    if kind == _IMAGE_PROPERTIES:
        return _COLORS.get(properties.integer(0, "i8")), None
    if kind == _BOX_PROPERTIES:
        box_kind = _BOX_KINDS.get(properties.integer(1, "i8"))
        return None, BoxProperties(properties.integers(0, "u32"), box_kind, properties.integer(2, "i8") == 1)
    return None, None


def _files(table: Table, slot: int) -> tuple[AssociatedFile, ...]:
    return tuple(AssociatedFile(file.text(0), _FILE_KINDS.get(file.integer(2, "i8"))) for file in table.tables(slot))
