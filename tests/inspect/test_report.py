"""What is said of detectors, of models that are none, and how it looks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.bundled import bundled_model
from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.inspect.lines import WIDTH, amount, count, plain
from edge_runtime.inspect.memory import Memory
from edge_runtime.inspect.record import as_record
from edge_runtime.inspect.report import Inspection, inspect_model
from edge_runtime.inspect.text import as_text
from tests.factory.broken import BROKEN, NOT_A_MODEL, write_broken
from tests.factory.metadata import embedded_metadata
from tests.factory.models import (
    Scripted,
    write_classifier,
    write_model,
    write_postprocess_ssd,
    write_raw_ssd,
    write_ssd,
)


def looked_at(model: Path, **options: object) -> Inspection:
    return inspect_model(model, measure=None, **options)  # type: ignore[arg-type]


def with_outputs(folder: Path, *shapes: Sequence[int]) -> Path:
    outputs = [Scripted(f"out_{number}", np.zeros(shape, np.float32)) for number, shape in enumerate(shapes)]
    return write_model(folder / "m.tflite", input_shape=(1, 64, 64, 3), outputs=outputs)


def test_a_detector_is_told_with_its_family_and_why(tmp_path: Path) -> None:
    model = write_postprocess_ssd(
        tmp_path / "m.tflite", num_classes=2, metadata=embedded_metadata(), packed={"labelmap.txt": "cat\ndog"}
    )
    found = looked_at(model)
    assert (found.decoding.kind, found.decoding.task, found.decoding.problem) == ("a detector", "detect", None)
    assert [(one.name, one.confidence) for one in found.decoding.matches] == [("ssd_postprocess", 1.0)]
    text = " ".join(as_text(found).split())
    parts = ("100%", "operator TFLite_Detection_PostProcess", "2: cat, dog", "labelmap.txt", "pixels as they are")
    for part in (*parts, "run it edge-runtime --model"):
        assert part in text, part


def test_a_classifier_is_named_as_such_with_the_way_to_run_it(tmp_path: Path) -> None:
    """Given as a detector it would only be refused; here the user learns what it is."""
    found = looked_at(write_classifier(tmp_path / "m.tflite"))
    assert (found.decoding.kind, found.decoding.task) == ("a classifier", "classify")
    text = " ".join(as_text(found).split())
    assert "m.tflite: a classifier" in text
    assert "not a detector: it finds no boxes" in text
    assert "--task classify" in text


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((1, 64, 64, 21), "a segmentation model"), ((1, 1, 17, 3), "a pose model"), ((1, 56, 84), "pose model")],
)
def test_a_model_for_something_else_is_named_as_such(tmp_path: Path, shape: tuple[int, ...], kind: str) -> None:
    found = looked_at(with_outputs(tmp_path, shape))
    assert kind in found.decoding.kind
    assert found.decoding.spec is None
    assert found.decoding.problem
    assert found.macs.total == 0


def test_two_families_that_fit_are_both_listed_with_the_line_that_decides(tmp_path: Path) -> None:
    """Cells of a grid, or anchors: 84 rows may be either."""
    encodings, scores = np.zeros((84, 4), np.float32), np.zeros((84, 3), np.float32)
    model = write_raw_ssd(
        tmp_path / "m.tflite", encodings, scores, anchors=np.ones((84, 4)), input_shape=(1, 64, 64, 3)
    )
    found = looked_at(model)
    assert (found.decoding.kind, found.decoding.spec) == ("a detector", None)
    text = " ".join(as_text(found).split())
    for name in ("fcos", "ssd_anchors"):
        assert f'decoder = "{name}"' in text
        assert name in {one.name for one in found.decoding.matches if one.reasons}


def test_a_model_with_states_is_a_detector_that_is_not_run(shared: Path) -> None:
    found = looked_at(shared / "models" / "traffic_model.tflite")
    assert (found.decoding.kind, found.decoding.spec) == ("a detector", None)
    assert "has 3 inputs" in (found.decoding.problem or "")


@pytest.mark.parametrize("kind", NOT_A_MODEL)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ModelError, match=r"m\.tflite"):
        looked_at(write_broken(kind, tmp_path / "m.tflite"))


def test_a_sidecar_that_is_wrong_is_an_error(tmp_path: Path) -> None:
    """Ignored, it would be a report on another model than the one that runs."""
    model = write_ssd(tmp_path / "m.tflite")
    (tmp_path / "m.toml").write_text('decoder = "yolo"\n')
    with pytest.raises(ConfigError, match=r"m\.toml"):
        looked_at(model)


def test_labels_of_the_user_are_named_as_the_origin(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("cat\ndog\n")
    found = looked_at(write_ssd(tmp_path / "m.tflite"), labels_file=tmp_path / "own.txt")
    assert "--labels own.txt" in as_text(found)


def test_measured_and_computed_are_told_apart(tmp_path: Path) -> None:
    model = write_ssd(tmp_path / "m.tflite")
    text = as_text(inspect_model(model, measure=lambda _: Memory("litert 2.3.0", 5_000_000, 20_000_000)))
    assert "5.0 MB (measured with the plain kernels of litert 2.3.0)" in text
    assert "(computed)" in text

    def fails(path: Path) -> Memory:
        raise ModelError(f"{path}: crashes the engine")

    assert "not measured: crashes the engine" in as_text(inspect_model(model, measure=fails))


def test_an_edge_tpu_model_is_not_opened_on_the_cpu(tmp_path: Path) -> None:
    def never(path: Path) -> Memory:
        raise AssertionError(f"{path} was opened")

    found = inspect_model(write_broken("edgetpu", tmp_path / "m.tflite"), measure=never)
    assert "compiled for it; it runs all" in as_text(found)


@pytest.mark.parametrize("kind", sorted(set(BROKEN) - set(NOT_A_MODEL)))
def test_what_cannot_run_can_still_be_inspected(tmp_path: Path, kind: str) -> None:
    """That is when somebody wants to know."""
    found = looked_at(write_broken(kind, tmp_path / "m.tflite"))
    assert as_text(found).startswith("m.tflite: ")
    json.dumps(as_record(found))


def lines_of(found: Inspection) -> list[str]:
    return as_text(found).splitlines()


def test_it_fits_80_columns_whatever_names_there_are(tmp_path: Path) -> None:
    model = write_ssd(
        tmp_path / "m.tflite", input_name="x" * 200,
        names={"boxes": "b" * 31, "classes": "a/" * 60, "scores": "evil\x1b[2J\n", "count": ""},
    )  # fmt: skip
    lines = lines_of(looked_at(model))
    assert max(map(len, lines)) <= WIDTH
    assert all(line.isprintable() and line == line.rstrip() for line in lines)


def test_real_models_fit_80_columns_too(shared: Path) -> None:
    for model in sorted((shared / "models").rglob("*.tflite")):
        lines = lines_of(looked_at(model))
        # A path or a checksum is never torn; all else is wrapped.
        assert all(len(line) <= WIDTH or "/" in line for line in lines), model.name


def test_the_record_has_every_field_with_its_origin() -> None:
    found = looked_at(bundled_model())
    record = json.loads(json.dumps(as_record(found)))
    assert record["spec"]["labels"] == {
        "value": ["circle", "square", "triangle", "star", "hexagon", "cross"],
        "from": "sidecar packed in the model",
    }
    assert all(field["from"] for field in record["spec"].values())
    assert record["inputs"][0]["quantization"]["zero_point"] == -128
    assert record["edgetpu"] == {"is_compiled": False, "operators": 36, "taken": 36, "mapped": 36}
    assert record["cost"]["macs"] == sum(one["macs"] or 0 for one in record["operators"])
    assert record["cost"]["activations_bytes_computed"] > 0
    assert record["cost"]["arena_bytes_measured"] is None
    assert len(record["sha256"]) == 64


def test_every_tensor_is_listed_where_that_is_asked_for() -> None:
    """Whoever looks for the layer that lost its range needs all of them."""
    found = looked_at(bundled_model())
    text = as_text(found, has_tensors=True)
    assert f"tensors ({len(found.graph.tensors)})" in text
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "16 scales, const" in " ".join(text.split()), "per channel"
    rows = as_record(found, has_tensors=True)["tensors"]
    assert len(rows) == len(found.graph.tensors)
    assert rows[found.graph.inputs[0]]["quantization"] == {"scale": pytest.approx(1 / 255), "zero_point": -128}
    assert "tensors" not in as_record(found)


def test_amounts_are_written_as_people_say_them() -> None:
    assert [amount(one) for one in (12, 4_200, 1_500_000, 2.5e9)] == ["12 bytes", "4.2 kB", "1.5 MB", "2.5 GB"]
    assert [count(one) for one in (12, 4_200, 1_500_000, 2.5e9)] == ["12", "4.2 k", "1.5 M", "2.5 G"]
    assert plain("a\x1b[31m\nb") == "a?[31m?b"
