"""Which output of a model is what.

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
from edge_runtime.model.families import FAMILIES, Family, Roles, Shape, assignments, fits, show_shape
from edge_runtime.model.flatbuffer import ModelFile
from edge_runtime.model.metadata import Metadata
from edge_runtime.model.output_names import roles_by_name
from edge_runtime.model.sidecar import Sidecar, sidecar_path
from edge_runtime.model.tensor import Tensor


@dataclass(frozen=True, slots=True)
class OutputFacts:
    """What is known of the outputs before a family is chosen."""

    tensors: Sequence[Tensor]
    file: ModelFile
    metadata: Metadata | None
    sidecar: Sidecar | None
    size_wh: tuple[int, int]  # of the input
    task: str = "detect"  # or "classify", what the user wants of the model
    labels_file: Path | None = None  # what --labels names

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
    ways, deciders = ways_of(family, facts), _named_by(family, facts)
    for origin, roles in _sources(family, facts):
        left = [way for way in ways if roles.items() <= way.items()]
        if left and len(left) < len(ways):
            ways = left
            deciders.append(origin)
    if family.is_symmetric:
        ways = ways[:1]
    known = {role: index for role, index in ways[0].items() if all(way[role] == index for way in ways)}
    unknown = [role for role in family.roles if role not in known]
    if unknown and family.must_know_roles:
        raise ModelError(
            f"{facts.file.path}: outputs {listed(facts)}: nothing tells which are {' and '.join(unknown)}; "
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


def ways_of(family: Family, facts: OutputFacts) -> list[dict[str, int]]:
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
            f"{sidecar.source('outputs')}: outputs.{role} = {which!r} {state} of the model; it has {listed(facts)}"
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


def listed(facts: OutputFacts) -> str:
    """Return the outputs with their names, as messages write them."""
    return ", ".join(f"{tensor.name or 'unnamed'} {show_shape(tensor.shape)}" for tensor in facts.tensors) or "none"


def misfit(sidecar: Sidecar, decoder: str, facts: OutputFacts) -> ConfigError:
    """Return the error that says that the sidecar describes other outputs."""
    said = [f"decoder = {sidecar.decoder!r}"] if sidecar.decoder else []
    said += [f"outputs.{role} = {which!r}" for role, which in sidecar.outputs.items()]
    source = sidecar.source("decoder" if sidecar.decoder else "outputs")
    return ConfigError(
        f"{source}: {', '.join(said)}: {decoder} needs outputs {FAMILIES[decoder].needs}, "
        f"found {listed(facts)}; correct or remove these lines"
    )
