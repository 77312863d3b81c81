"""Whether a model that looks like a detector is one."""

from __future__ import annotations

from edge_runtime.errors import ModelError
from edge_runtime.model.class_names import count_labels
from edge_runtime.model.export import read_export
from edge_runtime.model.families import FAMILIES, Roles, count_classes, show_shape
from edge_runtime.model.heads import name_head
from edge_runtime.model.roles import OutputFacts


def check_task(facts: OutputFacts, decoder: str, roles: Roles) -> None:
    """Raise ModelError where a YOLO model does something else, with outputs that look like a detector's."""
    if not FAMILIES[decoder].needs_box_unit or (facts.sidecar and facts.sidecar.decoder):
        return
    export = read_export(facts)
    head = name_head(facts.shapes, facts.size_wh)
    classes = count_classes(FAMILIES[decoder], facts.shapes, roles)
    if head and (export is None or export.task is None) and count_labels(facts) != classes:
        raise ModelError(
            f"{facts.file.path}: {show_shape(facts.shapes[0])} looks like {head.what}, which is not decoded here; give "
            f'a detector or, if it is one with {classes} classes, write in {facts.sidecar_path}: decoder = "{decoder}"'
        )
    if export and export.task not in (None, "detect"):
        raise ModelError(
            f"{facts.file.path}: embedded metadata: its task is {export.task!r}, decoded is 'detect'; give a detector, "
            f'or, if the metadata is wrong, write in {facts.sidecar_path}: decoder = "{decoder}"'
        )
