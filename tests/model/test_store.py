"""Where pulled models live, and the way from a name to the file."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from edge_runtime.errors import ModelError
from edge_runtime.model.store import find_model, pulled, store_folder


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "home" / ".local" / "share" / "edge-runtime" / "models"
    folder.mkdir(parents=True)
    (folder / "finder.tflite").touch()
    (folder / "face.onnx").touch()
    return {"HOME": str(tmp_path / "home")}


def test_the_service_has_a_folder_of_its_own() -> None:
    """Its user has no home that lasts."""
    environment = {"STATE_DIRECTORY": "/var/lib/edge-runtime:/var/lib/other", "XDG_DATA_HOME": "/data", "HOME": "/h"}
    assert store_folder(environment) == Path("/var/lib/edge-runtime/models")
    assert store_folder({"XDG_DATA_HOME": "/data", "HOME": "/h"}) == Path("/data/edge-runtime/models")
    assert store_folder({"XDG_DATA_HOME": "relative", "HOME": "/h"}) == Path("/h/.local/share/edge-runtime/models")


def test_a_name_is_enough_for_a_model_that_was_pulled(
    home: dict[str, str], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with caplog.at_level(logging.INFO, "edge_runtime.model.store"):
        assert find_model(Path("finder"), home).name == "finder.tflite"
    assert "name=finder" in caplog.text, "who reads the log must see which file it is"
    assert find_model(Path("face"), home).name == "face.onnx"
    beside_settings = tmp_path / "etc" / "finder"  # what `model = "finder"` of a settings file becomes
    assert find_model(beside_settings, home).name == "finder.tflite"


def test_a_file_that_is_there_comes_first(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "finder").touch()
    assert find_model(tmp_path / "finder", home) == tmp_path / "finder"


@pytest.mark.parametrize("path", ["finder.tflite", "face.onnx", "other", "sub/dir/other", "..", "Finder"])
def test_other_paths_stay_what_they_are(home: dict[str, str], path: str) -> None:
    """A mistyped file name must be an error that names it, not another model."""
    assert find_model(Path(path), home, folders=()) == Path(path)


def test_a_model_of_the_registry_that_waits_to_be_pulled_says_so(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "registry.toml").write_text('[[model]]\nname = "later"\n')
    with pytest.raises(
        ModelError, match="later: is a model of the registry, not pulled; edge-runtime models pull later"
    ):
        find_model(Path("later"), home, folders=(tmp_path / "none", tmp_path))
    (tmp_path / "registry.toml").write_text("[[model\n")
    assert find_model(Path("later"), home, folders=(tmp_path,)) == Path("later")


def test_a_name_never_leads_out_of_the_folder(home: dict[str, str], tmp_path: Path) -> None:
    folder = store_folder(home)
    assert folder is not None
    (folder.parent / "outside.tflite").touch()
    assert pulled("../outside", folder) is None
    assert pulled("finder", None) is None
