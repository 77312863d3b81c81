"""How sure a family is, by what is known of the model beside its shapes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_runtime.errors import ModelError
from edge_runtime.model.labels import labels_from_names
from edge_runtime.model.ranking import SURE, choose_family, rank_families
from tests.model.test_roles import RIGHT, facts, ssd, tensor

PYRAMID = [tensor((1, 2100, 4), "a"), tensor((1, 2100, 5), "b")]
TOP_K = ("CONV_2D", "MAX_POOL_2D", "TOPK_V2", "GATHER_ND")


def with_operators(given, operators):
    return replace(given, file=replace(given.file, operators=operators))


def names(given):
    return [one.name for one in rank_families(given)]


def test_every_family_that_fits_is_listed_the_likeliest_first():
    """`inspect` prints them with their reasons."""
    ranked = rank_families(facts([tensor((1, 3549, 85))], size_wh=(416, 416)))
    assert ranked[0].name == "yolox"
    assert {one.name for one in ranked[1:]} == {"yolo_rows", "nanodet_v0"}
    assert all(0 < one.confidence < 1 for one in ranked)
    assert ranked[0].reasons == ("tensor shapes", "3549 rows, as strides [8, 16, 32] make", "80 classes, as COCO has")


def test_two_families_with_the_same_shapes_are_both_named_with_the_line_that_decides():
    """Guessing would draw nonsense; the line is ready to be copied."""
    with pytest.raises(
        ModelError,
        match=r"^m\.tflite: outputs a \[1,2100,4\], b \[1,2100,5\] fit fcos \(80%\) and yolo_split_rows \(80%\); "
        r'write in m\.toml: decoder = "fcos" or decoder = "yolo_split_rows"$',
    ):
        choose_family(facts(PYRAMID, size_wh=(320, 320)))
    assert choose_family(facts(PYRAMID, size_wh=(320, 320), decoder="fcos")) == ("fcos", "sidecar m.toml")


def test_the_operator_makes_it_sure_and_alone():
    """What is wired to it cannot be anything else."""
    (only,) = rank_families(facts(ssd(), wired=RIGHT))
    assert (only.name, only.confidence) == ("ssd_postprocess", SURE)
    assert "operator TFLite_Detection_PostProcess" in only.reasons


def test_peaks_without_suppression_are_a_centernet():
    """Its four outputs look like an SSD's, and its float input takes other numbers."""
    assert choose_family(facts(ssd()))[0] == "ssd_postprocess"
    assert choose_family(with_operators(facts(ssd()), TOP_K))[0] == "centernet_postprocess"
    suppressed = (*TOP_K, "NON_MAX_SUPPRESSION_V5")
    assert choose_family(with_operators(facts(ssd()), suppressed))[0] == "ssd_postprocess"
    assert names(with_operators(facts(ssd(), wired=RIGHT), TOP_K)) == ["ssd_postprocess"]


@pytest.mark.parametrize(("count", "name"), [(35, "yolox"), (36, "yolo_rows"), (8, "nanodet_v0"), (9, "nanodet_v0")])
def test_the_number_of_labels_tells_heads_apart_that_differ_in_what_is_beside_the_classes(count, name):
    """Forty numbers a row: five, four or thirty-two of them are no class. A line more is the background."""
    labels = labels_from_names([f"name {number}" for number in range(count)])
    assert choose_family(facts([tensor((1, 2100, 40))], size_wh=(320, 320), labels=labels))[0] == name


def test_labels_given_by_the_flag_count_too(tmp_path: Path):
    """They are what most users have."""
    (tmp_path / "labels.txt").write_text("\n".join(f"name {number}" for number in range(36)))
    given = facts([tensor((1, 2100, 40))], size_wh=(320, 320))
    assert choose_family(given)[0] == "yolox"
    assert choose_family(replace(given, labels_file=tmp_path / "labels.txt"))[0] == "yolo_rows"
    assert choose_family(replace(given, labels_file=tmp_path / "missing.txt"))[0] == "yolox"


def test_strides_of_the_sidecar_choose_among_those_whose_rows_they_make():
    """One anchor for each cell, or two."""
    shapes = [tensor((1, 2304, 16), "a"), tensor((1, 2304, 1), "b")]
    assert choose_family(facts(shapes, size_wh=(192, 192), strides=(4,)))[0] == "blazeface_full_range"
    shapes = [tensor((1, 4608, 16), "a"), tensor((1, 4608, 1), "b")]
    assert choose_family(facts(shapes, size_wh=(192, 192), strides=(4,)))[0] == "blazeface"


def test_a_recipe_of_anchors_raises_the_confidence_and_a_sidecar_makes_it_sure():
    """Any two outputs with boxes and scores could be a raw SSD."""
    plain = facts([tensor((1, 1918, 4), "a"), tensor((1, 1918, 91), "b")])
    known = facts([tensor((1, 1917, 4), "a"), tensor((1, 1917, 91), "b")])
    said = facts([tensor((1, 1918, 4), "a"), tensor((1, 1918, 91), "b")], anchor_recipe="ssd")
    found = [rank_families(given)[0] for given in (plain, known, said)]
    assert [one.name for one in found] == ["ssd_anchors"] * 3
    assert found[0].confidence < found[1].confidence < found[2].confidence == SURE


def test_classifiers_are_a_task_of_their_own():
    """A detector's outputs are never taken for labels of the picture, nor the other way round."""
    given = facts([tensor((1, 5))])
    assert names(given) == []
    assert names(replace(given, task="classify")) == ["classify"]
    assert names(replace(facts(ssd()), task="classify")) == []


def test_the_decoder_of_the_sidecar_is_sure_and_alone():
    """`inspect` shows that it was the user who said so."""
    (only,) = rank_families(facts(PYRAMID, size_wh=(320, 320), decoder="fcos"))
    assert (only.name, only.confidence, only.reasons) == ("fcos", SURE, ("sidecar m.toml",))
