"""A resolved spec as the text of a sidecar that resolves to the same spec again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from edge_runtime.model.flatbuffer import ModelFile
from edge_runtime.model.sidecar import COLORS, Sidecar, load_sidecar, sidecar_path
from edge_runtime.model.spec import ModelSpec

_WIDTH = 100


def sidecar_target(model: Path) -> Path:
    """Return where the sidecar of a model belongs: where it is, for a model has one, else where it is looked for."""
    found: Sidecar | None = load_sidecar(model)
    return found.path if found and found.path.exists() else sidecar_path(model)


def sidecar_text(file: ModelFile, spec: ModelSpec, target: Path) -> str:
    """Return the sidecar for a model, to be written to `target`, with a comment that says where each line is from.

    What needs no line is a comment, so that the text also shows what could be said.
    """
    blocks = [
        _line("decoder", quoted(spec.decoder), spec.origins.get("decoder")),
        *_labels(spec),
        *_color(spec),
        *_scaling(file, spec),
        _line("fit", quoted(spec.fit), spec.origins.get("fit")),
        _line("fill", _numbers(spec.fill[::-1] if spec.color == "rgb" else spec.fill), spec.origins.get("fill")),
        *_head(spec, target),
        *_outputs(file, spec),
    ]
    title = [
        f"# What edge-runtime needs to know of {_plain(file.path.name)}. It is read where it lies beside the model as",
        f"# {_plain(sidecar_path(file.path).name)}. A line left out is read from the model, or is the usual one.",
    ]
    return "\n".join([*title, "", *blocks]) + "\n"


def quoted(text: str) -> str:
    """Return a TOML string; its escapes are those of JSON, and DEL needs one too. Source: toml.io, v1.0.0, String."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _line(key: str, value: str, origin: str | None) -> str:
    said = f"{key} = {value}"
    return f"{said:<35} # {_plain(origin)}" if origin else said


def _plain(text: str) -> str:
    """Return a text that fits a comment: a name in the file may hold anything."""
    return " ".join(text.split()).encode("ascii", "backslashreplace").decode()


def _labels(spec: ModelSpec) -> list[str]:
    origin = spec.origins.get("labels", "")
    offset = _line("class_offset", str(spec.class_offset), "class i is line i + class_offset of the labels")
    if spec.labels is None:
        wanted = f"{spec.num_classes} names" if spec.num_classes else "names"
        none = _line("# labels", '"labels.txt"', f"{wanted}, one a line; none were found, so classes are numbers")
        return [none, offset] if spec.class_offset else [none]
    names = [name or "???" for name in spec.labels.names]
    return [f"labels = [  # {_plain(origin)}", *_wrapped(names), "]", offset]


def _wrapped(names: Iterable[str]) -> list[str]:
    lines = [" "]
    for name in names:
        if len(lines[-1]) > 1 and len(lines[-1]) + len(quoted(name)) > _WIDTH:
            lines.append(" ")
        lines[-1] += f" {quoted(name)},"
    return lines


def _color(spec: ModelSpec) -> list[str]:
    if spec.color not in COLORS:  # a grey input is told by its shape
        return [f"# color: {spec.color}, as its shape says"]
    return [_line("color", quoted(spec.color), spec.origins.get("color"))]


def _scaling(file: ModelFile, spec: ModelSpec) -> list[str]:
    if spec.mean is None or spec.std is None:
        dtype = file.inputs[0].dtype.name if file.inputs else "integers"
        return [f"# mean, std: none, pixels go in as they are ({dtype} input)"]
    origin = spec.origins.get("mean")
    return [_line("mean", _numbers(spec.mean), origin), _line("std", _numbers(spec.std), "real = (pixel - mean) / std")]


def _numbers(values: Sequence[float]) -> str:
    texts = [str(int(value)) if float(value).is_integer() else repr(float(value)) for value in values]
    return texts[0] if len(set(texts)) == 1 else f"[{', '.join(texts)}]"


def _head(spec: ModelSpec, target: Path) -> list[str]:
    lines = []
    if spec.anchors is not None:
        name = os.path.relpath(spec.anchors.resolve(), target.resolve().parent)
        lines.append(_line("anchors", quoted(name), spec.origins.get("anchors")))
    if spec.anchor_recipe:
        lines.append(_line("anchor_recipe", quoted(spec.anchor_recipe), spec.origins.get("anchor_recipe")))
    if spec.strides:
        lines.append(_line("strides", str(list(spec.strides)), spec.origins.get("strides")))
    if spec.box_unit:
        lines.append(_line("box_unit", quoted(spec.box_unit), spec.origins.get("box_unit")))
    if spec.score_kind:
        lines.append(_line("score_kind", quoted(spec.score_kind), spec.origins.get("score_kind")))
    return lines


def _outputs(file: ModelFile, spec: ModelSpec) -> list[str]:
    """Return the table of outputs: by name where a name is that of one output alone, else by index."""
    if not spec.roles:
        return []
    told = spec.origins.get("roles", "")
    lines = ["", f"[outputs]                           # {_plain(told)}"]
    names = [output.name for output in file.outputs]
    inside = [output.signature_name for output in file.outputs]
    for role, index in spec.roles.items():
        name = names[index] if index < len(names) else ""
        is_one = bool(name) and names.count(name) == 1 and inside.count(name) - (inside[index] == name) == 0
        lines.append(f"{role} = {quoted(name) if is_one else index}")
    return lines
