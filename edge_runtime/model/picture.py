"""What the input wants of a picture: colours, scaling, and how the picture is made to fit."""

from __future__ import annotations

from dataclasses import dataclass

from edge_runtime.model.families import FAMILIES, Family
from edge_runtime.model.metadata import TensorMetadata
from edge_runtime.model.roles import OutputFacts
from edge_runtime.model.sidecar import Sidecar

Triple = tuple[float, float, float]

_STRAIGHT_TYPES = ("uint8", "int8")


@dataclass(frozen=True, slots=True)
class Picture:
    """The fields of a ModelSpec that are about pixels."""

    color: str  # "rgb", "bgr" or "grey"
    mean: Triple | None  # of a grey input the same three times
    std: Triple | None
    fit: str
    fill: Triple  # in the order of a frame (BGR)


def resolve_picture(facts: OutputFacts, decoder: str, dtype: str, channels: int = 3) -> tuple[Picture, dict[str, str]]:
    """Return what the input of type `dtype` wants, and field -> where that came from."""
    family, default = FAMILIES[decoder], f"default of {decoder}"
    sidecar = facts.sidecar or Sidecar(facts.sidecar_path)
    embedded = facts.metadata.inputs[0] if facts.metadata and facts.metadata.inputs else None

    color, color_origin = _color(sidecar, embedded, family, default)
    mean, std, scaling_origin = _scaling(sidecar, embedded, family, default, dtype)
    fill = sidecar.fill or family.fill
    if channels == 1:
        color, color_origin = "grey", "one channel"
        mean, std = _alike(mean), _alike(std)
    picture = Picture(color, mean, std, sidecar.fit or family.fit, fill[::-1] if color == "rgb" else fill)
    return picture, {
        "color": color_origin,
        "mean": scaling_origin,
        "std": scaling_origin,
        "fit": sidecar.origin("fit") if sidecar.fit else default,
        "fill": sidecar.origin("fill") if sidecar.fill else default,
    }


def _alike(values: Triple | None) -> Triple | None:
    """Return the mean of three channels for each of them: a grey input has one."""
    return None if values is None else (sum(values) / 3,) * 3


def _color(sidecar: Sidecar, embedded: TensorMetadata | None, family: Family, default: str) -> tuple[str, str]:
    if sidecar.color:
        return sidecar.color, sidecar.origin("color")
    if embedded and embedded.color == "rgb":
        return "rgb", "embedded metadata"
    return family.color, default


def _scaling(
    sidecar: Sidecar, embedded: TensorMetadata | None, family: Family, default: str, dtype: str
) -> tuple[Triple | None, Triple | None, str]:
    """Return mean, std and their origin.

    Metadata and defaults tell the scaling of the float model. Quantising an input of 8 bits undoes it again, up to
    rounding, so pixels go in as they are: x for uint8, x - 128 for int8.
    """
    if sidecar.mean and sidecar.std:
        return sidecar.mean, sidecar.std, sidecar.origin("mean")
    if dtype in _STRAIGHT_TYPES:
        return None, None, f"input type {dtype}, pixels as they are"
    if embedded and embedded.mean and embedded.std:
        return embedded.mean, embedded.std, "embedded metadata"
    return family.mean, family.std, default
