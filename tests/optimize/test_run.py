"""From a parent to its variants: what is written, what is carried over, and what happens when it cannot be."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ai_edge_quantizer", reason="the extra [optimize] is not installed")

from edge_runtime.detector import Detector
from edge_runtime.errors import ConfigError, ModelError, OptimizeError, OutputError
from edge_runtime.model.flatbuffer import read_model
from edge_runtime.optimize import check, modelfile
from edge_runtime.optimize.run import optimize
from edge_runtime.optimize.weights import weights
from tests.factory.metadata import embedded_metadata
from tests.optimize.graphs import edit, use_old_codes, write_net
from tests.optimize.material import SIDECAR, picture, write_detector, write_pictures


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("p") / "pictures", 14)


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    return write_detector(tmp_path / "finder.tflite")


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give each test its own folder for unfinished work, and see that nothing stays in it."""
    folder = tmp_path / "unfinished"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_variant_is_smaller_finds_the_same_and_tells_its_figures(
    parent: Path, pictures: Path, tmp_path: Path
) -> None:
    (made,) = optimize(parent, "int8", tmp_path / "out", calibration=pictures)
    assert made.path == tmp_path / "out" / "finder.int8.tflite"
    assert names(tmp_path / "out") == ["finder.int8.tflite"]
    assert made.size_bytes == made.path.stat().st_size < made.parent_bytes == parent.stat().st_size
    assert made.weight_bytes < 0.5 * made.parent_weight_bytes
    assert 0 < made.zstd_bytes < made.size_bytes
    found = made.comparison.detections
    assert found is not None
    assert found.matched == found.expected > 0
    assert read_model(made.path).inputs[0].quantization is not None
    with Detector(made.path, num_threads=1) as detector:
        detections = detector.detect(picture(99))
        assert detector.names_of(detections) == ("bright",) * len(detections) != ()


def test_steps_are_combined_in_order(parent: Path, pictures: Path, tmp_path: Path) -> None:
    pruned, both = optimize(
        parent, ["prune", "prune,int8"], tmp_path, calibration=pictures, options={"sparsity": 0.6, "layers": "boxes"}
    )
    assert [made.path.name for made in (pruned, both)] == ["finder.prune.tflite", "finder.prune-int8.tflite"]
    kernel = next(one for one in weights(both.path) if one.operator == "CONV_2D" and len(one.shape) == 4)
    assert kernel.dtype == "int8"
    assert kernel.sparsity >= 0.6
    assert any("pruned without training" in said for said in both.notes)


def test_a_recipe_file_names_its_variant(parent: Path, pictures: Path, tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(
        '[[step]]\ntechnique = "cluster"\nclusters = 8\nlayers = "boxes"\n[[step]]\ntechnique = "float16"\n'
    )
    (made,) = optimize(parent, recipe=file, output=tmp_path)
    assert made.path.name == "finder.tiny.tflite"
    assert made.technique == "tiny"


def test_labels_and_metadata_are_carried_over(tmp_path: Path) -> None:
    """A model that lost its labels says class 7."""
    parent = write_net(tmp_path / "net.tflite", metadata=embedded_metadata(), packed={"labels.txt": "a\nb\n"})
    (made,) = optimize(parent, "dynamic", tmp_path)
    assert read_model(made.path).metadata == embedded_metadata()
    with zipfile.ZipFile(made.path) as archive:
        assert archive.read("labels.txt") == b"a\nb\n"


def test_the_sidecar_comes_along(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("bright\n")
    parent = write_detector(tmp_path / "m.tflite", packed_sidecar=False)
    parent.with_suffix(".toml").write_text(SIDECAR.replace('["bright"]', '"labels.txt"'))
    (made,) = optimize(parent, "int8", tmp_path / "out", calibration=pictures)
    assert names(tmp_path / "out") == ["m.int8.tflite", "m.int8.toml"]
    with Detector(made.path, num_threads=1) as detector:
        assert set(detector.names_of(detector.detect(picture(1)))) == {"bright"}


def test_a_model_from_before_2020_is_quantised(tmp_path: Path) -> None:
    """The quantiser alone hands such files on unchanged."""
    parent = edit(write_net(tmp_path / "old.tflite", signature=None), use_old_codes)
    (made,) = optimize(parent, "int8", tmp_path, calibration="scene", pictures=10, input_range=(0.0, 1.0))
    assert made.weight_bytes < 0.5 * made.parent_weight_bytes


def test_a_float16_parent_is_quantised_to_integers(tmp_path: Path) -> None:
    parent = write_net(tmp_path / "half.tflite", float16=True)
    (made,) = optimize(parent, "int8", tmp_path, calibration="scene", pictures=10, input_range=(0.0, 1.0))
    assert {one.dtype for one in weights(made.path) if len(one.shape) == 4} == {"int8"}


def test_few_pictures_and_slow_kernels_are_warned_of(parent: Path, pictures: Path, tmp_path: Path) -> None:
    (made,) = optimize(parent, "int16x8", tmp_path, calibration=pictures)
    assert any("no engine has a fast kernel" in said for said in made.warnings)
    assert any("10 pictures are few" in said for said in made.warnings)


def test_the_edge_tpu_variant_is_checked_and_kept_without_the_compiler(
    parent: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (made,) = optimize(parent, "edgetpu", tmp_path / "out", calibration=pictures)
    assert names(tmp_path / "out") == ["finder.edgetpu.tflite"]
    assert any("edgetpu_compiler is not installed" in said for said in made.notes)
    assert not any("Edge TPU" in said for said in made.warnings)
    assert {one.dtype.name for one in read_model(made.path).inputs} == {"uint8"}


@pytest.mark.parametrize("works", [True, False])
def test_the_edge_tpu_variant_is_compiled_where_the_compiler_is(
    parent: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, works: bool
) -> None:
    program = tmp_path / "edgetpu_compiler"
    body = 'echo "Number of operations that will run on CPU: 2"; cp $4 $3/$(basename $4 .tflite)_edgetpu.tflite'
    program.write_text(f"#!/bin/sh\n{body if works else 'exit 3'}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (made,) = optimize(parent, "edgetpu", tmp_path / "out", calibration=pictures)
    said = "2 operators run on the CPU" if works else "exit code 3"
    assert any(said in warning for warning in made.warnings)
    assert ("finder.edgetpu_edgetpu.tflite" in names(tmp_path / "out")) is works
    assert "finder.edgetpu.tflite" in names(tmp_path / "out")


def test_ranges_are_measured_once_for_all_variants_of_the_same_weights(
    parent: Path, pictures: Path, tmp_path: Path
) -> None:
    ticks: list[str] = []
    optimize(parent, ["int8", "edgetpu"], tmp_path, calibration=pictures, tick=lambda what, *_: ticks.append(what))
    assert ticks.count("calibrating") == 10


def test_what_opening_says_is_said_of_the_parent_alone(
    pictures: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Said again of every variant, with the name of a file that is gone a second later, it helps nobody."""
    parent = write_detector(tmp_path / "m.tflite", packed_sidecar=False)
    parent.with_suffix(".toml").write_text('decoder = "fcos"\nstrides = [8]\nfit = "stretch"\n')
    (made,) = optimize(parent, "int8", tmp_path / "out", calibration=pictures)
    assert made.comparison.detections is not None
    assert "edge-runtime-" not in caplog.text
    assert "no labels" not in caplog.text


def test_one_variant_that_cannot_be_made_stops_no_other(parent: Path, tmp_path: Path) -> None:
    """Of two layers that are left, the weights are few and different: nothing is there to share."""
    failures: dict[str, Exception] = {}
    told: list[str] = []
    made = optimize(
        parent, ["cluster", "float16"], tmp_path / "out", options={"clusters": 65536},
        on_made=lambda variant: told.append(variant.technique), on_failure=failures.__setitem__,
    )  # fmt: skip
    assert [variant.technique for variant in made] == told == ["float16"]
    assert "none changed" in str(failures["cluster"])
    assert names(tmp_path / "out") == ["finder.float16.tflite"]


@pytest.mark.parametrize(
    ("step", "options", "answer"),
    [
        ('"prune"', {"layers": "neck"}, "--layers: 'neck' matches no name of a layer and no operator; there is boxes"),
        ('"prune"\nlayers = "neck"', {}, "tiny.toml: layers: 'neck' matches no name of a layer"),
        ('"prune"\nlayers = "neck"', {"layers": "nose"}, "--layers: 'nose' matches no name of a layer"),
        ('"prune"\npattern = "2:4"', {"sparsity": 0.7}, "--sparsity: 0.7 does not go with 2:4"),
        ('"cluster"\nclusters = 1', {}, "tiny.toml: clusters: 1 is not allowed; allowed is 2 to 65536"),
        ('"int8"\nfloat_layers = ["neck"]', {}, "tiny.toml: float_layers: 'neck' is found in no name of a layer"),
        ('"int8"\nfloat_operators = ["ADD"]', {}, "tiny.toml: float_operators: 'ADD' is not in this model"),
    ],
)
def test_what_does_not_fit_the_model_is_blamed_on_the_flag_or_the_file(
    parent: Path, tmp_path: Path, step: str, options: dict[str, Any], answer: str
) -> None:
    """Before anything is made, and in the words that the user typed."""
    (tmp_path / "tiny.toml").write_text(f"[[step]]\ntechnique = {step}\n")
    with pytest.raises(ConfigError) as caught:
        optimize(parent, recipe=tmp_path / "tiny.toml", output=tmp_path / "out", options=options, calibration="scene")
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(answer)
    assert not (tmp_path / "out").exists()


def test_a_variant_that_answers_no_numbers_is_not_kept(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "real", lambda stored, spec: np.full(stored.shape, np.nan, np.float32))
    with pytest.raises(OptimizeError, match="no numbers; it is not kept"):
        optimize(parent, "float16", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_integers_without_pictures_are_an_error_before_anything_is_done(parent: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--calibration: is missing; the ranges of int8, edgetpu come from"):
        optimize(parent, ["float16", "int8", "edgetpu"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_quantised_parent_is_refused(parent: Path, pictures: Path, tmp_path: Path) -> None:
    made = optimize(parent, ["int8", "dynamic"], tmp_path, calibration=pictures)
    for variant in made:
        with pytest.raises(ModelError, match="quantised already"):
            optimize(variant.path, "int8", tmp_path / "again", calibration=pictures)


@pytest.mark.parametrize(
    ("name", "content", "answer"),
    [
        ("m.tflite", None, "no such file"),
        ("m.tflite", b"\xff\xd8\xff\xe0", "a JPEG"),
        ("m.onnx", b"words", "a text file"),
    ],
)
def test_what_is_no_model_is_said_to_be_none(tmp_path: Path, name: str, content: bytes | None, answer: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content * 20)
    with pytest.raises(ModelError, match=answer):
        optimize(tmp_path / name, "float16", tmp_path / "out")


def test_files_that_exist_are_replaced_only_on_demand(parent: Path, tmp_path: Path) -> None:
    (made,) = optimize(parent, "float16", tmp_path)
    made.path.write_text("mine")
    with pytest.raises(OutputError, match=r"finder.float16.tflite: exists; add --overwrite"):
        optimize(parent, "float16", tmp_path)
    assert made.path.read_text() == "mine"
    optimize(parent, "float16", tmp_path, overwrite=True)
    assert made.path.stat().st_size == made.size_bytes


def test_what_the_compiler_made_before_is_replaced_only_on_demand(parent: Path, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "finder.edgetpu_edgetpu.tflite").write_text("mine")
    with pytest.raises(OutputError, match=r"finder\.edgetpu_edgetpu\.tflite: exists"):
        optimize(parent, "edgetpu", tmp_path, calibration=pictures)


def test_the_parent_is_never_replaced(parent: Path, tmp_path: Path) -> None:
    """A link of the variant's name may lead to it."""
    (tmp_path / "finder.float16.tflite").symlink_to(parent)
    before = parent.read_bytes()
    with pytest.raises(OutputError, match="is the parent itself, which is never replaced"):
        optimize(parent, "float16", tmp_path, overwrite=True)
    assert parent.read_bytes() == before


def test_a_sidecar_from_before_is_left_and_warned_of(parent: Path, tmp_path: Path) -> None:
    """It may be somebody's own work, and it changes how the variant is read."""
    beside = tmp_path / "finder.float16.toml"
    beside.write_text('labels = ["mine"]\n')
    (made,) = optimize(parent, "float16", tmp_path, overwrite=True)
    assert beside.read_text() == 'labels = ["mine"]\n'
    assert any("finder.float16.toml was there before" in said for said in made.warnings)


def test_an_output_that_is_a_file_or_cannot_be_written_is_an_error(parent: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answers = {
        tmp_path / "file": "is a file; variants go to a folder",
        tmp_path / "file" / "inside": "cannot be written to",
        Path("/proc/nowhere"): "cannot be written to",
    }
    for output, answer in answers.items():
        with pytest.raises(OutputError, match=answer):
            optimize(parent, "float16", output)


def test_a_full_disk_leaves_neither_half_a_model_nor_its_sidecar(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = write_detector(tmp_path / "m.tflite", packed_sidecar=False)
    parent.with_suffix(".toml").write_text(SIDECAR)
    output = tmp_path / "out"
    real = Path.replace

    def full(self: Path, target: Path) -> Any:
        if target.parent == output and target.suffix == ".tflite":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="No space left on device"):
        optimize(parent, "float16", output)
    assert not output.exists()


def test_no_room_for_unfinished_work_is_an_error_that_names_the_place(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "unfinished" / "x"))

    monkeypatch.setattr(modelfile.Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"unfinished/x: cannot be written \(No space left on device\); make room"):
        optimize(parent, "float16", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_interrupt_leaves_nothing_behind(parent: Path, pictures: Path, tmp_path: Path) -> None:
    """Not even the folders that were made for it; one that was there before stays, empty or not."""
    (tmp_path / "mine").mkdir()

    def interrupt(what: str, done: int, _: int) -> None:
        if what == "calibrating" and done == 3:
            raise KeyboardInterrupt

    for output in (tmp_path / "out" / "deep", tmp_path / "mine"):
        with pytest.raises(KeyboardInterrupt):
            optimize(parent, "int8", output, calibration=pictures, tick=interrupt)
    assert not (tmp_path / "out").exists()
    assert names(tmp_path / "mine") == []


def test_the_real_face_detector_keeps_its_faces_as_int8(shared: Path, tmp_path: Path) -> None:
    """A network of a real product, from before 2020, on photographs."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for photograph in sorted((shared / "images" / "val2017").glob("*.jpg"))[:30]:
        shutil.copy(photograph, folder)
    parent = shared / "models" / "blazeface_front_float32.tflite"
    int8, dynamic = optimize(parent, ["int8", "dynamic"], tmp_path / "out", calibration=folder, pictures=20)
    assert int8.size_bytes < 0.45 * int8.parent_bytes
    assert max(output.relative for output in int8.comparison.outputs) < 0.3
    assert max(output.relative for output in dynamic.comparison.outputs) < 0.2
    depthwise = {
        one.dtype for one in weights(dynamic.path) if one.operator == "DEPTHWISE_CONV_2D" and len(one.shape) == 4
    }
    assert depthwise == {"float32"}
