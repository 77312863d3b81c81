"""The input of a model as a picture: its size and the order of its axes, or why it is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_runtime.errors import ModelError
from edge_runtime.model.families import Shape, show_shape
from edge_runtime.model.flatbuffer import ModelFile
from edge_runtime.model.tensor import Tensor

_TYPES = ("uint8", "int8", "int16", "float16", "float32")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a picture lies in the input."""

    size_wh: tuple[int, int]
    is_nchw: bool  # True: [1,channels,height,width], False: [1,height,width,channels]
    channels: int = 3  # or 1, grey


def read_layout(inputs: Sequence[Tensor], file: ModelFile) -> Layout:
    """Return how a picture lies in the only input.

    Raises:
        ModelError: there are more inputs, or it is no single picture of three channels or one and a fixed size.
    """
    if len(inputs) != 1:
        listed = ", ".join(f"{one.name} {show_shape(one.shape)}" for one in inputs)
        raise ModelError(
            f"{file.path}: has {len(inputs)} inputs ({listed}); only a model with one input, the picture, can be run; "
            "export it without states and extra inputs"
        )
    tensor = inputs[0]
    shape = _declared_shape(tensor, file)
    found = f"{file.path}: input {tensor.name!r} has shape {show_shape(shape)}"
    if len(shape) != 4:
        raise ModelError(f"{found}; needed is a picture, [1,height,width,3] or [1,3,height,width]; give a detector")
    if min(shape[1:]) < 1 or shape[0] == 0:
        raise ModelError(f"{found}, which leaves its size open; export it with a fixed size")
    if shape[0] not in (1, -1):
        raise ModelError(f"{found}, a batch of {shape[0]}; export it with a batch of 1")
    channels = next((count for count in (3, 1) if count in (shape[1], shape[3])), None)
    if channels is None:
        raise ModelError(
            f"{found}; needed are 3 channels or 1 (grey), [1,height,width,channels] or [1,channels,height,width]; "
            "give a detector"
        )
    if tensor.dtype.name not in _TYPES:
        raise ModelError(f"{found} and type {tensor.dtype.name}; allowed are {', '.join(_TYPES)}; convert it again")
    if shape[3] == channels:
        return Layout((shape[2], shape[1]), is_nchw=False, channels=channels)
    return Layout((shape[3], shape[2]), is_nchw=True, channels=channels)


def _declared_shape(tensor: Tensor, file: ModelFile) -> Shape:
    """Return the shape with -1 for open sides: an engine reports those as 1, which looks like a real size."""
    if len(file.inputs) == 1 and file.inputs[0].name == tensor.name:
        declared = file.inputs[0].shape_signature
        if len(declared) == len(tensor.shape):
            return tuple(
                -1 if open_side == -1 else side for open_side, side in zip(declared, tensor.shape, strict=True)
            )
    return tensor.shape
