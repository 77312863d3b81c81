"""Which family the outputs of a model are of: every one that fits, how sure that is, and why.

Shapes alone give each family the confidence of its table; what else is known of the model raises or lowers it. Where
the two best are closer than `MARGIN`, nothing is chosen: the error names both, and the line that decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.model.class_names import count_labels
from edge_runtime.model.detection import DETECTION_OPERATOR
from edge_runtime.model.export import read_export
from edge_runtime.model.families import (
    FAMILIES,
    Family,
    Roles,
    assignments,
    count_classes,
    count_rows,
    families_for,
    show_shape,
)
from edge_runtime.model.heads import name_head
from edge_runtime.model.roles import OutputFacts, listed, misfit, ways_of
from edge_runtime.model.strides import fitting_grids
from edge_runtime.vision.anchors import fitting_recipes
from edge_runtime.vision.grid import count_cells

MARGIN = 0.1
SURE = 1.0
_MOST = 0.99  # nothing but the user or the operator itself makes it certain

# What each piece of evidence adds to the confidence of the shapes.
_ANCHORS_BESIDE, _RECIPE = 0.3, 0.2
_TOP_K = 0.5
_SAME_EXPORTER, _OTHER_EXPORTER = 0.3, -0.4
_COCO, _LABELS, _OTHER_LABELS = 0.35, 0.4, -0.5
_COCO_CLASSES = 80


@dataclass(frozen=True, slots=True)
class Match:
    """A family that the outputs may be of."""

    name: str
    confidence: float  # 0 to 1
    reasons: tuple[str, ...]


def choose_family(facts: OutputFacts) -> tuple[str, str]:
    """Return the name of the family and where that comes from.

    Raises:
        ConfigError: the sidecar names one that these outputs are not.
        ModelError: no family has such outputs, or two have them, or it is one for another task.
    """
    sidecar = facts.sidecar
    if sidecar and sidecar.decoder:
        if FAMILIES[sidecar.decoder].task != facts.task:
            wanted, said = FAMILIES[sidecar.decoder].task, sidecar.origin("decoder")
            raise ModelError(
                f"{facts.file.path}: {said}: decoder = {sidecar.decoder!r} is for --task {wanted}, not {facts.task}; "
                f"give --task {wanted}, or remove this line"
            )
        if not ways_of(FAMILIES[sidecar.decoder], facts):
            raise misfit(sidecar, sidecar.decoder, facts)
        return sidecar.decoder, sidecar.origin("decoder")
    ranked = rank_families(facts)
    if not ranked:
        raise _refusal(facts)
    close = [one for one in ranked if one.confidence > ranked[0].confidence - MARGIN]
    if len(close) > 1:
        lines = " or ".join(f'decoder = "{one.name}"' for one in close)
        fitting = " and ".join(f"{one.name} ({one.confidence:.0%})" for one in close)
        raise ModelError(
            f"{facts.file.path}: outputs {listed(facts)} fit {fitting}; write in {facts.sidecar_path}: {lines}"
        )
    return ranked[0].name, "tensor shapes"


def rank_families(facts: OutputFacts) -> list[Match]:
    """Return every family of the task that these outputs fit, the likeliest first; a sure one stands alone.

    Raises:
        ConfigError: the sidecar names outputs that are not there.
    """
    sidecar = facts.sidecar
    if sidecar and sidecar.decoder and ways_of(FAMILIES[sidecar.decoder], facts):
        return [Match(sidecar.decoder, SURE, (sidecar.origin("decoder"),))]
    fitting = [name for name, family in families_for(facts.task).items() if _grid_reason(family, facts) is not None]
    strict = [name for name in fitting if _has_rows_of_the_sidecar(FAMILIES[name], facts)]
    fitting = strict or fitting
    known = count_labels(facts) if len(fitting) > 1 else None
    ranked = sorted((_weigh(name, facts, known) for name in fitting), key=lambda one: -one.confidence)
    return [one for one in ranked if one.confidence > 0 and (one.confidence == SURE or ranked[0].confidence < SURE)]


def _weigh(name: str, facts: OutputFacts, known: int | None) -> Match:
    family = FAMILIES[name]
    evidence = list(_evidence(name, family, facts, known))
    reasons = ("tensor shapes", *([reason] if (reason := _grid_reason(family, facts)) else []))
    reasons += tuple(reason for _, reason in evidence)
    if any(weight == SURE for weight, _ in evidence):
        return Match(name, SURE, reasons)
    total = family.confidence + sum(weight for weight, _ in evidence)
    return Match(name, round(min(max(total, 0.0), _MOST), 2), reasons)


def _evidence(name: str, family: Family, facts: OutputFacts, known: int | None) -> Iterator[tuple[float, str]]:
    """Yield what speaks for or against a family beside its shapes: a weight and the reason in words."""
    if facts.file.detection_outputs and family.outputs.keys() == facts.file.detection_outputs.keys():
        yield (SURE if name == "ssd_postprocess" else -SURE), f"operator {DETECTION_OPERATOR}"
    if name == "centernet_postprocess" and _ends_in_peaks(facts.file.operators):
        yield _TOP_K, "best peaks taken, no overlaps suppressed"
    if family.needs_anchors:
        yield from _anchor_evidence(facts, ways_of(family, facts)[0], family)
    if read_export(facts):
        ours = family.needs_box_unit
        yield (_SAME_EXPORTER if ours else _OTHER_EXPORTER), "metadata of an Ultralytics export"
    classes = count_classes(family, facts.shapes, ways_of(family, facts)[0])
    if classes is not None and known is not None and not family.labels:
        weight = {classes: _LABELS, classes + 1: 0.0}.get(known, _OTHER_LABELS)  # one more may be the background
        yield weight, f"{known} labels for {classes} classes"
    elif classes == _COCO_CLASSES:
        yield _COCO, "80 classes, as COCO has"


def _anchor_evidence(facts: OutputFacts, way: Roles, family: Family) -> Iterator[tuple[float, str]]:
    sidecar = facts.sidecar
    if sidecar and (sidecar.anchors or sidecar.anchor_recipe):
        yield SURE, "anchors in the sidecar"
    elif facts.anchors_beside.is_file():
        yield _ANCHORS_BESIDE, f"{facts.anchors_beside.name} beside the model"
    elif fitting_recipes(facts.size_wh, count_rows(family, facts.shapes, way)):
        yield _RECIPE, "number of rows is that of a published recipe of anchors"


def _ends_in_peaks(operators: Sequence[str]) -> bool:
    upper = {name.upper().replace("_", "") for name in operators}
    return any(name.startswith("TOPK") for name in upper) and not any("NONMAX" in name for name in upper)


def _grid_reason(family: Family, facts: OutputFacts) -> str | None:
    """Return why the number of rows fits, in words, empty for a family without grids; None where nothing fits."""
    ways = ways_of(family, facts)
    if not ways:
        return None
    if not family.grids:
        return ""
    if family.needs_strides and facts.sidecar and facts.sidecar.strides:
        return "strides in the sidecar"  # that they make another number of rows is an error of its own
    for way in ways:
        for strides in fitting_grids(family, facts.shapes, way, facts.size_wh):
            return f"{count_rows(family, facts.shapes, way)} rows, as strides {list(strides)} make"
    return None


def _has_rows_of_the_sidecar(family: Family, facts: OutputFacts) -> bool:
    said = facts.sidecar.strides if facts.sidecar else None
    if not said or not family.needs_strides:
        return False
    cells = family.per_cell * count_cells(facts.size_wh, said)
    return any(count_rows(family, facts.shapes, way) == cells for way in ways_of(family, facts))


def _refusal(facts: OutputFacts) -> ConfigError | ModelError:
    families = families_for(facts.task)
    sidecar = facts.sidecar
    if sidecar and sidecar.outputs:
        for name, family in families.items():
            if assignments(family, facts.shapes) and not family.grids:  # so it is what [outputs] says that does not fit
                return misfit(sidecar, name, facts)
    path, shapes = facts.file.path, ", ".join(show_shape(shape) for shape in facts.shapes)
    if facts.task == "classify":
        return ModelError(
            f"{path}: outputs {shapes or 'none'} are no classifier's, needed is one row of scores, [1,classes]; "
            "give a classifier, or leave out --task classify"
        )
    head = name_head(facts.shapes, facts.size_wh)
    if head:
        state = "which is not decoded here" if head.is_detector else "not a detector: it finds no boxes"
        return ModelError(
            f"{path}: {shapes} looks like {head.what}, {state}; {head.instead}"
            "give a detector with outputs that docs/models.md shows"
        )
    return ModelError(
        f"{path}: no decoder fits outputs {shapes or 'none'} on an input of {facts.size_wh[0]}x{facts.size_wh[1]}; "
        f"known: {', '.join(families)} (docs/models.md shows their shapes); "
        f'name one in {facts.sidecar_path}: decoder = "...", and its outputs under [outputs]'
    )
