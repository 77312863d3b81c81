"""The whole comparison, on tiny models, and what it keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.compare import accuracy, measure
from edge_runtime.compare.accuracy import Pictures, coco_pictures, losses, scene_pictures
from edge_runtime.compare.measure import open_bench, state_beside
from edge_runtime.compare.run import LAST, compare, notes
from edge_runtime.compare.state import FILE_NAME, read_entries
from edge_runtime.compare.variants import models_in, order_variants
from edge_runtime.errors import ModelError
from tests.compare.made import row, write_family

pytest.importorskip("pycocotools", reason="accuracy needs the extra evaluate")
pytest.importorskip("zstandard", reason="sizes need the extra evaluate")


def silent(_what: str, _done: int, _total: int) -> None:
    """Take word of a step."""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "ROUNDS", 1)


@pytest.mark.usefixtures("quick")
def test_a_family_with_strangers_is_compared_as_far_as_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not load and one that is no detector are rows with reasons; a second run measures nothing."""
    folder = write_family(tmp_path / "models")
    variants = order_variants(models_in(folder))
    bench = open_bench(state_beside(folder, is_fresh=False), "auto", silent)
    found = compare(bench, variants, pictures=scene_pictures(3), num_runs=2)
    rows = {one.name: one for one in found.rows}
    assert list(rows) == ["parent", "int8", "other", "torn"]
    assert rows["parent"].map is not None
    assert rows["int8"].drop == pytest.approx(rows["parent"].map - rows["int8"].map)
    assert rows["other"].is_measured
    assert "classifier" in rows["other"].reason
    assert not rows["torn"].is_measured
    assert "torn" in rows["torn"].reason
    assert all(one.zstd_bytes for one in found.rows)
    assert read_entries(folder / FILE_NAME)[LAST]["board"] == found.board

    asked: list[str] = []
    monkeypatch.setattr(measure, "ask", lambda _task, model, **_: asked.append(model.name) or {})
    monkeypatch.setattr(accuracy, "_evaluate", lambda _bench, variant, *_: asked.append(variant.name))
    again = compare(bench, variants[:2], pictures=scene_pictures(3), num_runs=2)
    assert asked == []
    assert [one.map for one in again.rows] == [rows["parent"].map, rows["int8"].map]


@pytest.mark.usefixtures("quick")
def test_without_accuracy_outputs_are_compared(tmp_path: Path) -> None:
    """A model that nothing here decodes can still be compared."""
    folder = write_family(tmp_path / "models")
    (folder / "finder.torn.tflite").unlink()
    bench = open_bench(state_beside(folder, is_fresh=False), "auto", silent)
    found = compare(bench, order_variants(models_in(folder)), pictures=None, num_runs=1)
    rows = {one.name: one for one in found.rows}
    assert found.dataset is None
    assert rows["parent"].output_error is None
    assert rows["int8"].output_error is not None
    assert 0 < rows["int8"].output_error < 1
    assert "cannot be compared" in rows["other"].reason


@pytest.mark.usefixtures("quick")
def test_a_folder_in_which_nothing_runs_is_an_error(tmp_path: Path) -> None:
    for name in ("m.tflite", "m.int8.tflite"):
        (tmp_path / name).write_bytes(b"nothing")
    bench = open_bench(state_beside(tmp_path, is_fresh=False), "auto", silent)
    with pytest.raises(ModelError, match=r"none of the 2 models runs here; m\.tflite: "):
        compare(bench, order_variants(models_in(tmp_path)), pictures=None, num_runs=1)


def test_losses_need_the_parent(tmp_path: Path) -> None:
    """Without its accuracy nobody knows what the others lose."""
    folder = write_family(tmp_path / "models")
    variants = {one.name: one for one in order_variants(models_in(folder))}
    bench = open_bench(state_beside(folder, is_fresh=False), "auto", silent)
    known, reasons = losses(bench, [variants["int8"]], scene_pictures(2), parent=variants["parent"])
    assert known["parent"] == 0
    assert known["int8"] is not None
    assert reasons == {}
    unknown, reasons = losses(bench, [variants["int8"]], scene_pictures(2), parent=variants["other"])
    assert unknown == {"other": None, "int8": None}
    assert list(reasons) == ["other accuracy"]


def test_accuracy_is_measured_anew_when_what_lies_beside_the_model_changes(tmp_path: Path) -> None:
    """A sidecar changes what a model finds as much as its weights do."""
    folder = write_family(tmp_path / "models")
    variants = order_variants(models_in(folder))[:1]
    said: list[tuple[str, int, int]] = []
    bench = open_bench(state_beside(folder, is_fresh=False), "auto", lambda *step: said.append(step))
    for expected in (True, False):
        said.clear()
        losses(bench, variants, scene_pictures(2), parent=variants[0])
        assert bool(said) == expected
    (folder / "finder.toml").write_text('color = "bgr"\n')
    said.clear()
    losses(bench, variants, scene_pictures(2), parent=variants[0])
    assert said


def test_pictures_are_known_by_their_content(tmp_path: Path) -> None:
    import json

    import cv2
    import numpy as np

    def key(side: int, label: str = "circle") -> Pictures:
        cv2.imwrite(str(tmp_path / "1.png"), np.zeros((30, 40, 3), np.uint8) + side)
        table = {
            "images": [{"id": 1, "file_name": "1.png", "width": 40, "height": 30}],
            "categories": [{"id": 1, "name": label}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "area": 25, "iscrowd": 0}],
        }
        (tmp_path / "coco.json").write_text(json.dumps(table))
        return coco_pictures(tmp_path, tmp_path / "coco.json")

    first = key(0)
    assert key(0).key == first.key
    assert key(0, "cross").key != first.key
    assert first.name == "1 picture of coco.json"
    assert scene_pictures(3).key != scene_pictures(4).key


def test_notes_warn_of_figures_that_should_not_be_believed() -> None:
    assert notes([row("parent")], ()) == []
    noisy, hot, blind = notes([row("parent", spread=1.5, map=0.0)], ("under_voltage",))
    assert "Times of parent" in noisy
    assert "under voltage" in hot
    assert "drops mean nothing" in blind


def test_a_busy_board_is_told_without_the_name_of_every_model() -> None:
    """Seventeen names in a line are read by nobody."""
    busy = [row(name, spread=1.5) for name in ("parent", "int8", "float16")]
    assert notes(busy, ())[0].startswith("Times of all 3 models differ")
    assert notes([*busy[:2], row("float16")], ())[0].startswith("Times of parent, int8 differ")
