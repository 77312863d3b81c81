"""Pictures to take the ranges of activations from, and how they go into the model: as they do at run time.

What is measured on too few, on one kind, or on artificial pictures fits no others. So at least `LEAST` are demanded,
they are shuffled (folders are sorted by place and time), and pictures of one or two values are left out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import imutils.paths
import numpy as np
from numpy.typing import NDArray

from edge_runtime.capture.images import read_image
from edge_runtime.capture.scene import make_scene, render
from edge_runtime.detector import input_format
from edge_runtime.errors import CaptureError, ConfigError, ModelError
from edge_runtime.inference import TensorSpec
from edge_runtime.model.flatbuffer import ModelFile, read_model
from edge_runtime.model.layout import read_layout
from edge_runtime.model.metadata import parse_metadata
from edge_runtime.model.sidecar import load_sidecar
from edge_runtime.model.spec import ModelSpec, resolve_spec
from edge_runtime.vision.preprocess import InputFormat, Preprocessor

log = logging.getLogger(__name__)

LEAST, ENOUGH, MOST = 10, 50, 200
"""Pictures: fewer is an error, fewer is a warning, more change nothing any longer."""

CHECKED = 16
"""Pictures on which a variant is compared with its parent; others than those for calibration where there are more."""

_SCENE_SEEDS, _FIRST_CHECK_SCENE = 3, 100_000  # the seeds of calibration; training and evaluation have others
_FLAT, _AT_ENDS = 4.0, 0.9  # standard deviation of the pixels; share of them that is black or white

Image = NDArray[np.uint8]
Reader = Callable[[], Image]
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Pictures:
    """What to calibrate with and what to compare on, read anew each time: 200 pictures fill a small memory."""

    name: str
    calibration: tuple[Reader, ...]
    check: tuple[Reader, ...]
    left_out: tuple[str, ...] = ()  # "name: why"

    @property
    def warning(self) -> str | None:
        """What is wrong with so few of them; None where nothing is."""
        if len(self.calibration) >= ENOUGH:
            return None
        return f"{self.name}: {len(self.calibration)} pictures are few; with {ENOUGH} to {MOST} ranges are better"


def load_pictures(source: str | Path, *, size_wh: tuple[int, int], count: int = 100, seed: int = 0) -> Pictures:
    """Return pictures from a folder and those inside it, or drawn ones for "scene".

    Args:
        source: a folder, or "scene".
        size_wh: of drawn pictures.
        count: most pictures to calibrate with.
        seed: of the shuffle.

    Raises:
        ConfigError: it is no folder, or holds fewer than `LEAST` pictures that are fit.
    """
    if not LEAST <= count <= MOST:
        raise ConfigError(f"--pictures: {count} is not allowed; give {LEAST} to {MOST}")
    if str(source) == "scene":
        return scenes(size_wh, count)
    return _from_folder(Path(source), count, seed)


def scenes(size_wh: tuple[int, int], count: int = 0) -> Pictures:
    """Return drawn pictures of this size, the same ones every time."""
    width, height = (max(side, 32) for side in size_wh)
    draw = partial(_scene, (width, height))
    return Pictures(
        "scene",
        tuple(partial(draw, number) for number in range(count)),
        tuple(partial(draw, _FIRST_CHECK_SCENE + number) for number in range(CHECKED)),
    )


def _scene(size_wh: tuple[int, int], number: int) -> Image:
    return render(make_scene(size_wh, (_SCENE_SEEDS, number), jpeg=True), 0.0)[0]


def _from_folder(folder: Path, count: int, seed: int) -> Pictures:
    if not folder.exists():
        raise ConfigError(
            f"--calibration: {folder} does not exist; give a folder of {ENOUGH} to {MOST} pictures, or scene"
        )
    if not folder.is_dir():
        raise ConfigError(
            f"--calibration: {folder} is one file; ranges from one picture fit no other, give a folder of {ENOUGH} to "
            f"{MOST} pictures, or scene"
        )
    paths = shuffled(folder, seed)
    if not paths:
        raise ConfigError(f"--calibration: {folder} holds no pictures; {ENOUGH} to {MOST} are needed, or scene")
    fit, left_out = _first_fit(paths, count + CHECKED)
    if len(fit) < LEAST:
        why = f" ({'; '.join(left_out[:5])})" if left_out else ""
        raise ConfigError(
            f"--calibration: {folder} holds {len(fit)} pictures that can be used, at least {LEAST} are needed, "
            f"{ENOUGH} to {MOST} are better{why}"
        )
    for said in left_out:
        log.warning("picture left out %s", said)
    readers = tuple(partial(read_image, path) for path in fit)
    used = min(count, max(LEAST, len(readers) - CHECKED))
    return Pictures(str(folder), readers[:used], readers[used:] or readers[-CHECKED:], left_out)


def shuffled(folder: Path, seed: int) -> list[Path]:
    """Return the pictures of a folder in an order that the seed alone decides, not their names."""
    paths = sorted(Path(one) for one in imutils.paths.list_images(str(folder)))
    return [paths[at] for at in np.random.default_rng(seed).permutation(len(paths))]


def _first_fit(paths: Sequence[Path], count: int) -> tuple[list[Path], tuple[str, ...]]:
    """Return the first so many that can be read and are no extremes, and why the others before them are not."""
    fit: list[Path] = []
    left_out: list[str] = []
    for path in paths:
        if len(fit) == count:
            break
        try:
            image = read_image(path)
        except CaptureError as exc:
            left_out.append(str(exc))
            continue
        if is_extreme(image):
            left_out.append(f"picture {path}: of one colour, or black and white only, as no camera takes it")
        else:
            fit.append(path)
    return fit, tuple(left_out)


def is_extreme(image: Image) -> bool:
    """Return whether a picture is artificial enough to stretch the ranges of all others."""
    ends = np.count_nonzero(image == 0) + np.count_nonzero(image == 255)
    return bool(image.std() < _FLAT or ends > _AT_ENDS * image.size)


@dataclass(frozen=True, slots=True)
class Feed:
    """How a picture becomes the input of a float model."""

    format: InputFormat
    spec: ModelSpec | None  # None where the model is no detector that is decoded here
    why_none: str = ""

    @property
    def span(self) -> Span:
        """The least and the greatest value a pixel of 0 to 255 can become; what pictures show is only part of it."""
        if self.format.mean is None or self.format.std is None:
            return 0.0, 255.0
        ends = [
            (end - mean) / std for mean, std in zip(self.format.mean, self.format.std, strict=True) for end in (0, 255)
        ]
        return min(ends), max(ends)

    @property
    def is_straight(self) -> bool:
        """True where all channels are scaled alike, so that an 8-bit input takes the pixels as they are."""
        mean, std = self.format.mean, self.format.std
        return mean is None or std is None or (len(set(mean)) == 1 and len(set(std)) == 1)

    def tensors(self, readers: Sequence[Reader]) -> Iterator[NDArray[Any]]:
        """Return each picture as the float tensor, an array of its own."""
        preprocessor = Preprocessor(self.format)
        for read in readers:
            yield preprocessor.finish(preprocessor.shrink(read())).copy()


def resolve_feed(model: Path, *, input_range: Span | None = None) -> Feed:
    """Return how pictures go into the float model at `model`.

    As at run time where it is a detector; else by what its sidecar and its metadata say.

    Args:
        model: its sidecar is looked for beside it.
        input_range: what a pixel of 0 and one of 255 become; outweighs all else.

    Raises:
        ModelError: its input is no picture, or not float.
        ConfigError: nothing says how pixels are scaled.
    """
    file = read_model(model)
    layout = read_layout(file.inputs, file)
    tensor = file.inputs[0]
    if tensor.dtype != np.float32:
        raise ModelError(
            f"{model}: its input is {tensor.dtype}, it is quantised already; give the float model it came from"
        )
    try:
        spec = resolve_spec(model, file.inputs, file.outputs, model_file=file)
    except ModelError as exc:
        color = "grey" if layout.channels == 1 else "rgb"
        plain = InputFormat(layout.size_wh, tensor.dtype, layout.is_nchw, color)
        return Feed(_scaled(plain, file, input_range), None, str(exc).removeprefix(f"{model}: "))
    found = input_format(TensorSpec(tensor.name, tensor.shape, tensor.dtype), spec)
    return Feed(found if input_range is None else _with_range(found, input_range), spec)


def _scaled(plain: InputFormat, file: ModelFile, input_range: Span | None) -> InputFormat:
    """Return the format with colours and scaling of a model that is no detector."""
    metadata = parse_metadata(file.metadata, str(file.path)) if file.metadata else None
    embedded = metadata.inputs[0] if metadata and metadata.inputs else None
    sidecar = load_sidecar(file.path)
    if sidecar:
        color, fill = plain.color if plain.color == "grey" else sidecar.color or "rgb", sidecar.fill or plain.fill
        fill = fill[::-1] if color == "rgb" else fill
        plain = replace(plain, color=color, fit=sidecar.fit or "stretch", fill=fill)
    if input_range is not None:
        return _with_range(plain, input_range)
    for said in (sidecar, embedded):
        if said and said.mean and said.std:
            return replace(plain, mean=said.mean, std=said.std)
    raise ConfigError(
        f"{file.path}: nothing says how its input is scaled; say what black and white become with --input-range 0,1 "
        "(or -1,1 or 0,255)"
    )


def _with_range(plain: InputFormat, input_range: Span) -> InputFormat:
    low, high = input_range
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ConfigError(
            f"--input-range: {low:g},{high:g} is not allowed; give two numbers, the smaller first, like 0,1"
        )
    std = 255 / (high - low)
    return replace(plain, mean=(0.0 - low * std,) * 3, std=(std,) * 3)
