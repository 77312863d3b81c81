"""The registry file: public models, each with its address, checksum and licence.

``models/registry.toml`` of this project, or a file of your own::

    [[model]]
    name = "my-detector"                # what pull and --model take: a-z, 0-9, dots, dashes, underscores
    url = "https://example.org/detector.tflite"
    sha256 = "..."                      # of the file, 64 digits
    size = 123456                       # bytes
    licence = "Apache-2.0"
    family = "yolox"
    input = "416x416 float32"
    classes = 80
    labels = "coco80"                   # a list under [labels], where the file brings no labels; or leave it out
    page = "https://example.org/about"
    suited = "small boards"             # for whom, in a few words

    [labels]
    coco80 = ["person", "bicycle"]
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edge_runtime.bundled import FOLDERS
from edge_runtime.errors import ConfigError
from edge_runtime.model.store import NAME, REGISTRY, SUFFIXES

MOST_BYTES = 4 << 30
_MOST_FILE_BYTES = 4 << 20
_TEXTS = ("name", "url", "sha256", "licence", "family", "input", "page", "suited")
_KEYS = (*_TEXTS, "size", "classes", "labels")


@dataclass(frozen=True, slots=True)
class Entry:
    """One public model."""

    name: str
    url: str
    sha256: str
    size: int  # bytes
    licence: str
    family: str
    input: str
    classes: int
    page: str
    suited: str
    labels: tuple[str, ...] = ()  # written into a sidecar, where the file brings none

    @property
    def file_name(self) -> str:
        """What the file is called where it is pulled to."""
        return f"{self.name}{Path(urlsplit(self.url).path).suffix.lower()}"


def bundled_registry(folders: Sequence[Path] = FOLDERS) -> Path:
    """Return the registry that comes with this package.

    Raises:
        ConfigError: it is not there.
    """
    for folder in folders:
        if (folder / REGISTRY).is_file():
            return folder / REGISTRY
    raise ConfigError(f"{folders[-1] / REGISTRY}: is not there; install edge-runtime anew, or give --registry FILE")


def load_registry(path: Path) -> dict[str, Entry]:
    """Return name -> model of a registry file, in its order.

    Raises:
        ConfigError: it cannot be read, or an entry in it is wrong.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_FILE_BYTES + 1)
        table = tomllib.loads(data.decode("utf-8"))
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror or exc}; give the path of a registry file") from exc
    except (ValueError, RecursionError) as exc:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise ConfigError(f"{path}: is not TOML: {exc}; see models/registry.toml of edge-runtime for the form") from exc
    models, labels = table.get("model"), table.get("labels", {})
    if not isinstance(models, list) or not isinstance(labels, dict):
        raise ConfigError(f"{path}: holds no models; each begins with a line [[model]]")
    found: dict[str, Entry] = {}
    for number, one in enumerate(models, 1):
        entry = _entry(one, labels, f"{path}: model {number}")
        if entry.name in found:
            raise ConfigError(f"{path}: two models are called {entry.name}; give each its own name")
        found[entry.name] = entry
    return found


def choose(registry: Mapping[str, Entry], name: str) -> Entry:
    """Return the model of this name.

    Raises:
        ConfigError: there is none; says which come close.
    """
    if name in registry:
        return registry[name]
    close = get_close_matches(name, registry, n=3)
    advice = f"did you mean {' or '.join(close)}?" if close else "edge-runtime models list shows them all"
    raise ConfigError(f"{name!r}: is no model of the registry; {advice}")


def _entry(one: Any, labels: Mapping[str, Any], source: str) -> Entry:
    if not isinstance(one, dict):
        raise ConfigError(f"{source}: is no table; each model begins with a line [[model]]")
    source = f"{source} ({one['name']})" if isinstance(one.get("name"), str) else source
    for key in one:
        if key not in _KEYS:
            raise ConfigError(f"{source}: {key!r} is unknown; known are {', '.join(_KEYS)}")
    texts = {key: _text(one, key, source) for key in _TEXTS}
    if not NAME.fullmatch(texts["name"]):
        raise _wrong(source, "name", texts["name"], "a-z, 0-9, dots, dashes and underscores, a letter or digit first")
    if not re.fullmatch(r"[0-9a-f]{64}", texts["sha256"]):
        raise _wrong(source, "sha256", texts["sha256"], "64 digits from 0 to f, as sha256sum prints them")
    check_url(texts["url"], f"{source}: url")
    if Path(urlsplit(texts["url"]).path).suffix.lower() not in SUFFIXES:
        raise _wrong(source, "url", texts["url"], f"an address that ends in {' or '.join(SUFFIXES)}")
    return Entry(
        **texts,
        size=_count(one, "size", source, 1, MOST_BYTES),
        classes=_count(one, "classes", source, 1, 100_000),
        labels=_labels(one, labels, source),
    )


def check_url(url: str, source: str) -> None:
    """Raise ConfigError unless an address is https, or http on this machine itself."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError as exc:
        raise ConfigError(f"{source}: {url!r} is no address ({exc}); give one as https://host/file") from exc
    if parts.scheme == "https" and host:
        return
    if parts.scheme == "http" and host and is_loopback(host):
        return
    raise ConfigError(f"{source}: {url!r} is not allowed; allowed is https:// (http:// only on this machine itself)")


def is_loopback(host: str) -> bool:
    """Return whether a host name means this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _wrong(source: str, key: str, value: Any, allowed: str) -> ConfigError:
    return ConfigError(f"{source}: {key} = {value!r} is not allowed; allowed is {allowed}")


def _text(one: Mapping[str, Any], key: str, source: str) -> str:
    value = one.get(key)
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ConfigError(f'{source}: {key} is missing or no text of one line; write: {key} = "..."')
    return value


def _count(one: Mapping[str, Any], key: str, source: str, low: int, high: int) -> int:
    value = one.get(key)
    if type(value) is not int or not low <= value <= high:
        raise _wrong(source, key, value, f"a whole number from {low} to {high}")
    return value


def _labels(one: Mapping[str, Any], labels: Mapping[str, Any], source: str) -> tuple[str, ...]:
    if "labels" not in one:
        return ()
    names = labels.get(one["labels"]) if isinstance(one["labels"], str) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise _wrong(source, "labels", one["labels"], "the name of a list of names under [labels]")
    return tuple(names)
