"""Where the class names of a model come from, and how many classes it has."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.model.detection import DETECTION_OPERATOR
from edge_runtime.model.export import find_export
from edge_runtime.model.families import FAMILIES, count_classes
from edge_runtime.model.labels import Labels, fit_labels, labels_from_names, parse_labels
from edge_runtime.model.packed import read_packed_text
from edge_runtime.model.roles import OutputFacts
from edge_runtime.model.sidecar import read_labels_file

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClassNames:
    """The fields of a ModelSpec that are about classes."""

    labels: Labels | None
    offset: int
    num_classes: int | None


def resolve_labels(
    facts: OutputFacts, decoder: str, roles: Mapping[str, int], labels_file: Path | None
) -> tuple[ClassNames, dict[str, str]]:
    """Return the labels, fitted to the model, and field -> where that came from.

    Raises:
        ConfigError: the labels cannot be read or are not those of this model.
        ModelError: the labels packed behind the model are damaged.
    """
    labels, origin = _find_labels(facts, decoder, labels_file)
    num_classes, count_origin = _num_classes(facts, decoder, roles)
    offset = facts.sidecar.class_offset if facts.sidecar else None
    if labels:
        labels = fit_labels(labels, num_classes, f"{facts.file.path}: {origin}", class_offset=offset)
    found = ClassNames(labels, labels.offset if labels else offset or 0, num_classes)
    counted = "first label" if num_classes is None else "number of labels and classes"
    default = counted if labels else "no labels"
    offset_origin = facts.sidecar.origin("class_offset") if facts.sidecar and offset is not None else default
    return found, {"labels": origin, "num_classes": count_origin, "class_offset": offset_origin}


def count_labels(facts: OutputFacts) -> int | None:
    """Return how many labels there are, before anything is known of the classes; None without any.

    What cannot be read counts as none: it is an error where the labels are needed.
    """
    sidecar = facts.sidecar
    try:
        if facts.labels_file:
            labels: Labels | None = read_labels_file(facts.labels_file)
        else:
            labels = sidecar.labels if sidecar and sidecar.labels else _embedded_labels(facts, warns=False)[0]
    except (ConfigError, ModelError):
        return None
    return len(labels.names) if labels else None


def _find_labels(facts: OutputFacts, decoder: str, labels_file: Path | None) -> tuple[Labels | None, str]:
    if labels_file:
        return read_labels_file(labels_file), f"--labels {labels_file.name}"
    if facts.sidecar and facts.sidecar.labels:
        return facts.sidecar.labels, facts.sidecar.origin("labels")
    labels, origin = _embedded_labels(facts)
    if labels is None and FAMILIES[decoder].labels:
        return labels_from_names(FAMILIES[decoder].labels), f"default of {decoder}"
    return labels, origin


def _embedded_labels(facts: OutputFacts, *, warns: bool = True) -> tuple[Labels | None, str]:
    # Ultralytics lists its dictionary as the label file of the first form, so it is looked for first.
    path, names = facts.file.path, facts.metadata.label_files if facts.metadata else ()
    dictionary = find_export(facts)
    if dictionary and dictionary.names:
        return labels_from_names(dictionary.names), "embedded metadata"
    packed = read_packed_text(path, names)
    if packed:
        return parse_labels(packed[1], f"{path}: packed file {packed[0]}"), f"embedded metadata, {packed[0]}"
    if names and warns:
        log.warning("labels named in the metadata are not packed model=%s names=%s", path, ",".join(names))
    return None, "none found"


def _num_classes(facts: OutputFacts, decoder: str, roles: Mapping[str, int]) -> tuple[int | None, str]:
    """Return the number of classes without background, None where the model does not say."""
    counted = count_classes(FAMILIES[decoder], facts.shapes, roles)
    if counted is not None:
        if FAMILIES[decoder].labels:
            return counted, f"default of {decoder}"
        return counted, "tensor shapes, less the background" if decoder == "ssd_anchors" else "tensor shapes"
    options = facts.file.detection_options
    if options and options.num_classes:
        return options.num_classes, f"operator {DETECTION_OPERATOR}"
    return None, "unknown"
