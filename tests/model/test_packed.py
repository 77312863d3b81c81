"""Files packed behind a model: found where they are, bounded where they are hostile."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from edge_runtime.errors import ModelError
from edge_runtime.model.packed import MAX_LABELS_BYTES, Ultralytics, read_packed_text, read_ultralytics

WEIGHTS = b"\x1c\0\0\0TFL3" + b"\1" * 500


def model_with(folder, files, compression=zipfile.ZIP_DEFLATED):
    path = folder / "m.tflite"
    path.write_bytes(WEIGHTS)
    with zipfile.ZipFile(path, "a", compression) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def test_the_first_file_of_the_list_that_is_there_is_read(tmp_path):
    """The metadata may name several label files, for several languages."""
    path = model_with(tmp_path, {"b.txt": "person\ncar\n", "c.txt": "no"})
    assert read_packed_text(path, ["a.txt", "b.txt", "c.txt"]) == ("b.txt", "person\ncar\n")
    assert read_packed_text(path, ["a.txt"]) is None


def test_a_model_without_a_zip_has_no_packed_files(tmp_path):
    """Most models have none; the mark of a zip can also stand in the weights by chance."""
    path = tmp_path / "m.tflite"
    for content in (WEIGHTS, WEIGHTS + b"PK\x05\x06" + b"\1" * 40):
        path.write_bytes(content)
        assert read_packed_text(path, ["a.txt"]) is None
        assert read_ultralytics(path) is None
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        read_ultralytics(tmp_path / "gone.tflite")


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    """A few kilobytes can unpack to more memory than a board has."""
    path = model_with(tmp_path, {"labels.txt": b"\0" * (MAX_LABELS_BYTES + 1)})
    assert path.stat().st_size < 10_000
    with pytest.raises(ModelError, match=f"labels.txt is larger than {MAX_LABELS_BYTES} bytes; give the labels"):
        read_packed_text(path, ["labels.txt"])


def test_thousands_of_packed_files_are_refused(tmp_path):
    """No model has them; listing them costs time and memory."""
    path = model_with(tmp_path, {f"{number}.txt": "" for number in range(1001)}, zipfile.ZIP_STORED)
    with pytest.raises(ModelError, match="1001 files are packed behind it, allowed are 1000"):
        read_packed_text(path, ["1.txt"])


def test_packed_labels_that_are_no_text_are_refused(tmp_path):
    """Names would otherwise come out as marks in every message and drawing."""
    path = model_with(tmp_path, {"labels.txt": b"\xff\xfe\0"})
    with pytest.raises(ModelError, match=r"labels\.txt is not UTF-8 text"):
        read_packed_text(path, ["labels.txt"])


def test_a_damaged_packed_file_is_a_model_error(tmp_path):
    """The checksum in the zip notices what the engine does not."""
    path = model_with(tmp_path, {"labels.txt": "person\ncar\n"}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"person", b"parson", 1))
    with pytest.raises(ModelError, match="a file packed behind it is damaged"):
        read_packed_text(path, ["labels.txt"])


def test_an_encrypted_file_is_a_model_error(tmp_path):
    """Python raises RuntimeError for it."""
    path = model_with(tmp_path, {"labels.txt": "person"}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flags in both headers
        data[data.index(mark) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="encrypted"):
        read_packed_text(path, ["labels.txt"])


@pytest.mark.parametrize("name", ["temp_meta.txt", "metadata.json"])
def test_the_dictionary_of_ultralytics_is_read_in_both_forms(tmp_path, name):
    """Older exports write Python, newer ones JSON, whose keys are text."""
    found = {"task": "detect", "stride": 32, "imgsz": [320, 416], "names": {0: "cat", 2: "dog"}, "args": {"int8": True}}
    text = json.dumps(found) if name.endswith("json") else repr(found)
    assert read_ultralytics(model_with(tmp_path, {name: text})) == Ultralytics(
        names=("cat", None, "dog"), task="detect", stride=32, imgsz=(320, 416)
    )


def test_a_dictionary_may_leave_things_out_or_list_its_names(tmp_path):
    """Exports differ by version."""
    path = model_with(tmp_path, {"temp_meta.txt": "{'names': ['cat', 'dog'], 'imgsz': 320, 'stride': '32', 'task': 1}"})
    assert read_ultralytics(path) == Ultralytics(("cat", "dog"), None, None, None)
    assert read_ultralytics(model_with(tmp_path, {"temp_meta.txt": "{}"})) == Ultralytics((), None, None, None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("temp_meta.txt", "__import__('os').getcwd()"),
        ("temp_meta.txt", "{'names': "),
        ("temp_meta.txt", "[1, 2]"),
        ("temp_meta.txt", "(" * 5000),
        ("temp_meta.txt", "-" * 100_000 + "1"),
        ("temp_meta.txt", "{'names': 7}"),
        ("temp_meta.txt", "{'names': {'a': 'cat'}}"),
        ("temp_meta.txt", "{'names': {-1: 'cat'}}"),
        ("temp_meta.txt", "{'names': {100000: 'cat'}}"),
        ("temp_meta.txt", "#" + "x" * (1 << 18)),
        ("metadata.json", "{'names': {}}"),
        ("metadata.json", "[" * 100_000),
    ],
)
def test_a_dictionary_that_is_none_is_a_model_error(tmp_path, name, text):
    """The text comes from a stranger: it is never run, and cannot exhaust the parser."""
    path = model_with(tmp_path, {name: text})
    with pytest.raises(ModelError, match=r"m\.tflite: packed file .*; give the labels with --labels$"):
        read_ultralytics(path)


def test_the_packed_files_of_the_real_models_are_read(shared):
    """One of Google's form, one of Ultralytics'."""
    models = shared / "models"
    name, text = read_packed_text(models / "ssd_mobilenet_v1_coco_quant_metadata.tflite", ["labelmap.txt"])
    assert name == "labelmap.txt"
    assert len(io.StringIO(text).readlines()) == 90
    found = read_ultralytics(models / "agpl-3.0" / "yolo11n_full_integer_quant_416.tflite")
    assert len(found.names) == 80
    assert (found.names[0], found.names[79]) == ("person", "toothbrush")
    assert (found.task, found.stride, found.imgsz) == ("detect", 32, (416, 416))
    assert read_ultralytics(models / "ssd_mobilenet_v1_coco_quant_metadata.tflite") is None
