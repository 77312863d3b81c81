"""The settings file: what is needed is set, and nothing of the user's is lost."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.compare.settings_file import (
    UNSTEADY_REMARK,
    changed,
    check_target,
    chosen_values,
    lines_of,
    write_settings,
)
from edge_runtime.config import load
from edge_runtime.errors import ConfigError, OutputError
from tests.compare.made import setting

VALUES = {"model": "m.int8.tflite", "backend": "cpu", "num_threads": 2}
FILE = Path("edge.toml")


def test_a_new_file_loads_as_the_service_would_load_it(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    values = chosen_values(setting(path=tmp_path / "m.tflite", num_threads=4), file, tmp_path / "names.txt")
    write_settings(file, values)
    config = load({}, {}, file).config
    assert (config.model, config.labels) == (tmp_path / "m.tflite", tmp_path / "names.txt")
    assert (config.backend, config.num_threads) == ("cpu", 4)


def test_a_model_in_another_folder_is_named_from_the_root(tmp_path: Path) -> None:
    """The service starts in a folder of its own."""
    values = chosen_values(setting(path=tmp_path / "models" / "m.tflite"), tmp_path / "edge.toml", None)
    assert values["model"] == str(tmp_path / "models" / "m.tflite")
    assert Path(chosen_values(setting(), None, None)["model"]).is_absolute()


def test_all_other_lines_of_a_file_stay_as_they_are() -> None:
    before = (
        '# my camera\nsource = "rtsp://u:p@cam/1"  # secret\nmodel = "old.tflite"\nnum-threads = 1\n\nthreshold = 0.3\n'
    )
    after = changed(before, VALUES, FILE)
    assert after == (
        '# my camera\nsource = "rtsp://u:p@cam/1"  # secret\nmodel = "m.int8.tflite"\nbackend = "cpu"\n'
        "num_threads = 2\n\nthreshold = 0.3\n"
    )
    assert changed(after, VALUES, FILE) == after


def test_keys_that_are_not_there_come_last_on_a_line_of_their_own() -> None:
    assert changed("threshold = 0.3", VALUES, FILE) == f"threshold = 0.3\n{lines_of(VALUES)}"


def test_a_choice_by_unsteady_rates_says_so_until_the_next_choice(tmp_path: Path) -> None:
    """Whoever finds the file a month later must see what it rests on; and a remark must not outlive its reason."""
    file = tmp_path / "edge.toml"
    file.write_text("threshold = 0.3\n# mine\n")
    for _ in range(2):
        write_settings(file, VALUES, is_unsteady=True)
        assert file.read_text() == f"threshold = 0.3\n# mine\n{UNSTEADY_REMARK}{lines_of(VALUES)}"
    write_settings(file, VALUES)
    assert file.read_text() == f"threshold = 0.3\n# mine\n{lines_of(VALUES)}"
    write_settings(tmp_path / "new.toml", VALUES, is_unsteady=True)
    assert (tmp_path / "new.toml").read_text() == UNSTEADY_REMARK + lines_of(VALUES)


@given(
    st.lists(
        st.sampled_from(
            [UNSTEADY_REMARK, 'a = """\n', "model = 1\n", '"""\n', "b = [\n", "]\n", "# x\n", "c = 2\n", "[t]\n"]
        )
    )
)
def test_either_only_our_keys_change_or_nothing_does(lines: list[str]) -> None:
    """Texts over many lines may look like keys; then a person has to do it."""
    text = "".join(lines)
    try:
        after = tomllib.loads(changed(text, VALUES, FILE))
    except ConfigError:
        return
    before = tomllib.loads(text)
    assert {key: value for key, value in after.items() if key not in VALUES} == {
        key: value for key, value in before.items() if key not in VALUES
    }
    assert {key: after[key] for key in VALUES} == VALUES


@given(st.text())
def test_any_path_can_be_written(name: str) -> None:
    """Quotes, backslashes and control characters are legal in file names."""
    if "\0" not in name and "\r" not in name and not any("\ud800" <= one <= "\udfff" for one in name):
        assert tomllib.loads(lines_of({"model": name})) == {"model": name}


def test_a_file_that_exists_needs_overwrite_and_must_load(tmp_path: Path) -> None:
    """Told before minutes of measuring, not after."""
    file = tmp_path / "edge.toml"
    check_target(file, overwrite=False)
    file.write_text("threshold = 0.3\n")
    with pytest.raises(OutputError, match="add --overwrite"):
        check_target(file, overwrite=False)
    check_target(file, overwrite=True)
    file.write_text("treshold = 0.3\n")
    with pytest.raises(ConfigError, match="treshold"):
        check_target(file, overwrite=True)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder"):
        check_target(tmp_path, overwrite=True)
    with pytest.raises(OutputError, match="does not exist"):
        check_target(tmp_path / "none" / "edge.toml", overwrite=True)


def test_settings_that_would_not_load_are_not_written(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text("threshold = 0.3\n")
    with pytest.raises(ConfigError, match="backend"):
        write_settings(file, VALUES | {"backend": "abacus"})
    assert file.read_text() == "threshold = 0.3\n"
    assert [one.name for one in tmp_path.iterdir()] == ["edge.toml"]
