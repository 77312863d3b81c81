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

    [outputs]                           # role = name or index of the output
    boxes = "Squeeze"
    scores = 1
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from edge_runtime.errors import ConfigError
from edge_runtime.model.families import FAMILIES
from edge_runtime.model.labels import Labels, labels_from_names, parse_labels
from edge_runtime.vision.letterbox import FITS

Triple = tuple[float, float, float]

COLORS = ("rgb", "bgr")
KEYS = ("decoder", "labels", "class_offset", "color", "mean", "std", "fit", "fill", "anchors", "outputs")
_MAX_BYTES = 1 << 20
_MOST = 1e9


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
    outputs: Mapping[str, str | int] = field(default_factory=dict)


def sidecar_path(model: Path) -> Path:
    """Return where the sidecar of this model is expected, whether or not it is there."""
    return model.with_suffix(".toml")


def load_sidecar(model: Path) -> Sidecar | None:
    """Return what the sidecar beside `model` says; None where there is none.

    Raises:
        ConfigError: there are two, or it cannot be read, or a key or value in it is wrong.
    """
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
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:  # TOMLDecodeError is a ValueError; so is a number of 5000 digits
        raise ConfigError(f"{path}: is not TOML: {exc}; write lines as: decoder = {_quoted(FAMILIES)[0]}") from exc
    for key in table:
        if key not in KEYS:
            raise ConfigError(f"{path}: {key!r} is unknown; {_suggest(key, KEYS)}")
    if ("mean" in table) != ("std" in table):
        missing = "std" if "mean" in table else "mean"
        raise ConfigError(f"{path}: {missing} is missing; mean and std are only given together")
    return Sidecar(
        path=path,
        decoder=_choice(table, "decoder", tuple(FAMILIES), path),
        labels=_labels(table, path),
        class_offset=_whole(table, "class_offset", path),
        color=_choice(table, "color", COLORS, path),
        mean=_triple(table, "mean", path),
        std=_triple(table, "std", path, above=0),
        fit=_choice(table, "fit", FITS, path),
        fill=_triple(table, "fill", path, least=0, most=255),
        anchors=_file(table, "anchors", path),
        outputs=_outputs(table, path),
    )


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


def _wrong(path: Path, key: str, value: Any, allowed: str) -> ConfigError:
    return ConfigError(f"{path}: {key} = {value!r} is not allowed; allowed is {allowed}")


def _quoted(names: Sequence[str] | Mapping[str, Any]) -> list[str]:
    return [f'"{name}"' for name in names]


def _suggest(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"


def _choice(table: Mapping[str, Any], key: str, allowed: Sequence[str], path: Path) -> str | None:
    value = table.get(key)
    if value is not None and value not in allowed:
        raise _wrong(path, key, value, " or ".join(_quoted(allowed)))
    return value


def _whole(table: Mapping[str, Any], key: str, path: Path) -> int | None:
    value = table.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or abs(value) > 1000):
        raise _wrong(path, key, value, "a whole number from -1000 to 1000")
    return value


def _triple(
    table: Mapping[str, Any],
    key: str,
    path: Path,
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
        raise _wrong(path, key, value, f"a number or a list of three, {bounds}")
    return float(numbers[0]), float(numbers[1]), float(numbers[2])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST


def _file(table: Mapping[str, Any], key: str, path: Path) -> Path | None:
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise _wrong(path, key, value, "a file name, relative to this file")
    file = path.parent / value
    if not file.is_file():
        raise ConfigError(f"{path}: {key} = {value!r}: there is no file {file}; the name is relative to this file")
    return file


def _labels(table: Mapping[str, Any], path: Path) -> Labels | None:
    value = table.get("labels")
    if value is None:
        return None
    if isinstance(value, list):
        if not value or not all(isinstance(name, str) for name in value):
            raise _wrong(path, "labels", value, "a list of names, or a file name relative to this file")
        return labels_from_names(value)
    file = _file(table, "labels", path)
    assert file is not None
    return read_labels_file(file)


def _outputs(table: Mapping[str, Any], path: Path) -> dict[str, str | int]:
    value = table.get("outputs", {})
    if not isinstance(value, dict):
        raise _wrong(path, "outputs", value, 'a table: [outputs], then lines as: boxes = "name of the output"')
    roles = tuple(dict.fromkeys(role for family in FAMILIES.values() for role in family.roles))
    for role, output in value.items():
        if role not in roles:
            raise ConfigError(f"{path}: outputs.{role} is unknown; {_suggest(role, roles)}")
        if not isinstance(output, str | int) or isinstance(output, bool):
            raise _wrong(path, f"outputs.{role}", output, "the name of an output, or its index from 0")
    return dict(value)
