"""``edge-runtime inspect``: the account on stdout, the sidecar on request, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.program import LABELS, Done
from tests.factory.broken import write_broken
from tests.factory.models import write_classifier

Edge = Callable[..., Done]


def test_the_account_names_kind_family_labels_and_cost(edge: Edge, model: Path) -> None:
    done = edge("inspect", model)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("finder.tflite: a detector\n")
    for part in ("ssd_postprocess", f"{len(LABELS)}: person", "Edge TPU", "MACs", "(measured with"):
        assert part in done.out, part


def test_json_is_one_object(edge: Edge, model: Path) -> None:
    done = edge("inspect", model, "--json", "--no-measure")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    assert (found["schema"], found["kind"], found["spec"]["decoder"]["value"]) == (1, "a detector", "ssd_postprocess")
    assert found["cost"]["not_measured"] == "not asked for"


def test_a_model_that_is_no_detector_is_inspected_all_the_same(edge: Edge, tmp_path: Path) -> None:
    """A script that sorts models must not take it for a broken one."""
    write_classifier(tmp_path / "names.tflite")
    done = edge("inspect", "names.tflite")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("names.tflite: a classifier\n")


@pytest.mark.parametrize("kind", ["truncated", "empty", "wrong-identifier"])
def test_a_damaged_model_is_exit_code_3_and_one_line(edge: Edge, tmp_path: Path, kind: str) -> None:
    write_broken(kind, tmp_path / "bad.tflite")
    done = edge("inspect", "bad.tflite", "--write-sidecar")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("edge-runtime: error: bad.tflite: ")
    assert done.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["bad.tflite"]


@pytest.mark.parametrize(
    ("args", "code", "answer"),
    [
        ((), 2, "MODEL: is missing"),
        (("none.tflite",), 3, "none.tflite: no such file"),
        (("yolox-nano-416-float16",), 3, "edge-runtime models pull yolox-nano-416-float16"),
        (("a.tflite", "b.tflite"), 2, "'b.tflite': is one argument too many"),
        (("a.tflite", "--labels", "none.txt"), 2, "none.txt"),
        (("a.tflite", "--write-sidecar", "b.tflite"), 2, "b.tflite is a model; give the name of a .toml file"),
        (("a.tflite", "--write-sidecar", "none/a.toml"), 6, "the folder none does not exist"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    edge: Edge, model: Path, tmp_path: Path, args: tuple[str, ...], code: int, answer: str
) -> None:
    (tmp_path / "a.tflite").write_bytes(model.read_bytes())
    done = edge("inspect", *args, variables={"XDG_DATA_HOME": str(tmp_path / "data")})
    assert (done.code, done.out) == (code, "")
    assert answer in done.err
    assert done.err.count("\n") == 1


def test_the_sidecar_is_written_once_and_then_kept(edge: Edge, model: Path, tmp_path: Path) -> None:
    """Whoever has corrected it by hand must not lose that."""
    (tmp_path / "a.tflite").write_bytes(model.read_bytes())
    done = edge("inspect", "--write-sidecar", "a.tflite", "--no-measure")
    assert (done.code, done.err) == (0, "sidecar written: a.toml\n")
    (tmp_path / "a.toml").write_text((tmp_path / "a.toml").read_text().replace('"rgb"', '"bgr"'))
    again = edge("inspect", "a.tflite", "--no-measure", "--write-sidecar")
    assert (again.code, again.out) == (6, "")
    assert "a.toml: exists; add --overwrite" in again.err
    assert 'color = "bgr"' in (tmp_path / "a.toml").read_text()
    replaced = edge("inspect", "a.tflite", "--no-measure", "--write-sidecar", "--overwrite", "--json")
    assert replaced.code == 0
    assert json.loads(replaced.out)["spec"]["color"] == {"value": "bgr", "from": "sidecar a.toml"}
    assert 'color = "bgr"' in (tmp_path / "a.toml").read_text(), "what it said is what is found"


def test_a_model_with_its_written_sidecar_finds_the_same(
    edge: Edge, model: Path, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.tflite").write_bytes(model.read_bytes())
    picture = next(pictures.glob("*.png"))
    before = edge("detect", "--model", "a.tflite", picture, "--json").records[0]["detections"]
    assert edge("inspect", "a.tflite", "--write-sidecar", "a.toml", "--no-measure").code == 0
    after = edge("detect", "--model", "a.tflite", picture, "--json").records[0]["detections"]
    assert len(before) == 2
    assert before == after


def test_no_sidecar_is_written_of_what_is_not_understood(edge: Edge, tmp_path: Path) -> None:
    write_broken("two-inputs", tmp_path / "m.tflite")
    done = edge("inspect", "m.tflite", "--write-sidecar", "--no-measure")
    assert done.code == 3
    assert "no sidecar is written, for has 2 inputs" in done.err
    assert done.out.startswith("m.tflite: ")
    assert not (tmp_path / "m.toml").exists()
