"""Every way to get it wrong: one line, the thing named, the way out, the right exit code, no traceback."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.config import FIELDS
from tests.cli.program import ROOT, Done
from tests.factory.broken import BROKEN, write_broken
from tests.factory.models import write_classifier

Edge = Callable[..., Done]


def complaint(done: Done, code: int) -> str:
    """Return the one line of an error, after checking all that holds for every error."""
    assert done.code == code, done.err
    assert done.err.count("\n") == 1, done.err
    assert done.err.startswith("edge-runtime: error: ")
    assert "Errno" not in done.err
    assert ";" in done.err, "an error says what to do next"
    return done.err.removeprefix("edge-runtime: error: ").rstrip("\n")


def write_no_model(kind: str, path: Path) -> Path:
    """Write a file of this kind that somebody may take for a model."""
    if kind == "text":
        path.write_text("this is no model\n")
    elif kind == "picture":
        path.write_bytes(cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes())
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("weights", "none")
    elif kind == "folder":
        path.mkdir()
    elif kind == "classifier":
        write_classifier(path)
    else:
        write_broken(kind, path)
    return path


@pytest.mark.parametrize(
    ("kind", "code", "phrases"),
    [
        ("missing", 3, ["no such file", "give the path of a .tflite model"]),
        ("folder", 3, ["is a directory", "give the path of a .tflite model"]),
        ("text", 3, ["looks like a text file", "give a .tflite file"]),
        ("picture", 3, ["looks like a PNG picture", "--source"]),
        ("zip", 3, ["looks like a zip archive", "unpack it"]),
        ("empty", 3, ["is empty (0 bytes)", "download it again"]),
        ("truncated", 3, ["damaged or cut short", "download it again"]),
        ("bit-flipped", 3, ["damaged or cut short", "download it again"]),
        ("wrong-identifier", 3, ["is not a TFLite model"]),
        ("classifier", 3, ["looks like a classifier", "give a detector"]),
        ("unknown-custom-op", 3, ["fake-op-double", "convert it"]),
        ("two-inputs", 3, ["has 2 inputs", "image [1,32,32,3]", "export it"]),
        ("batch-of-two", 3, ["a batch of 2", "export it"]),
        ("dynamic-shape", 3, ["[1,-1,-1,3]", "export it with a fixed size"]),
        ("zero-sized", 3, ["[1,0,32,3]", "export it with a fixed size"]),
        ("edgetpu", 5, ["compiled for the Edge TPU", "libedgetpu.so.1", "--backend cpu"]),
    ],
)
def test_a_model_that_cannot_be_used(edge: Edge, tmp_path: Path, kind: str, code: int, phrases: list[str]) -> None:
    """The name, what it is instead, and what to do; the log file that was asked for is not made."""
    if kind != "missing":
        write_no_model(kind, tmp_path / "m.tflite")
    done = edge("--model", "m.tflite", "--source", "scene", "--max-frames", 1, "--log", "x.jsonl", "-q")
    said = complaint(done, code)
    assert all(phrase in said for phrase in phrases), said
    assert said.startswith("m.tflite: ")
    assert not (tmp_path / "x.jsonl").exists()


def test_an_edge_tpu_model_without_a_device_names_its_twin(edge: Edge, tmp_path: Path) -> None:
    """The file it was compiled from usually lies beside it, and runs."""
    write_broken("edgetpu", tmp_path / "cat_edgetpu.tflite")
    (tmp_path / "cat.tflite").touch()
    assert "--model cat.tflite" in complaint(edge("--model", "cat_edgetpu.tflite", "--source", "scene", "-q"), 5)


def test_every_kind_of_broken_model_is_asked_for() -> None:
    [mark] = [mark for mark in test_a_model_that_cannot_be_used.pytestmark if mark.name == "parametrize"]
    assert set(BROKEN) <= {row[0] for row in mark.args[1]}


@pytest.mark.parametrize(
    ("args", "code", "phrases"),
    [
        (("--model", "{edgetpu}", "--backend", "cpu"), 3, ["is compiled for the Edge TPU", "--backend edgetpu"]),
        (("--model", "{model}", "--backend", "edgetpu"), 2, ["is not compiled for the Edge TPU", "--backend cpu"]),
        (("--model", "{model}", "--backend", "gpu:/no/lib.so"), 5, ["/no/lib.so", "give the path"]),
        (("--model", "{model}", "--source", "none.mp4"), 2, ["'none.mp4' is no file", "picamera"]),
        (("--model", "{model}", "--source", "none*.png"), 2, ["no file fits the pattern 'none*.png'"]),
        (("--model", "{model}", "--source", "ftp://me:geheim@x/y"), 2, ["'ftp://x/y'", "unknown scheme"]),
        (("--model", "{model}", "--source", "no.jpg"), 4, ["picture no.jpg: damaged", "JPEG, PNG"]),
        (("--model", "{model}", "--source", "no.mp4"), 4, ["video no.mp4: not readable", "damaged"]),
        (("--model", "{model}", "--source", "folder"), 4, ["pictures folder: none found", "'shots/*.png'"]),
        (("--model", "{model}", "--source", "/dev/video99", "--exit-on-source-loss"), 4, ["/dev/video99: no such"]),
        (("--model", "{model}", "--source", "scene", "--classes", "persn"), 2, ["'persn' is unknown", "person?"]),
        (("--model", "{model}", "--source", "scene", "--labels", "none.txt"), 2, ["none.txt: cannot be read"]),
        (("--model", "{model}", "--source", "scene", "--labels", "folder"), 2, ["folder: cannot be read"]),
        (("--model", "{model}", "--source", "scene", "--labels", "{model}"), 2, ["is not UTF-8 text"]),
        (("--model", "{model}", "--source", "scene", "--labels", "two.txt"), 2, ["2 labels", "3 classes", "sidecar"]),
        (("--model", "{model}", "--source", "scene", "--log", "folder"), 6, ["folder: is a folder"]),
        (("--model", "{model}", "--source", "scene", "--log", "none/x"), 6, ["the folder none does not exist"]),
        (("--model", "{model}", "--source", "scene", "--telemetry", "none/x"), 6, ["the folder none does not"]),
        (("--model", "{model}", "--source", "scene", "--output", "none/x.mp4"), 6, ["the folder none does not"]),
        (("--model", "{model}", "--source", "scene", "--output", "x.gif"), 2, ["x.gif", ".mp4 or .avi"]),
        (("--model", "{model}", "--source", "scene", "--snapshots", "no.jpg"), 6, ["no.jpg: is a file"]),
        (("detect", "--model", "{model}", "no.jpg"), 4, ["picture no.jpg: damaged"]),
        (("detect", "--model", "{model}", "none.jpg"), 2, ["none.jpg: there is no such picture"]),
        (("detect", "--model", "{model}", "folder"), 2, ["folder: is a folder", "--source folder"]),
        (("detect", "--model", "{model}", "no.jpg", "--output", "x.mp4"), 2, ["x.mp4", ".jpg"]),
        (("detect", "--model", "{model}", "no.jpg", "--output", "none/x.jpg"), 6, ["the folder none does not"]),
        (("detect", "--model", "{model}", "no.jpg", "--output", "no.jpg", "--overwrite"), 2, ["the picture itself"]),
        (("bench", "--model", "{model}", "--num-runs", "0"), 2, ["--num-runs: '0' is not allowed", "from 1 to"]),
        (("bench", "--model", "{model}", "--source", "none"), 2, ["'none' is no file"]),
    ],
)
def test_a_wrong_argument(
    edge: Edge, model: Path, tmp_path: Path, args: tuple[str, ...], code: int, phrases: list[str]
) -> None:
    (tmp_path / "no.jpg").write_text("this is no picture")
    (tmp_path / "no.mp4").write_text("this is no video")
    (tmp_path / "two.txt").write_text("a\nb\n")
    (tmp_path / "folder").mkdir()
    edgetpu = str(write_broken("edgetpu", tmp_path / "m_tpu.tflite")) if "{edgetpu}" in args else ""
    done = edge(*(one.format(model=model, edgetpu=edgetpu) for one in args), "-q")
    said = complaint(done, code)
    assert all(phrase in said for phrase in phrases), said
    assert "geheim" not in done.err


def test_an_engine_that_is_not_installed_names_the_command(edge: Edge, model: Path) -> None:
    from importlib.util import find_spec

    engines = {"litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}
    absent = [name for name, package in engines.items() if find_spec(package) is None]
    if not absent:
        pytest.skip("both engines are installed")
    said = complaint(edge("--model", model, "--source", "scene", "--engine", absent[0], "-q"), 5)
    assert f"{absent[0]} is not installed" in said
    assert "pip install" in said


def test_a_camera_that_is_not_there_is_waited_for(edge: Edge, model: Path) -> None:
    """One warning, one state; not a line for every try (there are two tries in this time)."""
    done = edge("--model", model, "--source", "/dev/video99", "--duration", "1.2", "--log", "-", "-q")
    assert done.code == 0
    assert [(one["part"], one["to"]) for one in done.records] == [("camera", "lost")]
    assert done.err.count("\n") == 1
    assert "WARNING camera not there yet" in done.err


def test_a_picture_among_others_that_is_none_is_skipped(edge: Edge, model: Path, tmp_path: Path) -> None:
    """A folder of ten thousand pictures must not end at a damaged one; it is named."""
    (tmp_path / "p").mkdir()
    cv2.imwrite(str(tmp_path / "p" / "a.png"), np.zeros((40, 40, 3), np.uint8))
    (tmp_path / "p" / "b.png").write_text("this is no picture")
    done = edge("--model", model, "--source", "p", "-q")
    assert (done.code, len(done.records)) == (0, 1)
    assert "p/b.png" in done.err


WRONG = {
    "model": "", "labels": "", "source": " ", "size": "640", "fps": "0", "realtime": "maybe",
    "exit_on_source_loss": "maybe", "backend": "cpu:3", "engine": "tf", "num_threads": "0", "threshold": "1.5",
    "task": "segment", "isolation": "vm", "fallback": "gpu", "invoke_timeout": "0", "explain": "maybe",
    "iou": "nan", "max_detections": "0", "classes": ",", "headless": "maybe", "display": "maybe", "log": "",
    "output": "", "snapshots": "", "telemetry": "", "telemetry_interval": "-1", "append": "maybe",
    "overwrite": "maybe", "max_frames": "many", "duration": "inf",
    "storage_max_bytes": "2 GiG", "storage_max_bytes_per_day": "12", "storage_min_free_bytes": "-1",
    "storage_keep_days": "0", "storage_fsync": "often", "storage_flush_seconds": "-1",
}  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
def test_a_value_that_is_not_allowed_is_named_with_its_origin(edge: Edge, tmp_path: Path, name: str) -> None:
    """For every setting: as a flag, and where that takes no value, in the file."""
    value, flag = WRONG[name], f"--{name.replace('_', '-')}"
    (tmp_path / "edge.toml").write_text(f'{name} = "{value}"\n')
    args, origin = (
        (("--config", "edge.toml"), "file edge.toml") if value == "maybe" else ((flag, value), f"flag {flag}")
    )
    said = complaint(edge("config", *args), 2)
    assert said.startswith(f"{name}: {value!r} is not allowed (from {origin}); give ")


@pytest.mark.parametrize(
    ("variables", "phrases"),
    [
        ({"EDGE_RUNTIME_THRESHOLD": "2"}, ["threshold: '2'", "environment EDGE_RUNTIME_THRESHOLD", "0 to 1"]),
        ({"EDGE_RUNTIME_HEADLESS": "maybe"}, ["headless: 'maybe'", "true or false"]),
        ({"EDGE_RUNTIME_TRESHOLD": "0.4"}, ["EDGE_RUNTIME_TRESHOLD", "did you mean EDGE_RUNTIME_THRESHOLD"]),
        ({"EDGE_RUNTIME_STORAGE_KEEP_DAY": "4"}, ["did you mean EDGE_RUNTIME_STORAGE_KEEP_DAYS?"]),
        ({"EDGE_RUNTIME_CONFIG": "none.toml"}, ["config: none.toml does not exist", "give the path"]),
    ],
)
def test_a_wrong_variable(edge: Edge, variables: dict[str, str], phrases: list[str]) -> None:
    said = complaint(edge("config", variables=variables), 2)
    assert all(phrase in said for phrase in phrases), said


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        (b"treshold = 0.4\n", ["key 'treshold' is unknown", "did you mean threshold"]),
        (b"threshold = high\n", ["is not TOML", "line 1", "texts in quotes"]),
        (b"[run]\nthreshold = 0.4\n", ["[run] is a section"]),
        (b"[storage]\nkeep_day = 3\n", ["key 'keep_day' in [storage] is unknown", "did you mean keep_days?"]),
        (b"[storage]\nbogus = 3\n", ["key 'bogus' in [storage] is unknown; leave it out"]),
        (b"storage_bogus = 3\n", ["key 'storage_bogus' is unknown; leave it out"]),
        (b"storage_keep_day = 3\n", ["did you mean storage_keep_days?"]),
        (b"storage_keep_days = 3\n[storage]\nkeep-days = 4\n", ["storage_keep_days is set twice", "leave one out"]),
        (b"\xff\xfe", ["is no text in UTF-8", "give the path of a TOML file"]),
        (b"headless = true\ndisplay = true\n", ["headless and display", "leave one out"]),
    ],
)
def test_a_wrong_file_of_settings(edge: Edge, tmp_path: Path, text: bytes, phrases: list[str]) -> None:
    (tmp_path / "edge.toml").write_bytes(text)
    said = complaint(edge("config", "--config", "edge.toml"), 2)
    assert all(phrase in said for phrase in phrases), said


def test_a_folder_is_no_file_of_settings(edge: Edge) -> None:
    assert "config: . is a folder" in complaint(edge("config", "--config", "."), 2)


def test_verbose_shows_the_traceback_before_the_line(edge: Edge) -> None:
    done = edge("--model", "none.tflite", "--source", "scene", "-v")
    assert done.code == 3
    assert "Traceback (most recent call last)" in done.err
    assert done.err.splitlines()[-1].startswith("edge-runtime: error: none.tflite: no such file")


def test_a_traceback_tells_no_password(edge: Edge) -> None:
    done = edge("--model", "m.tflite", "rtsp://me:geheim@cam/live", "-v")
    assert (done.code, "Traceback" in done.err, "geheim" in done.err) == (2, True, False)


def test_a_defect_of_ours_is_70_with_all_that_a_report_needs(edge: Edge) -> None:
    code = (
        "import sys; from edge_runtime import cli; import edge_runtime.cli.config as one;"
        "one.execute = lambda args: {}['gone']; sys.exit(cli.run_command(['config']))"
    )
    done = edge("-c", code, program=[sys.executable])
    assert done.code == 70
    assert "Traceback (most recent call last)" in done.err
    assert done.err.splitlines()[-1].startswith("edge-runtime: error: KeyError: 'gone'; this is a defect of")


@pytest.mark.parametrize(("package", "remedy"), [("cv2", "opencv-python-headless"), ("numpy", "numpy")])
def test_a_package_that_does_not_load_is_named_with_the_command(
    edge: Edge, tmp_path: Path, package: str, remedy: str
) -> None:
    """The build of OpenCV that wants a desktop, on a board without one; a numpy for another machine."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / f"{package}.py").write_text(
        f'raise ImportError("\\n\\nlibGL.so.1: cannot open it\\nhttps://help.example", name="{package}")\n'
    )
    done = edge("--model", "m", "--source", "scene", variables={"PYTHONPATH": f"{tmp_path}/broken:{ROOT}"})
    said = complaint(done, 2)
    assert said.startswith(f"{package}: cannot be imported (libGL.so.1: cannot open it); run: python -m pip ")
    assert said.endswith(remedy)
