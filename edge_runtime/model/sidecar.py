"""The sidecar: a TOML file beside a model that says what the model file itself does not.

``detect.tflite`` is described by ``detect.toml`` (or ``detect.tflite.toml``)::

    decoder = "ssd_anchors"
    labels = "labelmap.txt"             # or a list of names; a path is relative to this file
    class_offset = 0                    # class i is line i + class_offset of the labels
    color = "rgb"                       # or "bgr"
    mean = 127.5                        # one number, or three in the order of color
    std = 127.5
    fit = "letterbox"                   # "stretch", "letterbox", "letterbox-topleft"
    fill = 114                          # 0 to 255, one number, or three in the order of color
    anchors = "detect_anchors.csv"
    anchor_recipe = "ssd"               # or "ssd_fpn": anchors made by a published recipe, instead of a file
    strides = [8, 16, 32]               # pixels from cell to cell, for heads on a grid
    box_unit = "normalized"             # or "pixels": boxes of a YOLO head, of the model's input
    score_kind = "logits"               # or "probabilities": what a classifier puts out

    [outputs]                           # role = name or index of the output
    boxes = "Squeeze"
    scores = 1

The same text packed behind the model as ``edge-runtime.toml`` makes a model that needs no file beside it. There it
can name no files; what the sidecar beside the model says outweighs it, key by key.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.model.families import FAMILIES
from edge_runtime.model.labels import Labels, labels_from_names, parse_labels
from edge_runtime.model.packed import PACKED_SIDECAR, read_packed_sidecar
from edge_runtime.vision.anchors import RECIPES
from edge_runtime.vision.letterbox import FITS

Triple = tuple[float, float, float]

COLORS = ("rgb", "bgr")
SCORE_KINDS = ("probabilities", "logits")
BOX_UNITS = ("pixels", "normalized")
KEYS = (
    "decoder",
    "labels",
    "class_offset",
    "color",
    "mean",
    "std",
    "fit",
    "fill",
    "anchors",
    "anchor_recipe",
    "strides",
    "box_unit",
    "score_kind",
    "outputs",
)
_MAX_BYTES = 1 << 20
_MOST = 1e9
_MOST_STRIDES, _LARGEST_STRIDE = 8, 1024


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What the sidecar says; None where it says nothing."""

    path: Path
    decoder: str | None = None
    labels: Labels | None = None
    class_offset: int | None = None
    color: str | None = None
    mean: Triple | None = None
    std: Triple | None = None
    fit: str | None = None
    fill: Triple | None = None
    anchors: Path | None = None
    anchor_recipe: str | None = None
    strides: tuple[int, ...] | None = None
    box_unit: str | None = None
    score_kind: str | None = None
    outputs: Mapping[str, str | int] = field(default_factory=dict)
    packed: Mapping[str, str] = field(default_factory=dict)  # key the model itself says -> what to call that place

    def origin(self, key: str) -> str:
        """Return where a key was said, as `inspect` prints it."""
        return "sidecar packed in the model" if key in self.packed else f"sidecar {self.path.name}"

    def source(self, key: str) -> str:
        """Return where a key was said, as a message begins."""
        return self.packed.get(key, str(self.path))


def sidecar_path(model: Path) -> Path:
    """Return where the sidecar of this model is expected, whether or not it is there."""
    return model.with_suffix(".toml")


def load_sidecar(model: Path) -> Sidecar | None:
    """Return what the sidecar beside `model` says and, where it is silent, the one packed in it; None without both.

    Raises:
        ConfigError: there are two beside it, or it cannot be read, or a key or value in it is wrong.
        ModelError: the packed one is damaged, or a key or value in it is wrong.
    """
    beside, packed = _beside(model), _packed(model)
    if beside is None or packed is None:
        return beside or packed
    silent = {key: getattr(packed, key) for key in packed.packed if getattr(beside, key) in (None, {})}
    return replace(beside, **silent, packed={key: packed.packed[key] for key in silent})


def _packed(model: Path) -> Sidecar | None:
    text = read_packed_sidecar(model)
    if text is None:
        return None
    source = f"{model}: {PACKED_SIDECAR} packed in it"
    try:
        found, keys = _parse(text, source, sidecar_path(model), None)
    except ConfigError as exc:
        raise ModelError(str(exc)) from exc
    return replace(found, packed=dict.fromkeys(keys, source))


def _beside(model: Path) -> Sidecar | None:
    found = [path for path in (sidecar_path(model), Path(f"{model}.toml")) if path.exists()]
    if not found:
        return None
    if len(found) > 1:
        raise ConfigError(f"{found[0]}: there is {found[1].name} beside it, and a model has one sidecar; remove one")
    return parse_sidecar(_read(found[0]), found[0])


def parse_sidecar(text: str, path: Path) -> Sidecar:
    """Return what this text of a sidecar says; files it names are relative to `path`.

    Raises:
        ConfigError: it is no TOML, or a key or value in it is wrong.
    """
    return _parse(text, str(path), path, path.parent)[0]


def _parse(text: str, source: str, path: Path, folder: Path | None) -> tuple[Sidecar, tuple[str, ...]]:
    """Return what the text says, and its keys; a `folder` of None allows no file names."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:  # TOMLDecodeError is a ValueError; so is a number of 5000 digits
        raise ConfigError(f"{source}: is not TOML: {exc}; write lines as: decoder = {_quoted(FAMILIES)[0]}") from exc
    for key in table:
        if key not in KEYS:
            raise ConfigError(f"{source}: {key!r} is unknown; {_suggest(key, KEYS)}")
    if "anchors" in table and "anchor_recipe" in table:
        raise ConfigError(f"{source}: anchors and anchor_recipe: the anchors are from a file or made; remove one")
    if ("mean" in table) != ("std" in table):
        missing = "std" if "mean" in table else "mean"
        raise ConfigError(f"{source}: {missing} is missing; mean and std are only given together")
    found = Sidecar(
        path=path,
        decoder=_choice(table, "decoder", tuple(FAMILIES), source),
        labels=_labels(table, source, folder),
        class_offset=_whole(table, "class_offset", source),
        color=_choice(table, "color", COLORS, source),
        mean=_triple(table, "mean", source),
        std=_triple(table, "std", source, above=0),
        fit=_choice(table, "fit", FITS, source),
        fill=_triple(table, "fill", source, least=0, most=255),
        anchors=_file(table, "anchors", source, folder),
        anchor_recipe=_choice(table, "anchor_recipe", tuple(RECIPES), source),
        strides=_strides(table, source),
        box_unit=_choice(table, "box_unit", BOX_UNITS, source),
        score_kind=_choice(table, "score_kind", SCORE_KINDS, source),
        outputs=_outputs(table, source),
    )
    return found, tuple(table)


def read_labels_file(path: Path) -> Labels:
    """Return the labels of the file at `path`.

    Raises:
        ConfigError: it cannot be read, or holds no labels.
    """
    return parse_labels(_read(path), str(path))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror or exc}; give the path of a text file") from exc
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{path}: is larger than {_MAX_BYTES} bytes; give the path of a text file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: is not UTF-8 text; give the path of a text file in UTF-8") from exc


def _wrong(source: str, key: str, value: Any, allowed: str) -> ConfigError:
    return ConfigError(f"{source}: {key} = {value!r} is not allowed; allowed is {allowed}")


def _quoted(names: Sequence[str] | Mapping[str, Any]) -> list[str]:
    return [f'"{name}"' for name in names]


def _suggest(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"


def _choice(table: Mapping[str, Any], key: str, allowed: Sequence[str], source: str) -> str | None:
    value = table.get(key)
    if value is not None and value not in allowed:
        raise _wrong(source, key, value, " or ".join(_quoted(allowed)))
    return value


def _whole(table: Mapping[str, Any], key: str, source: str) -> int | None:
    value = table.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or abs(value) > 1000):
        raise _wrong(source, key, value, "a whole number from -1000 to 1000")
    return value


def _triple(
    table: Mapping[str, Any],
    key: str,
    source: str,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    most: float = math.inf,
) -> Triple | None:
    """Return three numbers; one number stands for three times itself."""
    value = table.get(key)
    if value is None:
        return None
    numbers = value if isinstance(value, list) else [value] * 3
    if len(numbers) != 3 or not all(_is_number(one) and above < one and least <= one <= most for one in numbers):
        bounds = "above 0" if above == 0 else f"from {least} to {most}" if most < math.inf else f"below {_MOST:.0f}"
        raise _wrong(source, key, value, f"a number or a list of three, {bounds}")
    return float(numbers[0]), float(numbers[1]), float(numbers[2])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST


def _file(table: Mapping[str, Any], key: str, source: str, folder: Path | None) -> Path | None:
    value = table.get(key)
    if value is None:
        return None
    if folder is None:
        instead = "pack a list of names" if key == "labels" else "write it into a sidecar beside the model"
        raise ConfigError(f"{source}: {key} = {value!r}: a sidecar inside a model cannot name a file; {instead}")
    if not isinstance(value, str) or not value:
        raise _wrong(source, key, value, "a file name, relative to this file")
    file = folder / value
    if not file.is_file():
        raise ConfigError(f"{source}: {key} = {value!r}: there is no file {file}; the name is relative to this file")
    return file


def _labels(table: Mapping[str, Any], source: str, folder: Path | None) -> Labels | None:
    value = table.get("labels")
    if value is None:
        return None
    if isinstance(value, list):
        if not value or not all(isinstance(name, str) for name in value):
            raise _wrong(source, "labels", value, "a list of names, or a file name relative to this file")
        return labels_from_names(value)
    file = _file(table, "labels", source, folder)
    assert file is not None
    return read_labels_file(file)


def _strides(table: Mapping[str, Any], source: str) -> tuple[int, ...] | None:
    value = table.get("strides")
    if value is None:
        return None
    is_list = isinstance(value, list) and 0 < len(value) <= _MOST_STRIDES
    if not is_list or not all(type(one) is int and 0 < one <= _LARGEST_STRIDE for one in value):
        raise _wrong(source, "strides", value, "a list of whole numbers, in pixels, such as [8] or [8, 16, 32]")
    return tuple(value)


def _outputs(table: Mapping[str, Any], source: str) -> dict[str, str | int]:
    value = table.get("outputs", {})
    if not isinstance(value, dict):
        raise _wrong(source, "outputs", value, 'a table: [outputs], then lines as: boxes = "name of the output"')
    roles = tuple(dict.fromkeys(role for family in FAMILIES.values() for role in family.roles))
    for role, output in value.items():
        if role not in roles:
            raise ConfigError(f"{source}: outputs.{role} is unknown; {_suggest(role, roles)}")
        if not isinstance(output, str | int) or isinstance(output, bool):
            raise _wrong(source, f"outputs.{role}", output, "the name of an output, or its index from 0")
    return dict(value)
