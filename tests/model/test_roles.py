"""Which output is what, by the weightiest source that says so."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import ConfigError, ModelError
from edge_runtime.model.flatbuffer import ModelFile, TensorInfo
from edge_runtime.model.metadata import Metadata, TensorMetadata
from edge_runtime.model.ranking import choose_family
from edge_runtime.model.roles import OutputFacts, choose_roles
from edge_runtime.model.sidecar import Sidecar

SHAPES = {"boxes": (1, 10, 4), "classes": (1, 10), "scores": (1, 10), "count": (1,)}
PATH = Path("m.tflite")
SIDECAR = Path("m.toml")
FLOAT = np.dtype("float32")


def tensor(shape, name="", signature_name=None):
    return TensorInfo(name, shape, shape, FLOAT, None, signature_name)


def facts(tensors, *, wired=None, metadata_names=None, file_tensors=None, size_wh=(300, 300), **sidecar):
    file = ModelFile(
        PATH, 1, "", (), tuple(tensors if file_tensors is None else file_tensors), (), (), detection_outputs=wired or {}
    )
    metadata = None
    if metadata_names:
        outputs = tuple(TensorMetadata(name) for name in metadata_names)
        metadata = Metadata("", "", "", "", "", (), outputs, ())
    return OutputFacts(tensors, file, metadata, Sidecar(SIDECAR, **sidecar) if sidecar else None, size_wh)


def ssd(names=("", "", "", ""), signature_names=(None,) * 4):
    return [tensor(shape, *told) for shape, *told in zip(SHAPES.values(), names, signature_names, strict=True)]


RIGHT = {"boxes": 0, "classes": 1, "scores": 2, "count": 3}
SWAPPED = {"boxes": 0, "classes": 2, "scores": 1, "count": 3}
TF1 = ("TFLite_Detection_PostProcess", "TFLite_Detection_PostProcess:1", "TFLite_Detection_PostProcess:2",
       "TFLite_Detection_PostProcess:3")  # fmt: skip
TF1_SWAPPED = (TF1[0], TF1[2], TF1[1], TF1[3])
TF2_SIGNATURE = ("output_3", "output_2", "output_1", "output_0")


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_the_order_of_the_outputs_does_not_matter(order):
    """Three exporters, three orders."""
    tensors = ssd(TF1)
    given = facts([tensors[index] for index in order])
    assert choose_family(given) == ("ssd_postprocess", "tensor shapes")
    assert choose_roles("ssd_postprocess", given) == (
        {role: order.index(i) for role, i in RIGHT.items()},
        "tensor names",
    )


def test_what_nothing_tells_apart_is_left_to_the_decoder():
    """Classes are whole numbers, scores are not: at run time the values say it."""
    roles, origin = choose_roles("ssd_postprocess", facts(ssd()))
    assert roles == {"boxes": 0, "count": 3}
    assert origin == "tensor shapes"


@pytest.mark.parametrize(
    ("given", "roles", "origin"),
    [
        (facts(ssd(TF1_SWAPPED, TF2_SIGNATURE)), RIGHT, "tensor signature"),
        (facts(ssd(TF1_SWAPPED), metadata_names=("location", "category", "score", "n")), RIGHT, "embedded metadata"),
        (facts(ssd(TF1, TF2_SIGNATURE), wired=SWAPPED), SWAPPED, "operator TFLite_Detection_PostProcess"),
        (facts(ssd(TF1, TF2_SIGNATURE), wired=RIGHT, outputs={"scores": 1}), SWAPPED, "sidecar m.toml"),
        (facts(ssd(TF1_SWAPPED), metadata_names=("a", "b")), SWAPPED, "tensor names"),
        (facts(ssd(("", "", "my_score", ""))), RIGHT, "tensor names"),
        # A source that contradicts the shapes is not believed, in no part.
        (facts(ssd(TF1, ("boxes", "num", "scores", "classes"))), RIGHT, "tensor names"),
    ],
)
def test_the_weightiest_source_that_can_be_true_decides(given, roles, origin):
    """Names are copied from model to model; what is wired is not."""
    assert choose_roles("ssd_postprocess", given) == (roles, origin)


def test_two_sources_may_complete_each_other():
    """A signature with one telling name, and tensor names for the rest."""
    tensors = [tensor((1, 6, 4), "raw_outputs/box_encodings"), tensor((1, 6, 4), "other")]
    assert choose_roles("ssd_anchors", facts(tensors)) == ({"boxes": 0, "scores": 1}, "tensor names")


def test_the_signature_is_taken_from_the_file_where_the_engine_does_not_tell_it():
    """tflite-runtime names the signature's outputs without saying which tensors they are."""
    given = facts(ssd(("a", "b", "c", "d")), file_tensors=ssd(("a", "b", "c", "d"), TF2_SIGNATURE))
    assert choose_roles("ssd_postprocess", given) == (RIGHT, "tensor signature")
    other = facts(ssd(("a", "b", "c", "d")), file_tensors=ssd(("e", "f", "g", "h"), TF2_SIGNATURE))
    assert choose_roles("ssd_postprocess", other)[0] == {"boxes": 0, "count": 3}


def test_raw_outputs_of_the_same_shape_need_a_name():
    """With three classes, scores [1,N,4] look like boxes; guessing would draw nonsense."""
    given = facts([tensor((1, 6, 4), "a"), tensor((1, 6, 4), "b")])
    with pytest.raises(ModelError, match=r"nothing tells which are boxes and scores; write in m\.toml: \[outputs\]"):
        choose_roles("ssd_anchors", given)
    named = facts([tensor((1, 6, 4), "a"), tensor((1, 6, 4), "b")], outputs={"boxes": "b"})
    assert choose_family(named) == ("ssd_anchors", "tensor shapes")
    assert choose_roles("ssd_anchors", named) == ({"boxes": 1, "scores": 0}, "sidecar m.toml")


def test_an_operator_of_another_family_tells_nothing():
    """A sidecar may choose the raw outputs of a model that also has the operator."""
    given = facts([tensor((1, 6, 4), "boxes"), tensor((1, 6, 91))], wired=RIGHT, decoder="ssd_anchors")
    assert choose_roles("ssd_anchors", given) == ({"boxes": 0, "scores": 1}, "tensor shapes")


def test_outputs_named_for_one_family_are_no_mistake_in_another():
    """Both families have scores, of different shapes."""
    given = facts([tensor((1, 6, 91), "s"), tensor((1, 6, 4), "b")], outputs={"boxes": "b", "scores": "s"})
    assert choose_family(given) == ("ssd_anchors", "tensor shapes")
    odd = facts([tensor((1, 5), "s")], outputs={"scores": "s"})
    with pytest.raises(ModelError, match="looks like a classifier"):
        choose_family(odd)


def test_more_outputs_than_the_family_has_need_every_role_named():
    """Some exports add the raw heads or the indices of the anchors."""
    tensors = [tensor((1, 8), "extra"), *ssd(("b", "c", "s", "n"))]
    with pytest.raises(ModelError, match="no decoder fits outputs"):
        choose_family(facts(tensors))
    wired = {role: index + 1 for role, index in RIGHT.items()}
    assert choose_family(facts(tensors, wired=wired)) == ("ssd_postprocess", "tensor shapes")
    operator = "operator TFLite_Detection_PostProcess"
    assert choose_roles("ssd_postprocess", facts(tensors, wired=wired)) == (wired, operator)
    both = facts(tensors, wired=wired, outputs={"boxes": "b"})
    assert choose_roles("ssd_postprocess", both) == (wired, f"sidecar m.toml and {operator}")
    named = facts(tensors, outputs={"boxes": "b", "classes": "c", "scores": "s", "count": "n"})
    assert choose_roles(choose_family(named)[0], named) == (wired, "sidecar m.toml")


def test_a_decoder_named_in_the_sidecar_must_fit():
    """The sidecar outweighs the shapes, but cannot make a decoder read what is not there."""
    assert choose_family(facts(ssd(), decoder="ssd_postprocess")) == ("ssd_postprocess", "sidecar m.toml")
    with pytest.raises(ConfigError, match=r"^m\.toml: decoder = 'ssd_anchors': ssd_anchors needs outputs boxes \["):
        choose_family(facts(ssd(), decoder="ssd_anchors"))


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"boxes": 4}, r"^m\.toml: outputs\.boxes = 4, allowed is 0 to 3$"),
        ({"boxes": -1}, r"outputs\.boxes = -1, allowed is 0 to 3"),
        (
            {"boxes": "x"},
            r"outputs\.boxes = 'x' is no output of the model; it has a \[1,10,4\], b \[1,10\], b \[1,10\]",
        ),
        ({"scores": "b"}, r"outputs\.scores = 'b' names 2 outputs of the model"),
        ({"boxes": 0, "scores": 0}, r"names one output for two roles; give each its own"),
        (
            {"boxes": 1},
            r"m\.toml: outputs\.boxes = 1: ssd_postprocess needs outputs boxes \[1,N,4\], .*, found a \[1,10,4\]",
        ),
    ],
)
def test_outputs_named_wrongly_are_refused(outputs, message):
    """Each says what the outputs really are."""
    with pytest.raises(ConfigError, match=message):
        choose_family(facts(ssd(("a", "b", "b", "n")), outputs=outputs))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            [(1, 116, 3549), (1, 104, 104, 32)],
            r"^m\.tflite: \[1,116,3549\], .* looks like a YOLO head with masks .*, which is not decoded here; ",
        ),
        (
            [(1, 1001)],
            r"\[1,1001\] looks like a classifier, not a detector: it finds no boxes; run it with edge-runtime run ",
        ),
        ([(1, 300, 57)], r"looks like a YOLO head with key points \(a pose model\), which is not decoded here"),
        ([(1, 416, 416, 21)], r"looks like a segmentation model, not a detector"),
        (
            [(1, 5), (1, 6)],
            r"no decoder fits outputs \[1,5\], \[1,6\] on an input of 416x416; known: .*; name one in m",
        ),
        ([(1, 84, 3548)], r"no decoder fits outputs \[1,84,3548\]"),
        ([(1, 3548, 85)], r"no decoder fits outputs \[1,3548,85\]"),
        ([], r"no decoder fits outputs none on an input of 416x416; known"),
    ],
)
def test_outputs_nobody_decodes_are_refused_by_name(shapes, message):
    """The message says what the model is, what would do, and where to overrule it."""
    with pytest.raises(ModelError, match=message) as caught:
        choose_family(facts([tensor(shape) for shape in shapes], size_wh=(416, 416)))
    assert "docs/models.md" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shapes", "size_wh", "name"),
    [
        ([(1, 1917, 4), (1, 1917, 91)], (300, 300), "ssd_anchors"),
        ([(1, 480, 4), (1, 480, 6)], (192, 160), "fcos"),
        ([(1, 80, 6), (1, 80, 4)], (64, 80), "fcos"),
        ([(1, 3549, 85)], (416, 416), "yolox"),
        ([(1, 3549, 6)], (416, 416), "yolox"),
        ([(1, 84, 3549)], (416, 416), "yolo"),
        ([(1, 6, 6300)], (640, 480), "yolo"),
        ([(1, 5, 8500)], (640, 640), "yolo"),
        ([(1, 25200, 85)], (640, 640), "yolov5"),
        ([(1, 300, 6)], (640, 640), "yolo_end_to_end"),
        ([(1, 2125, 112)], (320, 320), "nanodet"),
        ([(1, 896, 16), (1, 896, 1)], (128, 128), "blazeface"),
        ([(1, 896, 1), (1, 896, 16)], (256, 256), "blazeface"),
        ([(1, 2304, 16), (1, 2304, 1)], (192, 192), "blazeface_full_range"),
        ([(1, 3549, 84)], (416, 416), "yolo_rows"),
        ([(1, 3549, 8)], (416, 416), "yolox"),
        ([(1, 3, 3549), (1, 4, 3549)], (416, 416), "yolo_split"),
        ([(1, 2100, 112)], (320, 320), "nanodet_v0"),
        ([(1, 80, 80, 20), (1, 80, 80, 2), (1, 80, 80, 2)], (320, 320), "centernet"),
        ([(1, 20, 60, 80), (1, 2, 60, 80), (1, 2, 60, 80)], (320, 240), "centernet_planes"),
        ([(1, 12804, 4), (1, 12804, 91)], (320, 320), "ssd_anchors"),
        ([(1, cells, columns) for cells in (1600, 400, 100) for columns in (80, 32)], (320, 320), "nanodet_v0_split"),
        ([(1, cells, columns) for columns in (32, 80) for cells in (25, 1600, 400, 100)], (320, 320), "picodet"),
        ([(1, cells, columns) for columns in (1, 1, 4, 10) for cells in (1600, 400, 100)], (320, 320), "yunet"),
    ],
)
def test_the_number_of_rows_tells_the_families_apart(shapes, size_wh, name):
    """Half of them have the same shapes but for this number."""
    assert choose_family(facts([tensor(shape) for shape in shapes], size_wh=size_wh)) == (name, "tensor shapes")


def test_the_number_of_rows_decides_against_a_raw_ssd_unless_anchors_speak_for_it(tmp_path, monkeypatch):
    """Both have boxes [1,N,4] and scores [1,N,columns]."""
    tensors = [tensor((1, 480, 4), "boxes"), tensor((1, 480, 7), "scores")]
    given = facts(tensors, size_wh=(192, 160))
    assert choose_family(given)[0] == "fcos"
    anchors = facts(tensors, size_wh=(192, 160), anchors=tmp_path / "a.csv")
    assert choose_family(anchors)[0] == "ssd_anchors"
    assert choose_family(facts(tensors, size_wh=(192, 160), decoder="ssd_anchors"))[0] == "ssd_anchors"

    (tmp_path / "m_anchors.csv").write_text("0,0,1,1\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ModelError,
        match=r"fit ssd_anchors \(80%\) and fcos \(80%\); write in m\.toml: decoder = \"ssd_anchors\" or decoder = ",
    ):
        choose_family(given)
    assert choose_family(facts(tensors, size_wh=(192, 160), decoder="fcos"))[0] == "fcos"


def test_strides_in_the_sidecar_speak_for_a_head_on_a_grid():
    """Their number of rows is checked afterwards, where the message can name both numbers."""
    tensors = [tensor((1, 77, 4), "boxes"), tensor((1, 77, 7), "scores")]
    assert choose_family(facts(tensors))[0] == "ssd_anchors"
    assert choose_family(facts(tensors, strides=(10,)))[0] == "fcos"


def test_a_sidecar_that_says_nothing_of_outputs_does_not_turn_a_refusal_into_its_mistake():
    """The message must be about the model then."""
    with pytest.raises(ModelError, match="no decoder fits outputs"):
        choose_family(facts([tensor((1, 3548, 85))], color="bgr"))


def test_the_sidecar_that_is_there_is_the_one_a_message_names():
    """Telling of detect.toml beside an existing detect.tflite.toml would make two."""
    given = facts([tensor((1, 5))])
    other = replace(given, sidecar=Sidecar(Path("m.tflite.toml")))
    assert (given.sidecar_path, other.sidecar_path) == (Path("m.toml"), Path("m.tflite.toml"))


def test_roles_that_make_no_difference_need_no_name():
    """YuNet's score is the root of two factors; without names either may be called the class."""
    shapes = [(1, cells, columns) for columns in (1, 1, 4, 10) for cells in (1600, 400, 100)]
    roles, _ = choose_roles("yunet", facts([tensor(shape) for shape in shapes], size_wh=(320, 320)))
    assert {roles["cls_1"], roles["obj_1"]} == {0, 3}
    assert (roles["bbox_2"], roles["kps_3"]) == (7, 11)


def test_sizes_and_offsets_of_a_centernet_need_a_name():
    """Both are two numbers for each cell; exchanged, every box is nearly a point."""
    shapes = {"hm": (1, 80, 80, 20), "wh": (1, 80, 80, 2), "reg": (1, 80, 80, 2)}
    named = facts([tensor(shape, name) for name, shape in shapes.items()], size_wh=(320, 320))
    assert choose_roles("centernet", named) == ({"scores": 0, "sizes": 1, "offsets": 2}, "tensor names")
    nameless = facts([tensor(shape) for shape in shapes.values()], size_wh=(320, 320))
    with pytest.raises(ModelError, match=r"nothing tells which are sizes and offsets; write in m\.toml: \[outputs\]"):
        choose_roles("centernet", nameless)
