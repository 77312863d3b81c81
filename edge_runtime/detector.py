"""One image in, detections out: the model with everything around it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from time import perf_counter_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from edge_runtime.decoding import DECODERS, Candidates, Decoder, Heads
from edge_runtime.detections import Detections
from edge_runtime.errors import ConfigError
from edge_runtime.inference import Backend, BackendInfo, TensorSpec, Watched
from edge_runtime.inference.select import open_backend
from edge_runtime.model.families import FAMILIES
from edge_runtime.model.flatbuffer import read_model
from edge_runtime.model.spec import ModelSpec, resolve_spec
from edge_runtime.model.store import find_model
from edge_runtime.vision.boxes import clip
from edge_runtime.vision.letterbox import Letterbox
from edge_runtime.vision.nms import best_first, nms
from edge_runtime.vision.preprocess import InputFormat, Preprocessor, Shrunk

if TYPE_CHECKING:
    from edge_runtime.model.labels import Labels
    from edge_runtime.result import StateChange

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Invoked:
    """The outputs of one invoke, not yet decoded."""

    outputs: list[NDArray[Any]]
    letterbox: Letterbox
    finish_ns: int  # what was left to do for the tensor
    invoke_ns: int


class Detector:
    """A model, opened and ready. `detect` is for one thread at a time, each of its three steps for one of its own.

    Example:
        >>> with Detector("detect.tflite") as detector:
        ...     found = detector.detect(cv2.imread("street.jpg"))
    """

    def __init__(
        self,
        model: str | Path,
        *,
        labels: str | Path | None = None,
        backend: str = "auto",
        engine: str = "auto",
        num_threads: int | None = None,
        score_threshold: float = 0.4,
        iou_threshold: float | None = None,
        max_detections: int = 100,
        classes: Sequence[str] = (),
        task: str = "detect",
        isolation: str = "auto",
        fallback: str = "none",
        invoke_timeout_s: float | None = None,
        explain: bool = False,
    ) -> None:
        """Open the model.

        Args:
            model: a .tflite or .onnx file.
            labels: a label file, where the model brings none or the wrong one.
            backend: "auto", "cpu", "edgetpu", "edgetpu:usb:0", "gpu", "gpu:/path/lib.so", "onnx",
                "onnx:cuda", "onnx:tensorrt", "remote:grpc://host:8001/MODEL".
            engine: "auto", "litert" or "tflite-runtime".
            num_threads: None measures once what is best on this board.
            score_threshold: 0 to 1.
            iou_threshold: 0 to 1; None is what the model's family needs.
            max_detections: the best so many are kept.
            classes: names to keep; empty keeps all.
            task: "detect", or "classify" for labels of the whole picture; the box of each is the picture then.
            isolation: "thread", "process" for a child process that may hang or crash, or "auto": that for accelerators.
            fallback: "cpu" has the CPU serve where the backend cannot be opened; "none" makes that an error.
            invoke_timeout_s: when an invoke in a child counts as hung; None learns it.
            explain: say in the log how the backend was chosen.

        Raises:
            ConfigError: a setting or the label file is wrong.
            ModelError: the file is missing, damaged, or nothing here decodes it.
            BackendError: the engine or the device is missing or refuses.
        """
        path = find_model(Path(model))
        file = read_model(path)
        label_file = None if labels is None else Path(labels)
        if file.is_edgetpu:  # what is no detector is refused without asking for a device first
            resolve_spec(path, file.inputs, file.outputs, labels_file=label_file, model_file=file, task=task)
        opened = open_backend(
            path,
            backend,
            is_edgetpu=file.is_edgetpu,
            engine=engine,
            num_threads=num_threads,
            isolation=isolation,
            fallback=fallback,
            invoke_timeout_s=invoke_timeout_s,
            explain=explain,
        )
        try:
            spec = resolve_spec(path, opened.inputs, opened.outputs, labels_file=label_file, model_file=file, task=task)
            self._set_up(opened, spec, score_threshold, iou_threshold, max_detections, classes)
        except BaseException:
            opened.close()  # a device would stay taken while the error lives
            raise

    @classmethod
    def from_backend(
        cls,
        backend: Backend,
        spec: ModelSpec,
        *,
        score_threshold: float = 0.4,
        iou_threshold: float | None = None,
        max_detections: int = 100,
        classes: Sequence[str] = (),
    ) -> Self:
        """Return a detector on a backend that is open already: a fake one, or one of your own."""
        detector = cls.__new__(cls)
        detector._set_up(backend, spec, score_threshold, iou_threshold, max_detections, classes)
        return detector

    def _set_up(
        self,
        backend: Backend,
        spec: ModelSpec,
        score_threshold: float,
        iou_threshold: float | None,
        max_detections: int,
        classes: Sequence[str],
    ) -> None:
        self.spec = spec
        self.backend = backend
        self._specs = backend.outputs
        self._decode = _decoder(spec)
        self._score_threshold = score_threshold
        self._iou_threshold = iou_threshold
        if iou_threshold is None and DECODERS[spec.decoder].needs_nms:
            self._iou_threshold = DECODERS[spec.decoder].iou_threshold
        self._max_detections = max_detections
        self._wanted_ids = _wanted_ids(spec.labels, classes)
        wanted = input_format(backend.inputs[0], spec)
        self._preprocessor = Preprocessor(wanted)
        self.task = FAMILIES[spec.decoder].task
        log.info(
            "model ready decoder=%s input=%dx%d %s labels=%s",
            spec.decoder, *wanted.size_wh, wanted.dtype, len(spec.labels.names) if spec.labels else "none",
        )  # fmt: skip

        if spec.labels is None:
            log.warning("no labels, classes are numbers; give --labels FILE or name them in the model's sidecar")

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Return what is found in an image, in its pixels.

        Args:
            image: (H, W, 3) uint8, BGR, as cv2.imread gives it.

        Raises:
            ValueError: the image is of another shape or type.
            InvokeError: the engine failed.
        """
        if not isinstance(image, np.ndarray):  # cv2.imread gives None for what it cannot read
            raise ValueError(f"image: expected uint8 (H, W, 3) BGR, got {type(image).__name__}")
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(f"image: expected uint8 (H, W, 3) BGR, got {image.dtype} {image.shape}")
        return self.decode(self.invoke(self.shrink(image)))

    def detect_timed(self, image: NDArray[np.uint8]) -> tuple[Detections, dict[str, int]]:
        """Return what `detect` returns, and the nanoseconds of "preprocess", "invoke" and "decode"."""
        start = perf_counter_ns()
        invoked = self.invoke(self.shrink(image))
        answered = perf_counter_ns()
        found = self.decode(invoked)
        decode_ns = perf_counter_ns() - answered
        preprocess_ns = answered - start - invoked.invoke_ns
        return found, {"preprocess": preprocess_ns, "invoke": invoked.invoke_ns, "decode": decode_ns}

    # The three steps of `detect`, for a pipeline that gives each to another thread.

    def shrink(self, image: NDArray[np.uint8]) -> Shrunk:
        """Return a frame (H, W, 3) BGR at model size."""
        return self._preprocessor.shrink(image)

    def invoke(self, shrunk: Shrunk) -> Invoked:
        """Return what the model answers.

        Raises:
            InvokeError: the engine failed.
        """
        start = perf_counter_ns()
        tensor = self._preprocessor.finish(shrunk)
        prepared = perf_counter_ns()
        outputs = self.backend.invoke([tensor])
        return Invoked(outputs, shrunk.letterbox, prepared - start, perf_counter_ns() - prepared)

    def decode(self, invoked: Invoked) -> Detections:
        """Return what the answer means, in pixels of the frame."""
        heads = Heads(invoked.outputs, self._specs, self.spec.size_wh, self.spec.roles)
        with np.errstate(over="ignore", invalid="ignore"):  # what a damaged model gives is left out below
            found = self._decode(heads, self._score_threshold)
        kept = self._keep(found)
        letterbox = invoked.letterbox
        boxes = clip(letterbox.to_frame(found.boxes_model[kept]), letterbox.frame_wh)
        scores = np.minimum(found.scores[kept], np.float32(1))
        points = None if found.points_model is None else letterbox.points_to_frame(found.points_model[kept])
        return Detections(boxes, scores, found.class_ids[kept], keypoints=points)

    def names_of(self, detections: Detections) -> tuple[str, ...]:
        """Return (n,) the label of each detection; "class 7" where the model has no label for it."""
        labels = self.spec.labels
        ids = detections.class_ids.tolist()
        return tuple(f"class {one}" for one in ids) if labels is None else tuple(labels.name_of(one) for one in ids)

    def describe(self) -> BackendInfo:
        """Return what actually runs the model."""
        return self.backend.describe()

    def watch(self, tell: Callable[[StateChange], object]) -> None:
        """Have it told, from any thread, when the backend is lost, replaced, or back."""
        if isinstance(self.backend, Watched):
            self.backend.watch(tell)

    def close(self) -> None:
        """Free the engine and its device."""
        self.backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _keep(self, found: Candidates) -> NDArray[np.intp]:
        """Return the indices of the candidates to report, best first."""
        rows = np.flatnonzero(found.class_ids >= 0)
        if self._wanted_ids is not None:
            rows = rows[np.isin(found.class_ids, self._wanted_ids)]
        boxes, scores, class_ids = found.boxes_model[rows], found.scores[rows], found.class_ids[rows]
        if self._iou_threshold is None:
            return rows[best_first(scores, self._max_detections)]
        return rows[nms(boxes, scores, class_ids, iou_threshold=self._iou_threshold)[: self._max_detections]]


def _decoder(spec: ModelSpec) -> Decoder:
    family = DECODERS[spec.decoder]
    module, function = family.function.split(":")
    home = import_module(module)
    if spec.anchors is not None:
        bound: Decoder = home.with_anchors(home.read_anchors(spec.anchors))
        return bound
    if spec.anchor_recipe is not None:
        bound = home.for_recipe(spec.anchor_recipe, spec.size_wh)
        return bound
    set_up: Decoder = partial(getattr(home, function), **{name: getattr(spec, name) for name in family.settings})
    return set_up


def _wanted_ids(labels: Labels | None, classes: Sequence[str]) -> NDArray[np.int32] | None:
    if not classes:
        return None
    if labels is None:
        raise ConfigError(f"classes: {', '.join(classes)} cannot be found, the model has no labels; give --labels FILE")
    return np.array(sorted(labels.ids_of(classes)), np.int32)


def input_format(tensor: TensorSpec, spec: ModelSpec) -> InputFormat:
    """Return what the preprocessing must make for this input tensor."""
    quantization = tensor.quantization if np.issubdtype(tensor.dtype, np.integer) else None
    return InputFormat(
        size_wh=spec.size_wh,
        dtype=tensor.dtype,
        is_nchw=spec.is_nchw,
        color=spec.color,
        mean=spec.mean,
        std=spec.std,
        scale=quantization.scale if quantization else None,
        zero_point=quantization.zero_point if quantization else 0,
        fit=spec.fit,
        fill=spec.fill,
    )
