"""The wheel: what pip installs, and that it runs where nothing else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edge_runtime.capture.sprites import SHAPES
from edge_runtime.capture.v4l import Nodes

ROOT = Path(__file__).resolve().parents[1]
NO_BUILDER = ("No matching distribution found for hatchling", "Cannot connect", "Connection", "No module named pip")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel of this checkout, built by pip as for a user; needs hatchling, which pip may have to fetch."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode and any(reason in done.stderr for reason in NO_BUILDER):
        pytest.skip("the builder hatchling cannot be had here")
    assert done.returncode == 0, done.stderr
    [built] = folder.glob("*.whl")
    return built


def test_it_holds_every_variant_of_the_model_and_its_card(wheel: Path) -> None:
    """Named in no Python file, they would be left out without a word."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    expected = {f"edge_runtime/models/{path.name}" for path in (ROOT / "models").glob("*.tflite")}
    assert "edge_runtime/models/shapes.int8.tflite" in expected
    assert expected | {"edge_runtime/models/README.md", "edge_runtime/models/registry.toml"} <= names


def test_it_holds_the_units_and_rules_that_the_commands_install(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"edge_runtime/systemd/{path.name}" for path in (ROOT / "systemd").iterdir()} <= names


def test_it_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """Tests, scripts or shared folders would land among everybody's packages."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"edge_runtime"}
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "edge_runtime").rglob("*.py")}
    assert sources <= set(names)
    assert not [name for name in names if name.endswith(".pyc")]


@pytest.mark.skipif(bool(Nodes().names()), reason="this machine has a camera")
def test_it_runs_at_once_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """pip install, and the first command shows detections: no model, no camera, no checkout."""
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    foreign = ("EDGE_RUNTIME_", "DISPLAY", "WAYLAND_DISPLAY")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environment |= {"PYTHONPATH": str(site), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "edge_runtime", "--max-frames", "10"],
        cwd=empty, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert str(site) in done.stderr, "the model of the wheel"
    records = [json.loads(line) for line in done.stdout.splitlines()]
    results = [record for record in records if record["type"] == "detections"]
    assert len(results) == 10
    labels = {row["label"] for record in results for row in record["detections"]}
    assert labels
    assert labels <= set(SHAPES)
