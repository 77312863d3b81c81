"""The sidecar that is written: read again, it means the same."""

from __future__ import annotations

import logging
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.bundled import FOLDERS
from edge_runtime.inspect.report import inspect_model
from edge_runtime.inspect.sidecar import sidecar_target, sidecar_text
from edge_runtime.model.flatbuffer import read_model
from edge_runtime.model.sidecar import KEYS
from edge_runtime.model.spec import ModelSpec, resolve_spec
from tests.factory.metadata import embedded_metadata
from tests.factory.models import NAMELESS, Scripted, write_classifier, write_model, write_raw_ssd, write_ssd

BUNDLED = sorted(path for folder in FOLDERS if folder.is_dir() for path in folder.glob("*.tflite"))


def assert_round_trip(model: Path) -> str:
    """Write the sidecar of a model beside it and check that it resolves to the same; return its text."""
    found = inspect_model(model, measure=None)
    assert found.decoding.spec is not None
    assert found.decoding.task is not None
    target = sidecar_target(model)
    text = sidecar_text(found.file, found.decoding.spec, target)
    target.write_text(text, encoding="utf-8")
    again = resolve_spec(model, found.file.inputs, found.file.outputs, model_file=found.file, task=found.decoding.task)
    assert without_origins(again) == without_origins(found.decoding.spec)
    assert set(tomllib.loads(text)) <= set(KEYS)
    assert again.origins["decoder"] == f"sidecar {target.name}"
    return text


def without_origins(spec: ModelSpec) -> ModelSpec:
    return replace(spec, origins={}, anchors=spec.anchors.resolve() if spec.anchors else None)


@pytest.mark.parametrize("model", BUNDLED, ids=lambda path: path.name)
def test_every_bundled_model_means_the_same_with_its_sidecar(model: Path, tmp_path: Path) -> None:
    assert_round_trip(Path(shutil.copy(model, tmp_path / model.name)))


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_every_real_model_means_the_same_with_its_sidecar(
    shared: Path, suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One field that is written in another order or unit would be a detector that finds nothing."""
    if suffix == "onnx":
        pytest.importorskip("onnx", reason="the extra [onnx] is not installed")
    written = 0
    with caplog.at_level(logging.ERROR):
        for model in sorted((shared / "models").rglob(f"*.{suffix}")):
            folder = tmp_path / model.stem
            folder.mkdir()
            copy = Path(shutil.copy(model, folder / model.name))
            anchors = model.with_name(f"{model.stem}_anchors.csv")
            if anchors.is_file():
                shutil.copy(anchors, folder / anchors.name)
            if inspect_model(copy, measure=None).decoding.spec:
                assert_round_trip(copy)
                written += 1
    assert written >= {"tflite": 14, "onnx": 2}[suffix]


def test_names_that_toml_and_terminals_choke_on_survive(tmp_path: Path) -> None:
    labels = ('say "hi"', "back\\slash", "???", "naïve \u7532", "tab\there", "del\x7f", " # no comment")
    model = write_ssd(
        tmp_path / "m.tflite", metadata=embedded_metadata(), packed={"labelmap.txt": "\n".join(labels)},
        names={"boxes": 'a"b', "classes": "c\nd", "scores": "e", "count": "f\x1b[31m"},
        signature_names={"boxes": "output_3", "classes": "output_2", "scores": "output_1", "count": "output_0"},
    )  # fmt: skip
    text = assert_round_trip(model)
    assert "\x1b" not in text
    assert "\x7f" not in text


def test_outputs_of_one_name_are_told_by_their_number(tmp_path: Path) -> None:
    names = dict.fromkeys(NAMELESS, "Identity")
    signature = {"boxes": "output_3", "classes": "output_2", "scores": "output_1", "count": "output_0"}
    text = assert_round_trip(write_ssd(tmp_path / "m.tflite", names=names, signature_names=signature))
    assert tomllib.loads(text)["outputs"] == {"boxes": 0, "classes": 1, "scores": 2, "count": 3}


def test_roles_that_only_values_tell_are_left_open(tmp_path: Path) -> None:
    text = assert_round_trip(write_ssd(tmp_path / "m.tflite", names=NAMELESS))
    assert set(tomllib.loads(text).get("outputs", {})) == {"boxes", "count"}


def test_the_borders_keep_their_colour(tmp_path: Path) -> None:
    """A sidecar has them in the order of its colour, a frame in BGR."""
    model = write_ssd(tmp_path / "m.tflite", input_dtype="float32")
    model.with_suffix(".toml").write_text(
        'color = "rgb"\nfit = "letterbox"\nfill = [1, 2.5, 3]\nmean = [1, 2, 3.25]\nstd = [4, 5, 6]\nclass_offset = 1\n'
    )
    text = assert_round_trip(model)
    found = tomllib.loads(text)
    assert (found["fill"], found["mean"], found["class_offset"]) == ([1, 2.5, 3], [1, 2, 3.25], 1)


def test_anchors_are_named_as_seen_from_the_sidecar(tmp_path: Path) -> None:
    encodings, scores = np.zeros((7, 4), np.float32), np.zeros((7, 3), np.float32)
    model = write_raw_ssd(tmp_path / "m.tflite", encodings, scores, anchors=np.ones((7, 4)))
    assert tomllib.loads(assert_round_trip(model))["anchors"] == "m_anchors.csv"
    spec = inspect_model(model, measure=None).decoding.spec
    assert spec is not None
    elsewhere = sidecar_text(read_model(model), spec, tmp_path / "sub" / "m.toml")
    assert tomllib.loads(elsewhere)["anchors"] == "../m_anchors.csv"


def test_a_classifier_has_a_sidecar_too(tmp_path: Path) -> None:
    assert tomllib.loads(assert_round_trip(write_classifier(tmp_path / "m.tflite")))["decoder"] == "classify"


def test_a_grey_input_is_told_by_its_shape(tmp_path: Path) -> None:
    scores = np.zeros((1, 7), np.uint8)
    model = write_model(
        tmp_path / "m.tflite", input_shape=(1, 28, 28, 1), outputs=[Scripted("p", scores, (1 / 256, 0))]
    )
    assert "# color: grey" in assert_round_trip(model)


def test_the_sidecar_that_is_there_is_the_one_to_be_written(tmp_path: Path) -> None:
    """A model with two sidecars does not run."""
    model = write_ssd(tmp_path / "m.tflite")
    assert sidecar_target(model) == tmp_path / "m.toml"
    (tmp_path / "m.tflite.toml").write_text('color = "rgb"\n')
    assert sidecar_target(model) == tmp_path / "m.tflite.toml"
