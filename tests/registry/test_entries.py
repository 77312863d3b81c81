"""The registry file: the one that comes along is right, and a wrong one of a user is told what is wrong."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.errors import ConfigError
from edge_runtime.model.families import FAMILIES
from edge_runtime.registry.entries import bundled_registry, check_url, choose, is_loopback, load_registry

ROOT = Path(__file__).resolve().parents[2]
GOOD = {
    "name": "finder", "url": "https://example.org/finder.tflite", "sha256": "ab" * 32, "size": 100, "licence": "MIT",
    "family": "yolox", "input": "32x32 uint8", "classes": 2, "page": "https://example.org", "suited": "tests",
}  # fmt: skip


def written(folder: Path, *models: dict[str, Any], labels: str = "") -> Path:
    blocks = ["[[model]]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in one.items()) for one in models]
    path = folder / "own.toml"
    path.write_text("\n\n".join([*blocks, labels]), encoding="utf-8")
    return path


def test_the_registry_that_comes_along_is_read_and_safe() -> None:
    assert bundled_registry() == ROOT / "models" / "registry.toml"
    registry = load_registry(bundled_registry())
    assert len(registry) > 5
    for entry in registry.values():
        assert entry.url.startswith("https://")
        assert entry.page.startswith("https://")
        assert entry.family in FAMILIES
        assert len(entry.labels) in (0, entry.classes)
        assert len(entry.name) <= 30, "a wider one breaks the table"
        assert len(entry.suited) + len(entry.family) <= 74
    assert len({entry.sha256 for entry in registry.values()}) == len(registry)


def test_the_registry_that_comes_along_names_real_files(shared: Path) -> None:
    """A checksum or a size that was mistyped would refuse the right file for ever."""
    files = {one["sha256"]: one for one in json.loads((shared / "models" / "files.json").read_text())}
    for entry in load_registry(bundled_registry()).values():
        real = files[entry.sha256]
        assert entry.size == real["size"]
        assert entry.url.endswith("/".join((real["origin"]["commit"], real["origin"]["path"])))
        assert real["licence"].startswith(entry.licence) or "Apache-2.0" in real["licence"]


def test_a_name_that_is_not_there_gets_the_nearest_ones(tmp_path: Path) -> None:
    registry = load_registry(written(tmp_path, GOOD, {**GOOD, "name": "other"}))
    assert choose(registry, "finder").file_name == "finder.tflite"
    with pytest.raises(ConfigError, match=r"'findr': is no model of the registry; did you mean finder\?"):
        choose(registry, "findr")
    with pytest.raises(ConfigError, match="models list shows them all"):
        choose(registry, "zzz")


def test_labels_are_a_list_of_the_same_file(tmp_path: Path) -> None:
    path = written(tmp_path, {**GOOD, "labels": "two"}, labels='[labels]\ntwo = ["cat", "dog"]')
    assert load_registry(path)["finder"].labels == ("cat", "dog")


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"name": "../../etc/passwd"}, "name = '../../etc/passwd' is not allowed; allowed is a-z, 0-9"),
        ({"name": "Finder"}, "is not allowed"),
        ({"sha256": "AB" * 32}, "sha256 = .* allowed is 64 digits"),
        ({"sha256": None}, "sha256 is missing"),
        ({"size": 0}, "size = 0 is not allowed; allowed is a whole number from 1"),
        ({"size": True}, "size = True is not allowed"),
        ({"size": 1 << 40}, "is not allowed"),
        ({"classes": "many"}, "classes = 'many' is not allowed"),
        ({"url": "http://example.org/m.tflite"}, "allowed is https://"),
        ({"url": "https://example.org/m.zip"}, r"an address that ends in \.tflite or \.onnx"),
        ({"licence": "  "}, "licence is missing"),
        ({"suited": "two\nlines"}, "suited is missing or no text of one line"),
        ({"labels": "none"}, "labels = 'none' is not allowed; allowed is the name of a list"),
        ({"sha265": "x"}, "'sha265' is unknown; known are name, "),
    ],
)
def test_a_wrong_entry_is_told_with_its_name(tmp_path: Path, change: dict[str, Any], answer: str) -> None:
    entry = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(ConfigError, match=rf"own\.toml: model 1 \(.*\).*{answer}"):
        load_registry(written(tmp_path, entry))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", "holds no models"),
        ("[model]\nname = 'x'", "holds no models"),
        ("model = [1]", "model 1: is no table"),
        ("[[model]\n", "is not TOML"),
    ],
)
def test_a_file_that_is_no_registry_is_refused(tmp_path: Path, text: str, answer: str) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(ConfigError, match=answer):
        load_registry(tmp_path / "r.toml")


def test_a_registry_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load_registry(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="install edge-runtime anew, or give --registry FILE"):
        bundled_registry([tmp_path])


def test_two_models_of_one_name_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two models are called finder"):
        load_registry(written(tmp_path, GOOD, GOOD))


@pytest.mark.parametrize("url", ["https://a.b/c", "http://127.0.0.1:8000/c", "http://localhost/c", "http://[::1]/c"])
def test_safe_addresses(url: str) -> None:
    check_url(url, "url")


@pytest.mark.parametrize("url", ["http://a.b/c", "ftp://a.b/c", "file:///c", "https:///c", "/c", "https://[1/c", ""])
def test_unsafe_addresses(url: str) -> None:
    """Over plain http anybody on the way can send another model; the checksum alone would have to notice."""
    with pytest.raises(ConfigError, match="url: "):
        check_url(url, "url")


def test_loopback_is_told_by_the_address_and_not_by_its_looks() -> None:
    assert is_loopback("127.9.9.9")
    assert not is_loopback("127.0.0.1.example.org")


def test_an_entry_cannot_be_changed(tmp_path: Path) -> None:
    entry = load_registry(written(tmp_path, GOOD))["finder"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.size = 5  # type: ignore[misc]
