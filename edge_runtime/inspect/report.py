"""Everything `inspect` tells of a model, put together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import BackendError, ModelError
from edge_runtime.inspect.cost import Macs, Weights, count_macs, count_weights, peak_bytes
from edge_runtime.inspect.edgetpu import EdgeTpu, check_graph
from edge_runtime.inspect.graph import Graph, read_graph
from edge_runtime.inspect.memory import Memory, measure_memory
from edge_runtime.model.export import read_export
from edge_runtime.model.flatbuffer import ModelFile, read_model
from edge_runtime.model.heads import name_head
from edge_runtime.model.layout import read_layout
from edge_runtime.model.metadata import Metadata, parse_metadata
from edge_runtime.model.ranking import Match, rank_families
from edge_runtime.model.roles import OutputFacts
from edge_runtime.model.sidecar import load_sidecar
from edge_runtime.model.spec import ModelSpec, resolve_spec
from edge_runtime.model.stored import shared_range_warning

DETECTOR, CLASSIFIER, UNKNOWN = "a detector", "a classifier", "of an unknown kind"
TASKS = ("detect", "classify")


@dataclass(frozen=True, slots=True)
class Decoding:
    """How the outputs are understood, or why they are not."""

    kind: str  # "a detector", "a classifier", "a segmentation model", ...
    task: str | None = None  # what --task has to be; None where nothing here decodes it
    spec: ModelSpec | None = None
    matches: tuple[Match, ...] = ()  # families that the outputs fit, the likeliest first
    problem: str | None = None  # why it is no detector, or none that can be run
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Inspection:
    """What there is to say of a model."""

    file: ModelFile
    sha256: str
    decoding: Decoding
    graph: Graph
    macs: Macs
    weights: Weights
    peak_bytes: int  # of the tensors alive at one moment, computed
    edgetpu: EdgeTpu | None = None
    memory: Memory | None = None  # measured
    not_measured: str | None = None  # why the memory is not
    metadata: Metadata | None = None


def inspect_model(
    path: Path, *, labels_file: Path | None = None, measure: Callable[[Path], Memory] | None = measure_memory
) -> Inspection:
    """Return what there is to say of a model.

    Args:
        path: a .tflite or .onnx file.
        labels_file: what --labels names.
        measure: finds out what the engine takes; None leaves it out.

    Raises:
        ModelError: there is no such file, or it is damaged.
        ConfigError: its sidecar or the labels are wrong for it.
        BackendMissingError: the package that reads .onnx files is missing.
    """
    file = read_model(path)
    metadata = parse_metadata(file.metadata, str(path)) if file.metadata else None
    graph = _graph(file)
    memory, not_measured = _memory(file, measure)
    return Inspection(
        file=file,
        sha256=_digest(path),
        decoding=understand(file, metadata, labels_file),
        graph=graph,
        macs=count_macs(graph),
        weights=count_weights(graph),
        peak_bytes=peak_bytes(graph),
        edgetpu=check_graph(graph) if file.format == "tflite" else None,
        memory=memory,
        not_measured=not_measured,
        metadata=metadata,
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _graph(file: ModelFile) -> Graph:
    if file.format == "onnx":
        from edge_runtime.inspect.onnx import read_onnx_graph

        return read_onnx_graph(file)
    return read_graph(file)


def _memory(file: ModelFile, measure: Callable[[Path], Memory] | None) -> tuple[Memory | None, str | None]:
    if measure is None:
        return None, "not asked for"
    if file.format != "tflite":
        return None, "only .tflite files are measured"
    if file.is_edgetpu:
        return None, "runs on an Edge TPU only"
    try:
        return measure(file.path), None
    except (ModelError, BackendError) as exc:
        return None, without_path(str(exc), file.path)


def without_path(message: str, path: Path) -> str:
    """Return a message of ours without the file it begins with, which is named once already."""
    for name in (str(path), path.name):
        message = message.removeprefix(f"{name}: ")
    return message


def understand(file: ModelFile, metadata: Metadata | None, labels_file: Path | None) -> Decoding:
    """Return how the outputs are decoded; for a model that is no detector, what it is instead.

    Raises:
        ConfigError: the sidecar or the labels are wrong for it.
    """
    problems = []
    for task, kind in zip(TASKS, (DETECTOR, CLASSIFIER), strict=True):
        try:
            spec = resolve_spec(
                file.path, file.inputs, file.outputs, labels_file=labels_file, model_file=file, task=task
            )
        except ModelError as exc:
            problems.append(without_path(str(exc), file.path))
            continue
        facts = _facts(file, metadata, labels_file, task)
        return Decoding(
            kind=kind,
            task=task,
            spec=spec,
            matches=tuple(rank_families(facts)),
            problem=problems[0] if problems else None,
            warning=shared_range_warning(facts, spec.decoder, spec.roles),
        )
    return _not_understood(file, metadata, labels_file, problems[0])


def _facts(file: ModelFile, metadata: Metadata | None, labels_file: Path | None, task: str) -> OutputFacts:
    size_wh = read_layout(file.inputs, file).size_wh
    return OutputFacts(file.outputs, file, metadata, load_sidecar(file.path), size_wh, task, labels_file)


def _not_understood(file: ModelFile, metadata: Metadata | None, labels_file: Path | None, problem: str) -> Decoding:
    try:
        facts = _facts(file, metadata, labels_file, "detect")
        matches = tuple(rank_families(facts))
    except ModelError:  # its input is no picture, or it has more than one
        return Decoding(DETECTOR if file.detection_outputs else UNKNOWN, problem=problem)
    head, export = name_head(facts.shapes, facts.size_wh), read_export(facts)
    if head:
        return Decoding(head.what, matches=matches, problem=problem)
    if export and export.task not in (None, "detect"):
        return Decoding(f"a YOLO model for the task {export.task}", matches=matches, problem=problem)
    return Decoding(DETECTOR if matches else UNKNOWN, matches=matches, problem=problem)
