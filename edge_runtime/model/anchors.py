"""Where the anchors of a raw SSD come from: a file, or the recipe its family was trained with."""

from __future__ import annotations

from pathlib import Path

from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.model.families import FAMILIES, Roles, count_rows
from edge_runtime.model.roles import OutputFacts
from edge_runtime.vision.anchors import RECIPES, fitting_recipes


def resolve_anchors(facts: OutputFacts, decoder: str, roles: Roles) -> tuple[tuple[Path | None, str | None], str]:
    """Return the file or the recipe, whichever there is, and where that comes from; neither where none are needed.

    Raises:
        ConfigError: the sidecar gives anchors to a decoder without any, or a recipe that makes another number.
        ModelError: there is no file, and no recipe makes so many.
    """
    sidecar = facts.sidecar
    if not FAMILIES[decoder].needs_anchors:
        for key in ("anchors", "anchor_recipe"):
            if sidecar and getattr(sidecar, key):
                raise ConfigError(
                    f"{sidecar.source(key)}: {key} is for ssd_anchors, this model is {decoder}; remove it"
                )
        return (None, None), "not needed"
    rows = count_rows(FAMILIES[decoder], facts.shapes, roles)
    if sidecar and sidecar.anchors:
        return (sidecar.anchors, None), sidecar.origin("anchors")
    if sidecar and sidecar.anchor_recipe:
        made, (width, height) = RECIPES[sidecar.anchor_recipe].count(facts.size_wh), facts.size_wh
        if made != rows:
            raise ConfigError(
                f"{sidecar.source('anchor_recipe')}: anchor_recipe = {sidecar.anchor_recipe!r} makes {made} anchors "
                f"for an input of {width}x{height}, the model has {rows}; correct or remove this line"
            )
        return (None, sidecar.anchor_recipe), sidecar.origin("anchor_recipe")
    if facts.anchors_beside.is_file():
        return (facts.anchors_beside, None), "file beside the model"
    fitting = fitting_recipes(facts.size_wh, rows)
    if fitting:
        return (None, fitting[0]), f"number of rows, as the recipe {fitting[0]} makes"
    raise ModelError(
        f"{facts.file.path}: its boxes are relative to {rows} anchors, there is no {facts.anchors_beside.name} beside "
        f"it, and no published recipe makes so many; "
        f'write in {facts.sidecar_path}: anchors = "file.csv" (a line per box: ycenter,xcenter,height,width)'
    )
