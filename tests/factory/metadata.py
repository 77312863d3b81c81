"""The two forms of metadata that travel inside a model file.

Source: tensorflow_lite_support/metadata/metadata_schema.fbs; the slot numbers are the order of the fields there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.factory.schema import load_schema

VALUE_LABELS = 3
AXIS_LABELS = 2
SSD_OUTPUTS = ("location", "category", "score", "number of detections")


def embedded_metadata(
    *,
    name: str = "detector",
    mean: Sequence[float] | None = (127.5,),
    std: Sequence[float] = (127.5,),
    color: int = 1,
    outputs: Sequence[str] = SSD_OUTPUTS,
    labels_file: str | None = "labelmap.txt",
    labels_kind: int = VALUE_LABELS,
    labels_output: int = 1,
    box_output: int | None = 0,
    box_order: Sequence[int] = (1, 0, 3, 2),
    box_kind: int = 1,
    box_is_pixels: bool = False,
) -> bytes:
    """Return the flatbuffer that goes into a model under the name TFLITE_METADATA.

    Args:
        name: of the model.
        mean: one number or three; None leaves the scaling out.
        std: as `mean`.
        color: ColorSpaceType: 1 RGB, 2 greyscale, 0 unknown.
        outputs: a name for each output.
        labels_file: the packed file that `labels_output` refers to; None for no labels.
        labels_kind: AssociatedFileType: 3 value labels, 2 axis labels.
        labels_output: index of the output the labels belong to.
        box_output: index of the output that holds boxes.
        box_order: BoundingBoxProperties.index.
        box_kind: BoundingBoxType: 1 boundaries, 2 upper left, 3 centre.
        box_is_pixels: CoordinateType: pixels instead of 0 to 1.
    """
    load_schema()  # skips where flatbuffers is missing
    from flatbuffers import Builder

    builder = Builder(512)
    inputs = [_input(builder, mean, std, color)]
    ends = []
    for index, output in enumerate(outputs):
        fields: dict[int, Any] = {0: builder.CreateString(output)}
        if index == box_output:
            properties = _table(builder, {0: _uints(builder, box_order)}, {1: box_kind, 2: int(box_is_pixels)})
            fields[3] = _table(builder, {1: properties}, {0: 3})
        if labels_file and index == labels_output:
            file = _table(builder, {0: builder.CreateString(labels_file)}, {2: labels_kind})
            fields[6] = _offsets(builder, [file])
        ends.append(_table(builder, fields))
    graph = _table(builder, {2: _offsets(builder, inputs), 3: _offsets(builder, ends)})
    root = _table(builder, {0: builder.CreateString(name), 3: _offsets(builder, [graph])})
    builder.Finish(root, b"M001")
    return bytes(builder.Output())


def _input(builder: Any, mean: Sequence[float] | None, std: Sequence[float], color: int) -> int:
    fields = {0: builder.CreateString("image")}
    fields[3] = _table(builder, {1: _table(builder, {}, {0: color})}, {0: 2})
    if mean is not None:
        scaling = _table(builder, {0: _floats(builder, mean), 1: _floats(builder, std)})
        fields[4] = _offsets(builder, [_table(builder, {1: scaling}, {0: 1})])
    return _table(builder, fields)


def _table(builder: Any, offsets: Mapping[int, int], small: Mapping[int, int] | None = None) -> int:
    """Return a table of fields that point somewhere and fields of one byte, by slot."""
    numbers = small or {}
    builder.StartObject(max([*offsets, *numbers], default=-1) + 1)
    for slot, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    for slot, number in numbers.items():
        builder.PrependInt8Slot(slot, number, 0)
    return builder.EndObject()


def _offsets(builder: Any, items: Sequence[int]) -> int:
    builder.StartVector(4, len(items), 4)
    for item in reversed(items):
        builder.PrependUOffsetTRelative(item)
    return builder.EndVector()


def _floats(builder: Any, values: Sequence[float]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return builder.EndVector()


def _uints(builder: Any, values: Sequence[int]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependUint32(value)
    return builder.EndVector()


def ultralytics_dictionary(names: Sequence[str], **others: Any) -> dict[str, str]:
    """Return what goes into `packed` of `write_model`: the dictionary an Ultralytics export carries."""
    found = {"task": "detect", "stride": 32, "imgsz": [32, 32], "names": dict(enumerate(names)), **others}
    return {"temp_meta.txt": repr(found)}
