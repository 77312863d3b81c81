"""How far a variant's answers are from its parent's, for models whose answers nothing here decodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.capture.scene import SceneSource
from edge_runtime.compare.isolate import ask
from edge_runtime.errors import ModelError
from edge_runtime.model.flatbuffer import read_model

if TYPE_CHECKING:
    from edge_runtime.inference import TensorSpec

SCENES = 8
SEED = 3
PATIENCE_S = 60.0


def input_range(models: Sequence[Path]) -> tuple[float, float]:
    """Return the real numbers a picture spans at the input: what an integer variant says, else 0 to 1."""
    for path in models:
        try:
            first = read_model(path).inputs[0]
        except (ModelError, IndexError):
            continue
        if first.quantization is not None and np.issubdtype(first.dtype, np.integer):
            limits, found = np.iinfo(first.dtype), first.quantization
            low, high = ((limit - found.zero_point) * found.scale for limit in (limits.min, limits.max))
            return float(low), float(high)
    return 0.0, 1.0


def scene_inputs(specs: Sequence[TensorSpec], *, low: float, high: float, count: int) -> Iterator[list[NDArray[Any]]]:
    """Give `count` drawn scenes as the inputs of a model, black as `low` and white as `high`.

    An input that is no picture of three channels gets noise between the two, the same for every model.
    """
    random = np.random.default_rng(SEED)
    with SceneSource(seed=SEED, frames=count) as scenes:
        for frame in scenes:
            real = [low + (high - low) * _unit(frame.image, spec.shape, random) for spec in specs]
            yield [_stored(values, spec) for values, spec in zip(real, specs, strict=True)]


def _unit(image: NDArray[np.uint8], shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float64]:
    """Return values from 0 to 1 in this shape."""
    if len(shape) == 4 and shape[0] == 1 and 3 in (shape[1], shape[3]):
        is_nchw = shape[3] != 3
        height, width = shape[2:] if is_nchw else shape[1:3]
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)[..., ::-1] / 255.0
        return np.asarray(small.transpose(2, 0, 1) if is_nchw else small, np.float64)[None]
    return random.random(shape)


def _stored(real: NDArray[np.float64], spec: TensorSpec) -> NDArray[Any]:
    if not np.issubdtype(spec.dtype, np.integer):
        return np.ascontiguousarray(real.astype(spec.dtype))
    scale, zero_point = (spec.quantization.scale, spec.quantization.zero_point) if spec.quantization else (1.0, 0)
    limits = np.iinfo(spec.dtype)
    return np.ascontiguousarray(np.clip(np.rint(real / scale) + zero_point, limits.min, limits.max).astype(spec.dtype))


def real_outputs(outputs: Sequence[NDArray[Any]], specs: Sequence[TensorSpec]) -> list[NDArray[np.float32]]:
    """Return the outputs as real numbers."""
    found = []
    for array, spec in zip(outputs, specs, strict=True):
        scale, zero_point = (spec.quantization.scale, spec.quantization.zero_point) if spec.quantization else (1.0, 0)
        found.append(((array.astype(np.float32) - zero_point) * scale).astype(np.float32))
    return found


def relative_error(found: Sequence[NDArray[Any]], wanted: Sequence[NDArray[Any]]) -> float:
    """Return the root mean square of the difference over that of what was wanted, of the worst output.

    0 is the same; 1 is as wrong as all zeros. Values that are not finite on either side count as wanted zeros.

    Raises:
        ModelError: the outputs differ in number or shape.
    """
    if [one.shape for one in found] != [one.shape for one in wanted]:
        raise ModelError("its outputs are not those of the parent, so they cannot be compared")
    worst = 0.0
    for one, other in zip(found, wanted, strict=True):
        of_wanted = float(np.sqrt(np.mean(np.square(np.nan_to_num(other, posinf=0, neginf=0), dtype=np.float64))))
        with np.errstate(invalid="ignore", over="ignore"):  # infinity less infinity is no number, and counts as none
            difference = np.nan_to_num(one - other, posinf=0, neginf=0)
        of_difference = float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))
        if of_difference:
            worst = max(worst, of_difference / of_wanted if of_wanted else 1.0)
    return worst


def answers(model: Path, *, engine: str, span: tuple[float, float]) -> list[NDArray[np.float32]]:
    """Return what a model answers to the drawn scenes, found out in a child; one array for each output.

    Raises:
        ModelError, BackendError: see `ask`.
    """
    with TemporaryDirectory(prefix="edge-runtime-") as folder:
        path = Path(folder) / "outputs.npz"
        low, high = span
        ask("write_outputs", model, patience_s=PATIENCE_S, engine=engine, low=low, high=high, count=SCENES,
            path=str(path))  # fmt: skip
        with np.load(path) as arrays:
            return [arrays[name] for name in arrays.files]
