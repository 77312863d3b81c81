"""What an export of Ultralytics says of itself, beyond the names of its classes."""

from __future__ import annotations

from edge_runtime.errors import ModelError
from edge_runtime.model.families import FAMILIES
from edge_runtime.model.packed import Ultralytics, read_ultralytics
from edge_runtime.model.roles import OutputFacts


def read_export(facts: OutputFacts) -> Ultralytics | None:
    """Return what the dictionary in the model says; None where there is none, or it cannot be read.

    A damaged one is an error where it is needed, which is for the labels: `--labels` must be able to replace it.
    """
    try:
        return read_ultralytics(facts.file.path)
    except ModelError:
        return None


def check_task(facts: OutputFacts, decoder: str) -> None:
    """Raise ModelError where a YOLO model does something else, with outputs that look like a detector's."""
    if not FAMILIES[decoder].needs_box_unit or (facts.sidecar and facts.sidecar.decoder):
        return
    export = read_export(facts)
    if export and export.task not in (None, "detect"):
        raise ModelError(
            f"{facts.file.path}: embedded metadata: its task is {export.task!r}, decoded is 'detect'; give a detector, "
            f'or, if the metadata is wrong, write in {facts.sidecar_path}: decoder = "{decoder}"'
        )
