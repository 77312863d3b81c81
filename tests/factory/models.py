"""Tiny valid models with scripted outputs, written where a test wants them.

`write_model` is the general one; `write_echo`, `write_ssd`, `write_postprocess_ssd`, `write_raw_ssd` and
`write_classifier` are what tests usually need. The broken ones are in `tests.factory.broken`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tests.factory.graph import Graph

SSD_ROLES = ("boxes", "classes", "scores", "count")
TF1_NAMES = {
    "boxes": "TFLite_Detection_PostProcess",
    "classes": "TFLite_Detection_PostProcess:1",
    "scores": "TFLite_Detection_PostProcess:2",
    "count": "TFLite_Detection_PostProcess:3",
}
TF2_NAMES = {
    "boxes": "StatefulPartitionedCall:3",
    "classes": "StatefulPartitionedCall:2",
    "scores": "StatefulPartitionedCall:1",
    "count": "StatefulPartitionedCall:0",
}
TF2_SIGNATURE = {"boxes": "output_3", "classes": "output_2", "scores": "output_1", "count": "output_0"}
NAMELESS = {role: f"tensor_{index}" for index, role in enumerate(("scores", "count", "boxes", "classes"))}

_QUANTIZED_INPUT = {"uint8": (1 / 128, 128), "int8": (1 / 128, 0), "int16": (1 / 32768, 0)}


@dataclass(frozen=True, eq=False)
class Scripted:
    """An output that always has these values, whatever goes in."""

    name: str
    array: NDArray[Any]  # as stored; its dtype is that of the output
    quantization: tuple[float, int] | None = None  # scale, zero point
    signature_name: str | None = None  # by default its name


def write_model(
    path: Path,
    *,
    input_shape: Sequence[int] = (1, 32, 32, 3),
    input_dtype: str = "uint8",
    input_quantization: tuple[float, int] | None = None,
    input_name: str = "image",
    input_signature_shape: Sequence[int] | None = None,
    extra_inputs: Sequence[tuple[str, Sequence[int], str]] = (),
    outputs: Sequence[Scripted],
    signature: str | None = None,
    metadata: bytes | None = None,
    packed: Mapping[str, str] | None = None,
    custom_op: str | None = None,
    heavy: int = 0,
) -> Path:
    """Write a model whose outputs are scripted and still depend on its input; return `path`.

    The input is reduced to one number, multiplied by zero and added to each output, so the engine runs real nodes.

    Args:
        path: where to; the folder exists.
        input_shape: any rank; usually (1, H, W, 3) or (1, 3, H, W).
        input_dtype: uint8, int8, int16 or float32.
        input_quantization: scale and zero point; by default what converters choose for -1 to 1, none for float.
        input_name: the tensor's name.
        input_signature_shape: the shape with -1 for open sides.
        extra_inputs: (name, shape, dtype) of inputs that nothing reads.
        outputs: in the order of the file.
        signature: key of a signature, such as "serving_default".
        metadata: what `tests.factory.metadata.embedded_metadata` returns.
        packed: file name -> text, appended as a zip.
        custom_op: makes one operator of this name give all outputs; no engine runs it.
        heavy: number of 3x3 convolutions before the outputs.
    """
    graph = Graph()
    quantization = input_quantization or _QUANTIZED_INPUT.get(input_dtype)
    first = graph.tensor(
        input_name, input_shape, input_dtype, quantization=quantization, shape_signature=input_signature_shape
    )
    extras = [graph.tensor(name, shape, dtype) for name, shape, dtype in extra_inputs]
    if custom_op:
        ends = [graph.tensor(one.name, one.array.shape, one.array.dtype.name) for one in outputs]
        graph.custom(custom_op, [first], ends, {})
    else:
        zero = _zero(graph, first, input_shape, heavy)
        ends = [_scripted(graph, zero, one) for one in outputs]
    graph.set_ends([first, *extras], ends)
    if signature:
        names = {one.signature_name or one.name: end for one, end in zip(outputs, ends, strict=True)}
        graph.add_signature(signature, {input_name: first}, names)
    return _finish(graph, path, metadata, packed)


def _finish(graph: Graph, path: Path, metadata: bytes | None, packed: Mapping[str, str] | None) -> Path:
    if metadata is not None:
        graph.add_metadata("TFLITE_METADATA", metadata)
    graph.write(path)
    if packed:
        with zipfile.ZipFile(path, "a") as archive:
            for name, text in packed.items():
                archive.writestr(name, text)
    return path


def _zero(graph: Graph, source: int, shape: Sequence[int], heavy: int) -> int:
    """Return a float tensor of shape (1,) that is zero for every input."""
    real = graph.tensor("real", shape, "float32")
    graph.operator("CAST", [source], [real])
    side, channels = list(shape), 8
    for layer in range(heavy):
        weights = graph.constant(f"weights_{layer}", np.full((channels, 3, 3, side[-1]), 1e-3), "float32")
        bias = graph.constant(f"bias_{layer}", np.zeros(channels), "float32")
        side[-1] = channels
        convolved = graph.tensor(f"convolved_{layer}", side, "float32")
        graph.operator("CONV_2D", [real, weights, bias], [convolved], strideH=1, strideW=1)
        real = convolved
    largest = graph.tensor("largest", [1] * len(side), "float32")
    graph.operator("REDUCE_MAX", [real, graph.constant("axes", range(len(side)), "int32")], [largest], keepDims=True)
    flat = graph.tensor("flat", [1], "float32")
    graph.operator("RESHAPE", [largest, graph.constant("flat_shape", [1], "int32")], [flat], newShape=[1])
    zero = graph.tensor("zero", [1], "float32")
    graph.operator("MUL", [flat, graph.constant("nothing", [0.0], "float32")], [zero])
    return zero


def _scripted(graph: Graph, zero: int, output: Scripted) -> int:
    shape, dtype = output.array.shape, output.array.dtype.name
    values = graph.constant(f"{output.name}/values", output.array, "float32")
    if dtype == "float32":
        end = graph.tensor(output.name, shape, dtype)
        graph.operator("ADD", [values, zero], [end])
        return end
    real = graph.tensor(f"{output.name}/real", shape, "float32")
    graph.operator("ADD", [values, zero], [real])
    end = graph.tensor(output.name, shape, dtype, quantization=output.quantization)
    graph.operator("CAST", [real], [end])
    return end


def write_echo(path: Path, shape: Sequence[int] = (1, 4, 6, 3), dtype: str = "uint8") -> Path:
    """Write a model whose only output is its input, bit for bit; return `path`."""
    graph = Graph()
    quantization = _QUANTIZED_INPUT.get(dtype)
    source = graph.tensor("image", shape, dtype, quantization=quantization)
    end = graph.tensor("echo", shape, dtype, quantization=quantization)
    wanted = graph.constant("shape", shape, "int32")
    graph.operator("RESHAPE", [source, wanted], [end], newShape=list(shape))
    graph.set_ends([source], [end])
    return graph.write(path)


def ssd_arrays(boxes: ArrayLike, classes: ArrayLike, scores: ArrayLike, *, rows: int = 10) -> dict[str, NDArray[Any]]:
    """Return the four outputs of an SSD by role, float32, filled up with zeros to `rows`.

    Args:
        boxes: (n, 4) y1, x1, y2, x2 from 0 to 1.
        classes: (n,) class ids.
        scores: (n,) 0 to 1.
        rows: detections the model puts out, the empty ones included.
    """
    found = np.asarray(boxes, np.float32).reshape(-1, 4)
    arrays = {
        "boxes": np.zeros((1, rows, 4), np.float32),
        "classes": np.zeros((1, rows), np.float32),
        "scores": np.zeros((1, rows), np.float32),
        "count": np.array([len(found)], np.float32),
    }
    arrays["boxes"][0, : len(found)] = found
    arrays["classes"][0, : len(found)] = np.asarray(classes)
    arrays["scores"][0, : len(found)] = np.asarray(scores)
    return arrays


def write_ssd(
    path: Path,
    boxes: ArrayLike = ((0.1, 0.2, 0.5, 0.6),),
    classes: ArrayLike = (0,),
    scores: ArrayLike = (0.9,),
    *,
    rows: int = 10,
    order: Sequence[str] = SSD_ROLES,
    names: Mapping[str, str] = TF1_NAMES,
    signature_names: Mapping[str, str] | None = None,
    **options: Any,
) -> Path:
    """Write a model that always finds these boxes, with the four outputs of an SSD in any order; return `path`.

    Its outputs look like those of TFLite_Detection_PostProcess and come from plain operators. `options` are those
    of `write_model`.
    """
    arrays = ssd_arrays(boxes, classes, scores, rows=rows)
    inside = signature_names or {}
    outputs = [Scripted(names[role], arrays[role], signature_name=inside.get(role)) for role in order]
    if signature_names:
        options.setdefault("signature", "serving_default")
    return write_model(path, outputs=outputs, **options)


def write_postprocess_ssd(
    path: Path,
    boxes: ArrayLike = ((0.1, 0.2, 0.5, 0.6),),
    classes: Sequence[int] = (0,),
    scores: Sequence[float] = (0.9,),
    *,
    num_classes: int = 90,
    rows: int = 10,
    order: Sequence[str] = SSD_ROLES,
    names: Mapping[str, str] = TF1_NAMES,
    input_shape: Sequence[int] = (1, 32, 32, 3),
    input_dtype: str = "uint8",
    metadata: bytes | None = None,
    packed: Mapping[str, str] | None = None,
) -> Path:
    """Write a model that ends in the real TFLite_Detection_PostProcess and always finds these boxes; return `path`.

    The anchors are the boxes and the encodings zero, so the operator decodes what is wanted. Boxes of one place and
    class fall to its NMS (IoU 0.6).
    """
    yxyx = np.asarray(boxes, np.float32).reshape(-1, 4)
    sizes = yxyx[:, 2:] - yxyx[:, :2]
    anchors = np.concatenate([yxyx[:, :2] + sizes / 2, sizes], axis=1)
    per_class = np.zeros((1, len(yxyx), num_classes + 1), np.float32)
    per_class[0, np.arange(len(yxyx)), np.asarray(classes) + 1] = scores  # column 0 is the background

    graph = Graph()
    source = graph.tensor("image", input_shape, input_dtype, quantization=_QUANTIZED_INPUT.get(input_dtype))
    zero = _zero(graph, source, input_shape, 0)
    encodings = _scripted(graph, zero, Scripted("encodings", np.zeros((1, len(yxyx), 4), np.float32)))
    predictions = _scripted(graph, zero, Scripted("predictions", per_class))
    # Converters leave the shapes of these four out of the file.
    ends = {role: graph.tensor(names[role], None, "float32") for role in SSD_ROLES}
    options = {
        "max_detections": rows, "max_classes_per_detection": 1, "num_classes": num_classes,
        "nms_iou_threshold": 0.6, "nms_score_threshold": 1e-8, "use_regular_nms": False,
        "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0,
    }  # fmt: skip
    inputs = [encodings, predictions, graph.constant("anchors", anchors, "float32")]
    graph.custom("TFLite_Detection_PostProcess", inputs, list(ends.values()), options)
    graph.set_ends([source], [ends[role] for role in order])
    return _finish(graph, path, metadata, packed)


def write_raw_ssd(
    path: Path,
    encodings: NDArray[Any],
    scores: NDArray[Any],
    *,
    encodings_quantization: tuple[float, int] | None = None,
    scores_quantization: tuple[float, int] | None = None,
    anchors: NDArray[Any] | None = None,
    names: tuple[str, str] = ("Squeeze", "convert_scores"),
    **options: Any,
) -> Path:
    """Write a raw SSD, box encodings and scores without NMS, as stored values; return `path`.

    Args:
        path: where to.
        encodings: (n, 4) ty, tx, th, tw; float32, uint8 or int8.
        scores: (n, classes + 1), column 0 the background; float32, uint8 or int8.
        encodings_quantization: scale and zero point.
        scores_quantization: scale and zero point.
        anchors: (n, 4) ycenter, xcenter, height, width, written beside the model as `<stem>_anchors.csv`.
        names: of the two outputs.
        options: those of `write_model`.
    """
    if anchors is not None:
        beside = path.with_name(f"{path.stem}_anchors.csv")
        np.savetxt(beside, anchors, fmt="%.7g", delimiter=",", header="ycenter,xcenter,height,width", comments="")
    outputs = [
        Scripted(names[0], encodings[None], encodings_quantization),
        Scripted(names[1], scores[None], scores_quantization),
    ]
    return write_model(path, outputs=outputs, **options)


def write_classifier(path: Path, best: int = 3, classes: int = 1001, **options: Any) -> Path:
    """Write a model that names a picture and finds no boxes: output [1, classes] uint8; return `path`."""
    scores = np.zeros((1, classes), np.uint8)
    scores[0, best] = 200
    return write_model(path, outputs=[Scripted("probability", scores, (1 / 256, 0))], **options)
