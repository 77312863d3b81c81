"""What an export of Ultralytics says of itself, beyond the names of its classes."""

from __future__ import annotations

from edge_runtime.errors import ModelError
from edge_runtime.model.packed import Ultralytics, parse_ultralytics, read_ultralytics
from edge_runtime.model.roles import OutputFacts


def read_export(facts: OutputFacts) -> Ultralytics | None:
    """Return what the dictionary in the model says; None where there is none, or it cannot be read.

    A damaged one is an error where it is needed, which is for the labels: `--labels` must be able to replace it.
    """
    try:
        return find_export(facts)
    except ModelError:
        return None


def find_export(facts: OutputFacts) -> Ultralytics | None:
    """Return what the dictionary in the model says, or the properties of an .onnx file; None where there is none.

    Raises:
        ModelError: it is there but cannot be read.
    """
    if facts.file.format == "onnx":
        return parse_ultralytics(facts.file.properties, facts.file.path)
    return read_ultralytics(facts.file.path)
