"""Which family the outputs of a model are, and which output is what.

The order of the outputs says nothing: exports of the same network differ in it. In order of weight: the sidecar, the
operator they come out of, their names in the signature, in the embedded metadata and in the graph, their shapes. A
source that contradicts one before it, or the shapes, is not believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.model.detection import DETECTION_OPERATOR
from edge_runtime.model.families import FAMILIES, Family, Roles, Shape, assignments, fits, roles_by_name, show_shape
from edge_runtime.model.flatbuffer import ModelFile
from edge_runtime.model.heads import name_head
from edge_runtime.model.metadata import Metadata
from edge_runtime.model.sidecar import Sidecar, sidecar_path
from edge_runtime.model.strides import fitting_grids
from edge_runtime.model.tensor import Tensor


@dataclass(frozen=True, slots=True)
class OutputFacts:
    """What is known of the outputs before a family is chosen."""

    tensors: Sequence[Tensor]
    file: ModelFile
    metadata: Metadata | None
    sidecar: Sidecar | None
    size_wh: tuple[int, int]  # of the input

    @property
    def shapes(self) -> list[Shape]:
        """The shapes of the outputs."""
        return [tuple(tensor.shape) for tensor in self.tensors]

    @property
    def sidecar_path(self) -> Path:
        """Where the sidecar is, or would be."""
        return self.sidecar.path if self.sidecar else sidecar_path(self.file.path)

    @property
    def anchors_beside(self) -> Path:
        """Where the anchors of the model are looked for when nothing names them."""
        return self.file.path.with_name(f"{self.file.path.stem}_anchors.csv")


def choose_family(facts: OutputFacts) -> tuple[str, str]:
    """Return the name of the family and where that comes from.

    Raises:
        ConfigError: the sidecar names one that these outputs are not.
        ModelError: no family has such outputs.
    """
    sidecar = facts.sidecar
    if sidecar and sidecar.decoder:
        if not _ways(FAMILIES[sidecar.decoder], facts):
            raise _misfit(sidecar, sidecar.decoder, facts)
        return sidecar.decoder, sidecar.origin("decoder")
    fitting = _decided([name for name, family in FAMILIES.items() if _ways(family, facts)], facts)
    if len(fitting) == 1:
        return fitting[0], "tensor shapes"
    if fitting:
        lines = " or ".join(f'decoder = "{name}"' for name in fitting)
        raise ModelError(
            f"{facts.file.path}: outputs {_listed(facts)} fit {' and '.join(fitting)}; "
            f"write in {facts.sidecar_path}: {lines}"
        )
    if sidecar and sidecar.outputs:
        for name, family in FAMILIES.items():
            if assignments(family, facts.shapes) and not family.grids:  # so it is what [outputs] says that does not fit
                raise _misfit(sidecar, name, facts)
    raise _refusal(facts)


def _decided(names: Sequence[str], facts: OutputFacts) -> list[str]:
    """Return the families that are left when the number of rows, the strides and the anchors have spoken.

    A family whose rows are the cells of a grid fits only with so many rows. Where one does, a family that has any
    number of rows must have more to show than its shapes.
    """
    if facts.sidecar and facts.sidecar.anchors and "ssd_anchors" in names:
        return ["ssd_anchors"]
    on_grids = [name for name in names if FAMILIES[name].grids and _is_on_grid(FAMILIES[name], facts)]
    others = [name for name in names if not FAMILIES[name].grids]
    if not on_grids:
        return others
    return on_grids + [name for name in others if name == "ssd_anchors" and facts.anchors_beside.is_file()]


def _is_on_grid(family: Family, facts: OutputFacts) -> bool:
    if family.needs_strides and facts.sidecar and facts.sidecar.strides:
        return True  # that they make another number of rows is an error of its own
    return any(fitting_grids(family, facts.shapes, way, facts.size_wh) for way in _ways(family, facts))


def choose_roles(name: str, facts: OutputFacts) -> tuple[dict[str, int], str]:
    """Return role -> output index, and where that comes from. What nothing tells apart is left out.

    Args:
        name: a family that these outputs fit.
        facts: the outputs.

    Raises:
        ConfigError: the sidecar names outputs that are not there or have another shape.
        ModelError: roles are open that this family must know.
    """
    family = FAMILIES[name]
    ways, deciders = _ways(family, facts), _named_by(family, facts)
    for origin, roles in _sources(family, facts):
        left = [way for way in ways if roles.items() <= way.items()]
        if left and len(left) < len(ways):
            ways = left
            deciders.append(origin)
    known = {role: index for role, index in ways[0].items() if all(way[role] == index for way in ways)}
    unknown = [role for role in family.roles if role not in known]
    if unknown and family.must_know_roles:
        raise ModelError(
            f"{facts.file.path}: outputs {_listed(facts)}: nothing tells which are {' and '.join(unknown)}; "
            f'write in {facts.sidecar_path}: [outputs], then {unknown[0]} = "name of the output"'
        )
    return known, " and ".join(deciders) or "tensor shapes"


def _named_by(family: Family, facts: OutputFacts) -> list[str]:
    """Return who has named outputs before any is looked at: the sidecar, and the operator where it picks from many."""
    named = _sidecar_roles(family, facts)
    origins = [facts.sidecar.origin("outputs")] if named and facts.sidecar else []
    if len(facts.tensors) > len(family.roles) > len(named):
        origins.append(f"operator {DETECTION_OPERATOR}")
    return origins


def _ways(family: Family, facts: OutputFacts) -> list[dict[str, int]]:
    """Return every assignment of roles that the shapes and the sidecar allow.

    A model with more outputs than the family has fits when each role is named by the sidecar or by the operator.
    """
    named = _sidecar_roles(family, facts)
    if len(facts.tensors) > len(family.roles):
        complete = {**facts.file.detection_outputs, **named}
        is_complete = set(complete) == set(family.roles) and len(set(complete.values())) == len(complete)
        return [complete] if is_complete and fits(family, facts.shapes, complete) else []
    return [way for way in assignments(family, facts.shapes) if named.items() <= way.items()]


def _sidecar_roles(family: Family, facts: OutputFacts) -> dict[str, int]:
    """Return role -> output index as the sidecar has it, for the roles this family knows.

    Raises:
        ConfigError: it names an output that is not there, or one output twice.
    """
    sidecar = facts.sidecar
    if sidecar is None:
        return {}
    roles = {role: _index(role, which, facts, sidecar) for role, which in sidecar.outputs.items()}
    if len(set(roles.values())) < len(roles):
        raise ConfigError(f"{sidecar.source('outputs')}: [outputs] names one output for two roles; give each its own")
    return {role: index for role, index in roles.items() if role in family.outputs}


def _index(role: str, which: str | int, facts: OutputFacts, sidecar: Sidecar) -> int:
    count = len(facts.tensors)
    if isinstance(which, int):
        if not 0 <= which < count:
            raise ConfigError(f"{sidecar.source('outputs')}: outputs.{role} = {which}, allowed is 0 to {count - 1}")
        return which
    found = [i for i, tensor in enumerate(facts.tensors) if which in (tensor.name, _signature_name(i, facts))]
    if len(found) != 1:
        state = "is no output" if not found else f"names {len(found)} outputs"
        raise ConfigError(
            f"{sidecar.source('outputs')}: outputs.{role} = {which!r} {state} of the model; it has {_listed(facts)}"
        )
    return found[0]


def _sources(family: Family, facts: OutputFacts) -> list[tuple[str, Roles]]:
    """Return (origin, roles it tells) for each source but the sidecar and the shapes, the weightiest first."""
    sources: list[tuple[str, Roles]] = []
    wired: Mapping[str, int] = facts.file.detection_outputs
    if set(wired) <= set(family.outputs):
        sources.append((f"operator {DETECTION_OPERATOR}", wired))
    signature = [_signature_name(index, facts) for index in range(len(facts.tensors))]
    sources.append(("tensor signature", roles_by_name(family, signature)))
    if facts.metadata and len(facts.metadata.outputs) == len(facts.tensors):
        names = [tensor.name for tensor in facts.metadata.outputs]
        sources.append(("embedded metadata", roles_by_name(family, names)))
    sources.append(("tensor names", roles_by_name(family, [tensor.name for tensor in facts.tensors])))
    return sources


def _signature_name(index: int, facts: OutputFacts) -> str | None:
    """Return the name in the signature; the older engine does not tell it, the file does."""
    tensor, listed = facts.tensors[index], facts.file.outputs
    if tensor.signature_name is None and index < len(listed) and listed[index].name == tensor.name:
        return listed[index].signature_name
    return tensor.signature_name


def _listed(facts: OutputFacts) -> str:
    return ", ".join(f"{tensor.name or 'unnamed'} {show_shape(tensor.shape)}" for tensor in facts.tensors) or "none"


def _misfit(sidecar: Sidecar, decoder: str, facts: OutputFacts) -> ConfigError:
    said = [f"decoder = {sidecar.decoder!r}"] if sidecar.decoder else []
    said += [f"outputs.{role} = {which!r}" for role, which in sidecar.outputs.items()]
    source = sidecar.source("decoder" if sidecar.decoder else "outputs")
    return ConfigError(
        f"{source}: {', '.join(said)}: {decoder} needs outputs {FAMILIES[decoder].needs}, "
        f"found {_listed(facts)}; correct or remove these lines"
    )


def _refusal(facts: OutputFacts) -> ModelError:
    path, shapes = facts.file.path, ", ".join(show_shape(shape) for shape in facts.shapes)
    head = name_head(facts.shapes, facts.size_wh)
    if head:
        state = "which is not decoded here" if head.is_detector else "not a detector: it finds no boxes"
        return ModelError(
            f"{path}: {shapes} looks like {head.what}, {state}; "
            f"give a detector with the outputs of {', '.join(FAMILIES)} (docs/models.md shows them)"
        )
    known = "; ".join(f"{name} ({family.needs})" for name, family in FAMILIES.items())
    return ModelError(
        f"{path}: no decoder fits outputs {shapes or 'none'} on an input of {facts.size_wh[0]}x{facts.size_wh[1]}; "
        f'known: {known}; name one in {facts.sidecar_path}: decoder = "...", and its outputs under [outputs]'
    )
