"""The names that exporters give to outputs, and the roles these tell."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edge_runtime.model.families import Family

_FIXED_NAMES = {
    # TF1 exports number the outputs of the operator, TF2 exports those of the signature, which is sorted by name.
    "tflite_detection_postprocess": "boxes",
    "tflite_detection_postprocess:1": "classes",
    "tflite_detection_postprocess:2": "scores",
    "tflite_detection_postprocess:3": "count",
    "statefulpartitionedcall:3": "boxes",
    "statefulpartitionedcall:2": "classes",
    "statefulpartitionedcall:1": "scores",
    "statefulpartitionedcall:0": "count",
    "output_3": "boxes",
    "output_2": "classes",
    "output_1": "scores",
    "output_0": "count",
}
_WORDS = (("box", "boxes"), ("location", "boxes"), ("score", "scores"), ("class", "classes"), ("categor", "classes"),
          ("num", "count"), ("count", "count"))  # fmt: skip
"""A part of a name and the role it tells; the first that occurs counts, so class_scores are scores."""
_PARTS = {"hm": "scores", "heatmap": "scores", "wh": "sizes", "size": "sizes", "reg": "offsets", "offset": "offsets"}
"""The same for whole words of a name. Source: xingyizhou/CenterNet, the heads of ctdet."""


def roles_by_name(family: Family, names: Sequence[str | None]) -> dict[str, int]:
    """Return the roles that the names of the outputs tell; a role that two of them claim is left out."""
    claims: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        role = _role_of(name or "", family)
        if role is not None:
            claims.setdefault(role, []).append(index)
    return {role: indices[0] for role, indices in claims.items() if len(indices) == 1}


def _role_of(name: str, family: Family) -> str | None:
    lower = name.lower()
    parts = (_PARTS.get(part) for part in re.split(r"[^a-z]+", lower))
    role = _FIXED_NAMES.get(lower) or next((role for role in parts if role in family.outputs), None)
    role = role or next((role for word, role in _WORDS if word in lower), None)
    if role == "classes" and role not in family.outputs:
        role = "scores"  # raw heads have one score per class: class_predictions
    return role if role in family.outputs else None
