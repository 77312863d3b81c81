"""Pulling, checking and taking away models, and what becomes of files that a user wrote."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edge_runtime.errors import ConfigError, ModelError, OutputError
from edge_runtime.model.sidecar import load_sidecar
from edge_runtime.registry.download import Wanted
from edge_runtime.registry.entries import Entry
from edge_runtime.registry.pulled import pull, remove, verify

DATA = b"a model"


def entry(name: str = "finder", data: bytes = DATA, labels: tuple[str, ...] = ()) -> Entry:
    return Entry(
        name=name, url=f"https://example.org/{name}.tflite", sha256=hashlib.sha256(data).hexdigest(), size=len(data),
        licence="MIT", family="yolox", input="32x32 uint8", classes=2, page="https://example.org", suited="tests",
        labels=labels,
    )  # fmt: skip


def bring(wanted: Wanted, target: Path) -> None:
    """Stand in for the download."""
    assert wanted.size == len(DATA)
    target.write_bytes(DATA)


def no_bringing(wanted: Wanted, target: Path) -> None:
    raise AssertionError(f"{wanted.url} was fetched to {target} without need")


def test_a_model_is_brought_once(tmp_path: Path) -> None:
    done = pull(entry(), tmp_path, bring=bring)
    assert (done.path, done.was_there, done.sidecar) == (tmp_path / "finder.tflite", False, None)
    assert pull(entry(), tmp_path, bring=no_bringing).was_there


def test_a_file_of_that_name_that_is_another_one_stays(tmp_path: Path) -> None:
    """It may be the user's own."""
    (tmp_path / "finder.tflite").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"finder\.tflite: exists; add --overwrite"):
        pull(entry(), tmp_path, bring=no_bringing)
    assert (tmp_path / "finder.tflite").read_bytes() == b"mine"
    assert not pull(entry(), tmp_path, may_replace=True, bring=bring).was_there
    assert (tmp_path / "finder.tflite").read_bytes() == DATA


def test_labels_come_along_as_a_sidecar(tmp_path: Path) -> None:
    done = pull(entry(labels=("cat", "???")), tmp_path, bring=bring)
    assert done.sidecar == tmp_path / "finder.toml"
    found = load_sidecar(done.path)
    assert found is not None
    assert found.labels is not None
    assert found.labels.names == ("cat", None)


@pytest.mark.parametrize("name", ["finder.toml", "finder.tflite.toml"])
def test_a_sidecar_of_the_user_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('color = "bgr"\n')
    done = pull(entry(labels=("cat", "dog")), tmp_path, bring=bring)
    assert done.sidecar is None
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "finder.tflite"])


def test_a_file_is_known_by_its_content_or_by_its_name(tmp_path: Path) -> None:
    registry = {"finder": entry()}
    (tmp_path / "renamed.tflite").write_bytes(DATA)
    (tmp_path / "finder.tflite").write_bytes(b"a modem")
    (tmp_path / "other.tflite").write_bytes(b"?")
    right = verify(tmp_path / "renamed.tflite", registry)
    assert (right.name, right.is_right) == ("finder", True)
    wrong = verify(tmp_path / "finder.tflite", registry)
    assert (wrong.name, wrong.is_right) == ("finder", False)
    assert "should be" in wrong.said
    (tmp_path / "finder.tflite").write_bytes(b"a mod")
    assert verify(tmp_path / "finder.tflite", registry).said == "has 5 bytes, should have 7"
    unknown = verify(tmp_path / "other.tflite", registry)
    assert (unknown.name, unknown.is_right) == (None, False)
    with pytest.raises(ModelError, match=r"none\.tflite: cannot be read"):
        verify(tmp_path / "none.tflite", registry)


def test_what_was_pulled_can_be_taken_away(tmp_path: Path) -> None:
    one = entry(labels=("cat", "dog"))
    pull(one, tmp_path, bring=bring)
    (tmp_path / "finder.tflite.part").write_bytes(b"x")
    (tmp_path / "stranger.tflite").write_bytes(b"x")
    gone, kept = remove("finder", tmp_path, {"finder": one})
    assert {path.name for path in gone} == {"finder.tflite", "finder.toml", "finder.tflite.part"}
    assert kept == []
    assert [path.name for path in tmp_path.iterdir()] == ["stranger.tflite"]


def test_a_sidecar_that_was_changed_is_kept_and_named(tmp_path: Path) -> None:
    """The work of an afternoon may stand in it."""
    one = entry(labels=("cat", "dog"))
    pull(one, tmp_path, bring=bring)
    (tmp_path / "finder.toml").write_text('color = "bgr"\n')
    assert remove("finder", tmp_path, {"finder": one})[1] == [tmp_path / "finder.toml"]
    assert [path.name for path in tmp_path.iterdir()] == ["finder.toml"]


@pytest.mark.parametrize("name", ["finder", "../finder", "/etc/passwd", ""])
def test_what_is_not_pulled_cannot_be_taken_away(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    for outside in ("finder.tflite", "finder.tflite.part"):
        (tmp_path / outside).write_bytes(b"x")
    with pytest.raises(ConfigError, match="is not pulled"):
        remove(name, folder, {})
    assert len(list(tmp_path.glob("finder*"))) == 2
