"""What lies beside a variant: the parent's sidecar, still true in another folder."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")

from edge_runtime.model.sidecar import parse_sidecar
from edge_runtime.optimize.beside import sidecar_bytes, variant_sidecar
from edge_runtime.optimize.calibration import resolve_feed
from tests.factory.models import write_classifier, write_raw_ssd
from tests.optimize.material import SIDECAR, write_detector


def test_a_model_that_says_it_all_itself_needs_no_sidecar(tmp_path: Path) -> None:
    model = write_detector(tmp_path / "m.tflite")
    assert variant_sidecar(model, model, resolve_feed(model), has_own_range=False) == {}


def test_files_it_names_are_found_from_the_other_folder(tmp_path: Path) -> None:
    """A variant whose labels cannot be found does not even open."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "names of all.txt").write_text("bright\n")
    model = write_detector(tmp_path / "models" / "m.tflite", packed_sidecar=False)
    model.with_suffix(".toml").write_text(SIDECAR.replace('["bright"]', '"names of all.txt"'))
    target = tmp_path / "variants" / "deep" / "m.int8.toml"
    target.parent.mkdir(parents=True)
    table = variant_sidecar(model, model, resolve_feed(model), has_own_range=False)
    target.write_bytes(sidecar_bytes(table, model, target.parent))
    assert tomllib.loads(target.read_text())["labels"] == "../../models/names of all.txt"
    assert parse_sidecar(target.read_text(), target).labels is not None


def test_a_list_of_labels_a_table_and_odd_characters_survive(tmp_path: Path) -> None:
    model = write_detector(tmp_path / "m.tflite", packed_sidecar=False)
    model.with_suffix(".toml").write_text(
        'decoder = "fcos"\nstrides = [8]\nlabels = ["br\\"ight\\\\ é"]\n[outputs]\nboxes = "boxes"\nscores = 1\n'
    )
    table = variant_sidecar(model, model, resolve_feed(model), has_own_range=False)
    again = tomllib.loads(sidecar_bytes(table, model, tmp_path).decode())
    assert again == tomllib.loads(model.with_suffix(".toml").read_text())


def test_anchors_that_were_found_by_the_name_of_the_model_are_written_down(tmp_path: Path) -> None:
    """They are looked for as NAME_anchors.csv, and a variant has another name."""
    (tmp_path / "a").mkdir()
    model = write_raw_ssd(
        tmp_path / "a" / "m.tflite", np.zeros((3, 4), np.float32), np.zeros((3, 4), np.float32),
        anchors=np.full((3, 4), 0.5, np.float32), input_dtype="float32",
    )  # fmt: skip
    (tmp_path / "b").mkdir()
    variant = Path(shutil.copy(model, tmp_path / "b" / "m.int8.tflite"))
    table = variant_sidecar(model, variant, resolve_feed(model), has_own_range=False)
    variant.with_suffix(".toml").write_bytes(sidecar_bytes(table, model, variant.parent))
    found = resolve_feed(variant).spec
    assert found is not None
    assert found.anchors is not None
    assert found.anchors.samefile(tmp_path / "a" / "m_anchors.csv")


def test_a_range_given_by_hand_is_written_down(tmp_path: Path) -> None:
    """The runtime has to scale as calibration did."""
    model = write_detector(tmp_path / "m.tflite")
    table = variant_sidecar(model, model, resolve_feed(model, input_range=(-1.0, 1.0)), has_own_range=True)
    assert (table["mean"], table["std"]) == ([127.5] * 3, [127.5] * 3)


def test_channels_scaled_differently_are_written_down_for_a_narrow_input(tmp_path: Path) -> None:
    """An 8-bit input takes pixels as they are unless the sidecar says otherwise, which fits one scale for all only."""
    (tmp_path / "a").mkdir()
    model = write_detector(tmp_path / "a" / "m.tflite")
    model.with_suffix(".toml").write_text("mean = [100, 110, 120]\nstd = 58\n")
    narrow = write_classifier(tmp_path / "v.tflite")
    table = variant_sidecar(model, narrow, resolve_feed(model), has_own_range=False)
    assert (table["mean"], table["std"]) == ([100.0, 110.0, 120.0], [58.0] * 3)


def test_a_variant_that_lost_the_names_of_its_outputs_gets_their_places(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    model = write_detector(tmp_path / "a" / "m.tflite")
    unreadable = write_classifier(tmp_path / "v.tflite")
    table = variant_sidecar(model, unreadable, resolve_feed(model), has_own_range=False)
    assert (table["decoder"], table["outputs"]) == ("fcos", {"boxes": 0, "scores": 1})
