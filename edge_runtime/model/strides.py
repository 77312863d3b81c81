"""The strides of a head on a grid: told by the number of its rows, or by the sidecar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.model.families import FAMILIES, Family, Roles, Shape, count_rows
from edge_runtime.vision.grid import count_cells

if TYPE_CHECKING:
    from edge_runtime.model.roles import OutputFacts


def fitting_grids(
    family: Family, shapes: Sequence[Shape], roles: Roles, size_wh: tuple[int, int]
) -> list[tuple[int, ...]]:
    """Return the strides among those of the family that give as many rows as these outputs have."""
    rows = count_rows(family, shapes, roles)
    return [strides for strides in family.grids if family.per_cell * count_cells(size_wh, strides) == rows]


def resolve_strides(facts: OutputFacts, decoder: str, roles: Roles) -> tuple[tuple[int, ...], str]:
    """Return the strides that this decoder needs, and where they come from; none where it needs none.

    Raises:
        ConfigError: the sidecar gives strides that make another number of rows, or are for other decoders.
        ModelError: the number of rows fits no grid, or more than one.
    """
    family, sidecar = FAMILIES[decoder], facts.sidecar
    said = sidecar.strides if sidecar else None
    if not family.needs_strides:
        if sidecar and said:
            users = ", ".join(name for name, one in FAMILIES.items() if one.needs_strides)
            source = sidecar.source("strides")
            raise ConfigError(f"{source}: strides is for {users}, this model is {decoder}; remove it")
        return (), "not needed"
    rows, (width, height) = count_rows(family, facts.shapes, roles), facts.size_wh
    if sidecar and said:
        made = family.per_cell * count_cells(facts.size_wh, said)
        if made != rows:
            raise ConfigError(
                f"{sidecar.source('strides')}: strides = {list(said)} make {made} rows of an input of "
                f"{width}x{height}, the model has {rows}; correct or remove this line"
            )
        return said, sidecar.origin("strides")
    fitting = fitting_grids(family, facts.shapes, roles, facts.size_wh)
    if len(fitting) == 1:
        return fitting[0], "number of rows"
    found = " and ".join(f"strides {list(strides)}" for strides in fitting) or f"no strides that {decoder} usually has"
    line = " or ".join(f"strides = {list(strides)}" for strides in fitting) or "strides = [...]"
    raise ModelError(
        f"{facts.file.path}: {rows} rows of an input of {width}x{height} fit {found}; "
        f"write in {facts.sidecar_path}: {line}"
    )
