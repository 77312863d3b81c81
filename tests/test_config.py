"""Settings: flags, environment, file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime import config, values
from edge_runtime.config import FIELDS, Config, load
from edge_runtime.errors import ConfigError
from edge_runtime.inference import BACKENDS
from edge_runtime.inference.engine import ENGINES


def write(folder: Path, text: str) -> Path:
    file = folder / "edge.toml"
    file.write_text(text)
    return file


def test_flags_beat_the_environment_and_the_environment_beats_the_file(tmp_path: Path) -> None:
    """What stands closest to the user's hand wins, and the origin says where a value came from."""
    file = write(tmp_path, "threshold = 0.1\niou = 0.2\nmax_detections = 3\n")
    environment = {"EDGE_RUNTIME_THRESHOLD": "0.5", "EDGE_RUNTIME_IOU": "0.6"}
    found = load({"threshold": "0.9"}, environment, file)
    assert (found.config.threshold, found.config.iou, found.config.max_detections) == (0.9, 0.6, 3)
    assert found.origins["threshold"] == "flag --threshold"
    assert found.origins["iou"] == "environment EDGE_RUNTIME_IOU"
    assert found.origins["max_detections"] == f"file {file}"
    assert found.origins["backend"] == "default"


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "threshold = 0.25\n")
    assert load({}, {"EDGE_RUNTIME_CONFIG": str(file)}).config.threshold == 0.25


def test_paths_in_a_file_are_seen_from_the_file(tmp_path: Path) -> None:
    """A service starts in / and its author wrote the file in /etc/edge-runtime."""
    (tmp_path / "street.mp4").touch()
    file = write(tmp_path, 'model = "m.tflite"\nlog = "found.jsonl"\nsource = "street.mp4"\nlabels = "/abs/l.txt"\n')
    found = load({}, {}, file).config
    assert found.model == tmp_path / "m.tflite"
    assert found.log == tmp_path / "found.jsonl"
    assert found.source == str(tmp_path / "street.mp4")
    assert found.labels == Path("/abs/l.txt")


def test_stdout_and_camera_names_in_a_file_are_no_paths(tmp_path: Path) -> None:
    found = load({}, {}, write(tmp_path, 'log = "-"\nsource = 0\n')).config
    assert found.log == Path("-")
    assert found.source == "0"


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("threshold", "1.5", "0 to 1"),
        ("threshold", "high", "0 to 1"),
        ("threshold", "nan", "0 to 1"),
        ("num_threads", "0", "auto, or a whole number from 1"),
        ("num_threads", "2.5", "auto, or a whole number from 1"),
        ("backend", "tpu", "auto, cpu, edgetpu, gpu"),
        ("engine", "tf", "litert"),
        ("classes", " , ", "at least one name"),
        ("size", "640", "1280x720"),
        ("headless", "maybe", "true or false"),
        ("source", "  ", "not empty"),
        ("model", "a\0b", "without the character NUL"),
        ("source", "\0", "without the character NUL"),
        ("max_frames", "-1", "whole number"),
        ("duration", "inf", "seconds"),
    ],
)
def test_a_bad_value_names_key_origin_value_and_what_is_allowed(key: str, value: str, allowed: str) -> None:
    """One line that can be acted on, whichever way the value came in."""
    with pytest.raises(ConfigError) as caught:
        load({key: value}, {})
    message = str(caught.value)
    assert message.startswith(f"{key}: {value!r}")
    assert allowed in message
    assert f"flag --{key.replace('_', '-')}" in message
    assert "\n" not in message


def test_an_unknown_key_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean threshold"):
        load({}, {}, write(tmp_path, "treshold = 0.4\n"))
    with pytest.raises(ConfigError, match="did you mean EDGE_RUNTIME_THRESHOLD"):
        load({}, {"EDGE_RUNTIME_TRESHOLD": "0.4"})


@pytest.mark.parametrize("text", ["threshold = \n", "\x00"])
def test_a_file_that_is_not_toml_says_so(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="is not TOML"):
        load({}, {}, write(tmp_path, text))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load({}, {}, tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="is a folder"):
        load({}, {}, tmp_path)


def test_switches_that_exclude_one_another_are_refused_together_but_beat_a_lower_layer(tmp_path: Path) -> None:
    """--headless on the command line must win over display = true in the file."""
    with pytest.raises(ConfigError, match="headless and display"):
        load({"headless": True, "display": True}, {})
    found = load({"headless": True}, {}, write(tmp_path, "display = true\n"))
    assert (found.config.headless, found.config.display) == (True, False)
    assert found.origins["display"] == "default"


def test_telemetry_does_not_go_to_stdout() -> None:
    """A file called - helps nobody, and the log has stdout."""
    with pytest.raises(ConfigError, match="stdout is for the log"):
        load({"telemetry": "-"}, {})


def test_a_video_cannot_be_appended_to(tmp_path: Path) -> None:
    video = tmp_path / "v.mp4"
    video.touch()
    with pytest.raises(ConfigError, match="cannot be continued"):
        Config(output=video, append=True)


def test_the_names_in_the_table_are_those_that_exist() -> None:
    """config may not import inference, so the two lists are compared here."""
    assert set(values.BACKEND_NAMES) == {"auto", *BACKENDS}
    assert set(config.ENGINE_NAMES) == {"auto", *ENGINES}


def test_a_section_is_the_beginning_of_its_keys_names(tmp_path: Path) -> None:
    """A long file reads better so; the flags and variables keep their one name."""
    file = write(tmp_path, '[storage]\nmax_bytes = "2 GiB"\nkeep-days = 30\nfsync = 5\n')
    found = load({}, {}, file)
    assert found.config.storage_max_bytes == 2 * 1024**3
    assert found.config.storage_keep_days == 30
    assert found.config.storage_fsync == 5.0
    assert found.origins["storage_keep_days"] == f"file {file}"


@pytest.mark.parametrize(
    ("said", "size_bytes"),
    [
        ("500 MB", 500_000_000),
        ("1.5gib", 1_610_612_736),
        (2_000_000, 2_000_000),
        ("1000KB", 1_000_000),
        ("0", None),
        (0, None),
    ],
)
def test_a_size_is_a_number_with_a_unit(said: Any, size_bytes: int | None) -> None:
    """Nobody counts noughts; and 0 takes a limit of the file away."""
    assert load({"storage_max_bytes": said}, {}).config.storage_max_bytes == size_bytes


@pytest.mark.parametrize(("said", "found"), [("never", "never"), ("always", "always"), ("2.5", 2.5), (30, 30.0)])
def test_waiting_for_the_disk_is_a_word_or_seconds(said: Any, found: str | float) -> None:
    """A card lives longer with seconds, a record outlives a power cut with always."""
    assert load({"storage_fsync": said}, {}).config.storage_fsync == found


toml_values = st.one_of(st.integers(), st.floats(), st.booleans(), st.text(), st.lists(st.integers(), max_size=2))


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), toml_values, max_size=4))
def test_any_value_gives_settings_or_one_clear_error(values: dict[str, Any]) -> None:
    """Never a traceback of ours for what a user typed."""
    try:
        found = load(values, {}).config
    except ConfigError as exc:
        lines = str(exc).count("\n") + 1
    else:
        assert isinstance(found, Config)
        return
    assert lines == 1
