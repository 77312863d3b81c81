"""The sidecar of a variant: what the parent's says, with the files it names found from another folder.

What the parent knew by the names of its tensors or files, which a variant has no longer, is written down, too.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.model.flatbuffer import read_model
from edge_runtime.model.sidecar import load_sidecar, sidecar_path
from edge_runtime.model.spec import resolve_spec
from edge_runtime.optimize.calibration import Feed

_FILES = ("labels", "anchors")
_NARROW = ("int8", "uint8")


def own_sidecar(parent: Path) -> dict[str, Any]:
    """Return the sidecar beside the parent as a table; empty where there is none.

    Raises:
        ConfigError: it is wrong, or there are two.
    """
    load_sidecar(parent)  # its messages are better than those of a TOML parser
    for path in (sidecar_path(parent), Path(f"{parent}.toml")):
        if path.is_file():
            return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    return {}


def variant_sidecar(parent: Path, variant: Path, feed: Feed, *, has_own_range: bool) -> dict[str, Any]:
    """Return what the sidecar of a variant has to say, with absolute file names; empty where it needs none.

    Args:
        parent: the float model.
        variant: made from it; no sidecar lies beside it yet.
        feed: how pictures go into the parent.
        has_own_range: the scaling of the input was given by the user, so the model itself does not say it.
    """
    table = own_sidecar(parent)
    for key in _FILES:
        if isinstance(table.get(key), str):
            table[key] = str((parent.parent / table[key]).resolve())
    if feed.spec is not None:
        if feed.spec.anchors is not None:
            table["anchors"] = str(feed.spec.anchors.resolve())
        if not _reads_the_same(variant, feed):
            table["decoder"], table["outputs"] = feed.spec.decoder, dict(feed.spec.roles)
    elif "outputs" in table:
        names = [one.name for one in read_model(parent).outputs]
        table["outputs"] = {role: names.index(one) if one in names else one for role, one in table["outputs"].items()}
    narrow = read_model(variant).inputs[0].dtype.name in _NARROW
    mean, std = feed.format.mean, feed.format.std
    if (has_own_range or (narrow and not feed.is_straight)) and mean is not None and std is not None:
        table["mean"], table["std"] = list(mean), list(std)
    return table


def _reads_the_same(variant: Path, feed: Feed) -> bool:
    """Return whether the variant alone is understood as its parent is."""
    assert feed.spec is not None
    file = read_model(variant)
    try:
        found = resolve_spec(variant, file.inputs, file.outputs, model_file=file)
    except EdgeRuntimeError:
        return False
    return found.decoder == feed.spec.decoder and dict(found.roles) == dict(feed.spec.roles)


def sidecar_bytes(table: Mapping[str, Any], parent: Path, folder: Path) -> bytes:
    """Return the table as TOML in UTF-8, its file names relative to the folder it is for."""
    own = {
        key: os.path.relpath(value, folder.resolve()) if key in _FILES and isinstance(value, str) else value
        for key, value in table.items()
        if key != "outputs"
    }
    lines = [f"# Made with the model, from {json.dumps(parent.name)}."]
    lines += [f"{key} = {_value(value)}" for key, value in own.items()]
    if "outputs" in table:
        lines += ["", "[outputs]", *(f"{role} = {_value(one)}" for role, one in table["outputs"].items())]
    return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(one) for one in value)}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
