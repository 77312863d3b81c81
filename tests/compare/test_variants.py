"""Which file is the parent, and what its variants are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.compare.variants import compressed_bytes, find_parent, is_integer, models_in, order_variants
from edge_runtime.errors import ConfigError, ModelError
from tests.factory.models import write_echo


def files(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).write_bytes(name.encode())
    return models_in(folder)


def test_the_parent_comes_first_and_names_are_what_goes_beyond_its_own(tmp_path: Path) -> None:
    """The names in the table are the techniques, not file names that all begin alike."""
    found = order_variants(files(tmp_path, "m.int8.tflite", "m.tflite", "m.float16.tflite", "m_edgetpu.tflite"))
    assert [one.name for one in found] == ["parent", "float16", "int8", "edgetpu"]
    assert found[0].path.name == "m.tflite"


def test_a_variant_of_a_variant_keeps_both_names(tmp_path: Path) -> None:
    found = order_variants(files(tmp_path, "m.tflite", "m.int8.tflite", "m.int8.strip.tflite", "m.int8_edgetpu.tflite"))
    assert [one.name for one in found] == ["parent", "int8.strip", "int8", "int8_edgetpu"]


def test_names_that_only_begin_alike_are_no_family(tmp_path: Path) -> None:
    """`models.tflite` does not extend `model.tflite`; comparing the two would mean nothing."""
    with pytest.raises(ConfigError, match="--parent FILE"):
        find_parent(files(tmp_path, "model.tflite", "models.tflite"))


def test_two_parents_are_an_error_that_names_them(tmp_path: Path) -> None:
    models = files(tmp_path, "a.tflite", "a.int8.tflite", "b.tflite", "b.int8.tflite")
    with pytest.raises(ConfigError, match=r"2 files could be it \(a.tflite, b.tflite\); name one with --parent"):
        find_parent(models)


def test_a_parent_may_lie_in_the_folder_above(tmp_path: Path) -> None:
    """`optimize m.tflite --output variants` leaves it there."""
    (tmp_path / "variants").mkdir()
    models = files(tmp_path / "variants", "m.int8.tflite", "m.float16.tflite")
    files(tmp_path, "m.tflite", "other.tflite")
    found = order_variants(models, above=tmp_path)
    assert [one.name for one in found] == ["parent", "float16", "int8"]
    assert found[0].path == tmp_path / "m.tflite"


def test_of_several_above_the_original_of_all_is_the_parent(tmp_path: Path) -> None:
    (tmp_path / "variants").mkdir()
    models = files(tmp_path / "variants", "m.prune.int8.tflite", "m.prune.float16.tflite")
    files(tmp_path, "m.tflite", "m.prune.tflite")
    assert find_parent(models, tmp_path).name == "m.tflite"


def test_a_parent_in_the_folder_goes_before_a_copy_above(tmp_path: Path) -> None:
    (tmp_path / "variants").mkdir()
    models = files(tmp_path / "variants", "m.tflite", "m.int8.tflite")
    files(tmp_path, "m.tflite")
    assert find_parent(models, tmp_path) == tmp_path / "variants" / "m.tflite"


def test_a_model_above_that_only_some_extend_is_not_the_parent(tmp_path: Path) -> None:
    (tmp_path / "variants").mkdir()
    models = files(tmp_path / "variants", "m.int8.tflite", "n.int8.tflite")
    files(tmp_path, "m.tflite", "n.tflite")
    with pytest.raises(ConfigError, match=r"neither there nor in .*found m\.int8\.tflite, n\.int8\.tflite"):
        find_parent(models, tmp_path)


def test_many_candidates_are_counted_where_they_are_not_listed(tmp_path: Path) -> None:
    """Four names of ten read as if they were all."""
    models = files(tmp_path, *(f"{letter}.tflite" for letter in "abcdefghij"))
    with pytest.raises(ConfigError, match=r"found a\.tflite, .*, h\.tflite and 2 more\)"):
        find_parent(models)


def test_a_stranger_beside_a_family_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"found a\.tflite"):
        find_parent(files(tmp_path, "a.tflite", "a.int8.tflite", "zoo.tflite"))


def test_a_parent_that_is_named_takes_all_others_as_variants(tmp_path: Path) -> None:
    """It may lie anywhere, and is in the table once even when it lies in the folder."""
    models = files(tmp_path, "a.tflite", "b.tflite", "c.tflite")
    found = order_variants(models, tmp_path / "b.tflite")
    assert [(one.name, one.path.name) for one in found] == [
        ("parent", "b.tflite"),
        ("a", "a.tflite"),
        ("c", "c.tflite"),
    ]


def test_a_parent_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        order_variants(files(tmp_path, "a.tflite"), tmp_path / "none.tflite")


def test_an_empty_folder_a_file_and_nothing_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name, said in (("empty", "holds no .tflite"), ("file", "not a folder"), ("none", "does not exist")):
        with pytest.raises(ConfigError, match=said):
            models_in(tmp_path / name)


def test_packing_shrinks_what_repeats_itself(tmp_path: Path) -> None:
    pytest.importorskip("zstandard", reason="packing needs the extra evaluate")
    (tmp_path / "zeros").write_bytes(bytes(100_000))
    assert 0 < compressed_bytes(tmp_path / "zeros") < 100


def test_integers_are_seen_at_the_ends_or_in_the_name(tmp_path: Path) -> None:
    """What would help depends on whether integers were tried."""
    assert is_integer(write_echo(tmp_path / "m.tflite"))
    assert is_integer(tmp_path / "m.int8.tflite")
    assert not is_integer(write_echo(tmp_path / "f.tflite", dtype="float32"))
    assert not is_integer(tmp_path / "none.tflite")
