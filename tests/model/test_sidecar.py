"""The sidecar is typed by hand, so every mistake in it gets an answer with file, key, value and what is allowed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.model.sidecar import Sidecar, load_sidecar, parse_sidecar, read_labels_file, sidecar_path

FULL = """
decoder = "ssd_anchors"
labels = ["person", "???", "car"]
class_offset = 1
color = "bgr"
mean = 127.5
std = [1, 2.5, 3]
fit = "letterbox-topleft"
fill = 114
anchors = "a.csv"
strides = [8, 16]
box_unit = "pixels"
[outputs]
boxes = "Squeeze"
scores = 1
"""


def test_every_key_is_read(tmp_path):
    """One example of each, as the documentation shows them."""
    (tmp_path / "a.csv").write_text("1,1,1,1\n")
    found = parse_sidecar(FULL, tmp_path / "m.toml")
    assert (found.decoder, found.color, found.fit) == ("ssd_anchors", "bgr", "letterbox-topleft")
    assert found.labels.names == ("person", None, "car")
    assert found.class_offset == 1
    assert (found.mean, found.std, found.fill) == ((127.5, 127.5, 127.5), (1, 2.5, 3), (114, 114, 114))
    assert found.anchors == tmp_path / "a.csv"
    assert (found.strides, found.box_unit) == ((8, 16), "pixels")
    assert found.outputs == {"boxes": "Squeeze", "scores": 1}


def test_an_empty_sidecar_says_nothing(tmp_path):
    """Each key may be left out."""
    path = tmp_path / "m.toml"
    assert parse_sidecar("", path) == Sidecar(path)


@pytest.mark.parametrize("name", ["detect.toml", "detect.tflite.toml"])
def test_it_is_found_beside_the_model_under_both_names(tmp_path, name):
    """People write either."""
    model = tmp_path / "detect.tflite"
    model.write_bytes(b"no zip")
    assert load_sidecar(model) is None
    (tmp_path / name).write_text('color = "bgr"')
    assert load_sidecar(model).color == "bgr"
    assert load_sidecar(model).path == tmp_path / name
    assert sidecar_path(model) == tmp_path / "detect.toml"


def test_two_sidecars_are_one_too_many(tmp_path):
    """Whichever was read, the other would be edited in vain."""
    for name in ("detect.toml", "detect.tflite.toml"):
        (tmp_path / name).write_text("")
    with pytest.raises(ConfigError, match=r"detect\.toml: there is detect\.tflite\.toml beside it.*remove one"):
        load_sidecar(tmp_path / "detect.tflite")


def test_labels_may_be_a_file_beside_the_sidecar(tmp_path):
    """A model folder can then be moved as a whole."""
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    assert parse_sidecar('labels = "names.txt"', tmp_path / "m.toml").labels.names == ("cat", "dog")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("decoder = ssd", r"m\.toml: is not TOML: .*; write lines as: decoder = \"ssd_postprocess\""),
        ("a" * 3 + " = " + "9" * 5000, "is not TOML"),
        ('colour = "rgb"', r"m\.toml: 'colour' is unknown; did you mean color\?"),
        ("zzz = 1", "'zzz' is unknown; known are decoder, labels, class_offset"),
        (
            'decoder = "yolo9"',
            'decoder = \'yolo9\' is not allowed; allowed is "ssd_postprocess" or "centernet_postprocess"',
        ),
        ("decoder = []", r"decoder = \[\] is not allowed"),
        ('color = "RGB"', 'color = \'RGB\' is not allowed; allowed is "rgb" or "bgr"'),
        ('fit = "crop"', 'fit = \'crop\' is not allowed; allowed is "stretch" or "letterbox"'),
        ("mean = 1", "std is missing; mean and std are only given together"),
        ("std = 1", "mean is missing"),
        ("mean = 1\nstd = 0", "std = 0 is not allowed; allowed is a number or a list of three, above 0"),
        ("mean = [1, 2]\nstd = 1", r"mean = \[1, 2\] is not allowed; allowed is a number or a list of three, below"),
        ("mean = nan\nstd = 1", "mean = nan is not allowed"),
        ("mean = true\nstd = 1", "mean = True is not allowed"),
        ("fill = 256", "fill = 256 is not allowed; allowed is a number or a list of three, from 0 to 255"),
        ('fill = "114"', "fill = '114' is not allowed"),
        ("class_offset = true", "class_offset = True is not allowed; allowed is a whole number"),
        ("class_offset = 1.0", r"class_offset = 1\.0 is not allowed"),
        ("class_offset = 1001", "class_offset = 1001 is not allowed"),
        ("labels = []", r"labels = \[\] is not allowed; allowed is a list of names, or a file name"),
        ("labels = [1]", r"labels = \[1\] is not allowed"),
        ("labels = 1", "labels = 1 is not allowed; allowed is a file name"),
        ('labels = "gone.txt"', r"labels = 'gone\.txt': there is no file .*gone\.txt; the name is relative"),
        ('anchors = ""', "anchors = '' is not allowed; allowed is a file name"),
        ("strides = 8", r"strides = 8 is not allowed; allowed is a list of whole numbers, in pixels, such as \[8\] or"),
        ("strides = []", r"strides = \[\] is not allowed"),
        ("strides = [8, 0]", r"strides = \[8, 0\] is not allowed"),
        ("strides = [true]", r"strides = \[True\] is not allowed"),
        ("strides = [1, 2, 3, 4, 5, 6, 7, 8, 9]", "strides = .* is not allowed"),
        ('box_unit = "px"', 'box_unit = \'px\' is not allowed; allowed is "pixels" or "normalized"'),
        ("outputs = 1", r"outputs = 1 is not allowed; allowed is a table: \[outputs\]"),
        ("[outputs]\nbox = 1", r"outputs\.box is unknown; did you mean boxes\?"),
        ("[outputs]\nboxes = 1.5", r"outputs\.boxes = 1\.5 is not allowed; allowed is the name of an output"),
        ("[outputs]\nboxes = true", r"outputs\.boxes = True is not allowed"),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(tmp_path, text, message):
    """The message is all the user has to go by."""
    with pytest.raises(ConfigError, match=message) as caught:
        parse_sidecar(text, tmp_path / "m.toml")
    assert str(caught.value).startswith(str(tmp_path / "m.toml"))
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    """--labels and the sidecar go the same way."""
    with pytest.raises(ConfigError, match=r"gone\.txt: cannot be read: No such file"):
        read_labels_file(tmp_path / "gone.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigError, match=r"binary\.txt: is not UTF-8 text"):
        read_labels_file(tmp_path / "binary.txt")
    (tmp_path / "large.txt").write_bytes(b"a" * (2 << 20))
    with pytest.raises(ConfigError, match=r"large\.txt: is larger than 1048576 bytes"):
        read_labels_file(tmp_path / "large.txt")
    with pytest.raises(ConfigError, match="Is a directory"):
        read_labels_file(Path(tmp_path))


def packed(folder, text):
    model = folder / "m.tflite"
    model.write_bytes(b"weights")
    with zipfile.ZipFile(model, "a") as archive:
        archive.writestr("edge-runtime.toml", text)
    return model


def test_a_sidecar_packed_in_the_model_is_read(tmp_path):
    """A model that carries its description cannot be separated from it."""
    found = load_sidecar(packed(tmp_path, 'decoder = "fcos"\nlabels = ["cat", "dog"]\nstrides = [8]'))
    assert (found.decoder, found.labels.names, found.strides) == ("fcos", ("cat", "dog"), (8,))
    assert found.path == tmp_path / "m.toml"
    assert found.origin("decoder") == "sidecar packed in the model"
    assert found.source("decoder") == f"{tmp_path / 'm.tflite'}: edge-runtime.toml packed in it"


def test_the_sidecar_beside_the_model_outweighs_the_packed_one_key_by_key(tmp_path):
    """One line corrects one line; the rest stays as it was packed."""
    model = packed(tmp_path, 'decoder = "fcos"\nmean = 1\nstd = 2\ncolor = "rgb"\n[outputs]\nboxes = 0')
    (tmp_path / "m.toml").write_text('color = "bgr"\nmean = 3\nstd = 4')
    found = load_sidecar(model)
    assert (found.decoder, found.color, found.mean, found.std) == ("fcos", "bgr", (3, 3, 3), (4, 4, 4))
    assert found.outputs == {"boxes": 0}
    assert [found.origin(key) for key in ("decoder", "outputs")] == ["sidecar packed in the model"] * 2
    assert [found.origin(key) for key in ("color", "mean", "std")] == ["sidecar m.toml"] * 3
    assert found.source("color") == str(tmp_path / "m.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'labels = "names.txt"',
            "labels = 'names.txt': a sidecar inside a model cannot name a file; pack a list of names",
        ),
        (
            'anchors = "a.csv"',
            "anchors = 'a.csv': a sidecar inside a model cannot name a file; write it into a sidecar",
        ),
        ("colour = 1", r"'colour' is unknown; did you mean color\?"),
        ("strides = ", "is not TOML"),
        ("#" + "x" * (1 << 20), "packed file edge-runtime.toml is larger than 1048576 bytes; pack it again"),
    ],
)
def test_a_mistake_in_a_packed_sidecar_is_one_of_the_model(tmp_path, text, message):
    """The user cannot edit it; the message says which file it is in."""
    (tmp_path / "names.txt").write_text("cat\n")
    (tmp_path / "a.csv").write_text("0,0,1,1\n")
    with pytest.raises(ModelError, match=message) as caught:
        load_sidecar(packed(tmp_path, text))
    assert str(caught.value).startswith(str(tmp_path / "m.tflite"))
    assert "\n" not in str(caught.value)
