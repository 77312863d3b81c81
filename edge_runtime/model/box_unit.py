"""Whether the boxes of a YOLO head are in pixels of the input or normalised to 0 to 1; their shapes do not tell."""

from __future__ import annotations

from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.model.export import read_export
from edge_runtime.model.families import FAMILIES, Roles
from edge_runtime.model.roles import OutputFacts
from edge_runtime.model.stored import stored_range

_NORMALIZED_MOST = 2.0


def resolve_box_unit(facts: OutputFacts, decoder: str, roles: Roles) -> tuple[str | None, str]:
    """Return "pixels", "normalized" or, for a decoder that does not ask, None; and where that comes from.

    Raises:
        ConfigError: the sidecar gives it for a decoder that does not ask.
        ModelError: nothing tells.
    """
    sidecar = facts.sidecar
    said = sidecar.box_unit if sidecar else None
    if not FAMILIES[decoder].needs_box_unit:
        if sidecar and said:
            users = ", ".join(name for name, family in FAMILIES.items() if family.needs_box_unit)
            source = sidecar.source("box_unit")
            raise ConfigError(f"{source}: box_unit is for {users}, this model is {decoder}; remove it")
        return None, "not needed"
    if sidecar and said:
        return said, sidecar.origin("box_unit")
    stored = stored_range(facts, roles.get("predictions", roles.get("boxes", 0)))
    if stored and stored.highest <= _NORMALIZED_MOST:
        return "normalized", f"quantisation, up to {stored.highest:.3g}"
    if stored and stored.highest >= min(facts.size_wh) / 2:
        return "pixels", f"quantisation, up to {stored.highest:.3g}"
    if read_export(facts):  # their TensorFlow Lite exports divide boxes by the size of the input, the others do not
        return "pixels" if facts.file.format == "onnx" else "normalized", "embedded metadata"
    raise ModelError(
        f"{facts.file.path}: nothing tells whether its boxes are in pixels of the input or normalized to 0 to 1; "
        f'write in {facts.sidecar_path}: box_unit = "normalized" (as Ultralytics exports them) or box_unit = "pixels"'
    )
