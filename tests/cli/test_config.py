"""``edge-runtime config``: what is in force, where it comes from, and that it can be used again."""

from __future__ import annotations

import tomllib
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from edge_runtime import errors
from edge_runtime.cli import bench
from edge_runtime.cli.settings import GROUPS, load_settings
from edge_runtime.config import FIELDS, load
from tests.cli.program import ROOT, Done

Edge = Callable[..., Done]


def test_every_setting_says_where_it_came_from(edge: Edge, tmp_path: Path) -> None:
    """Flag beats environment beats file beats default, and one can see which won."""
    (tmp_path / "edge.toml").write_text('threshold = 0.1\niou = 0.2\nmax_detections = 3\nmodel = "m.tflite"\n')
    done = edge(
        "config", "--config", "edge.toml", "--threshold", "0.9", "--num_threads", "2",
        variables={"EDGE_RUNTIME_THRESHOLD": "0.5", "EDGE_RUNTIME_IOU": "0.6"},
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    said = {line.split(" =")[0].lstrip("# "): line for line in done.out.splitlines() if " =" in line}
    assert set(said) == set(FIELDS)
    assert "0.9" in said["threshold"]
    assert said["threshold"].endswith("# flag --threshold")
    assert said["num_threads"].endswith("# flag --num-threads")
    assert said["iou"].endswith("# environment EDGE_RUNTIME_IOU")
    assert said["max_detections"].endswith("# file edge.toml")
    assert said["backend"].endswith("# default")
    assert tomllib.loads(done.out)["model"] == str(tmp_path / "m.tflite")


def test_the_environment_may_name_the_file(edge: Edge, tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text("threshold = 0.25\n")
    done = edge("config", variables={"EDGE_RUNTIME_CONFIG": str(tmp_path / "edge.toml")})
    assert tomllib.loads(done.out)["threshold"] == 0.25


def test_what_is_printed_loads_again_to_the_same_settings(edge: Edge, tmp_path: Path) -> None:
    """From any folder: paths are absolute. Odd characters survive."""
    odd = 'a "quoted"\tname\\.tflite'
    flags = {
        "model": odd, "labels": "l.txt", "source": "shots/*.png", "size": "1280x720", "fps": "29.97", "realtime": True,
        "backend": "edgetpu:usb:0", "num_threads": "auto", "iou": "0.5", "classes": "person,traffic light",
        "log": "-", "telemetry": "t.csv", "append": True, "max_frames": "7", "duration": "0.00001e2", "headless": True,
    }  # fmt: skip
    args = [
        part for name, value in flags.items()
        for part in ([f"--{name.replace('_', '-')}"] if value is True else [f"--{name.replace('_', '-')}", value])
    ]  # fmt: skip
    printed = edge("config", *args)
    assert (printed.code, printed.err) == (0, "")
    (tmp_path / "elsewhere").mkdir()
    again = tmp_path / "elsewhere" / "edge.toml"
    again.write_text(printed.out)
    found, wanted = load({}, {}, again).config, load(flags, {}).config
    assert str(found.model) == str(tmp_path / odd)
    assert found.source == str(tmp_path / "shots/*.png")
    same = set(FIELDS) - {"model", "labels", "source", "telemetry"}
    assert {name: getattr(found, name) for name in same} == {name: getattr(wanted, name) for name in same}


def test_paths_are_tidied_where_that_changes_nothing(edge: Edge, tmp_path: Path) -> None:
    """A line for a unit file is read by people. Behind a link to a folder .. is another folder than before it."""
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    (tmp_path / "newest.tflite").symlink_to("today.tflite")
    args = ("--model", "./far//../newest.tflite", "--labels", "link/../l.txt", "--source", f"/{tmp_path}/./x/../*.png")
    found = tomllib.loads(edge("config", *args).out)
    assert found["model"] == str(tmp_path / "newest.tflite")
    assert found["labels"] == str(tmp_path / "link" / ".." / "l.txt")
    assert found["source"] == str(tmp_path / "*.png")


def test_passwords_are_left_out(edge: Edge) -> None:
    done = edge("config", "--source", "rtsp://me:geheim@cam/live?token=abc")
    assert tomllib.loads(done.out)["source"] == "rtsp://cam/live?token=***"
    assert "geheim" not in done.out + done.err


def test_the_example_in_the_documentation_is_valid(tmp_path: Path) -> None:
    """People copy it."""
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    (tmp_path / "edge.toml").write_text(text.split("```toml\n")[1].split("```")[0])
    assert load({}, {}, tmp_path / "edge.toml").config.classes == ("person", "car")


def test_every_exit_code_is_documented() -> None:
    """With its meaning for systemd, which must agree with the unit."""
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8").partition("## Exit codes")[2]
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    codes = {one.exit_code for one in vars(errors).values() if isinstance(one, type)}
    assert {"0", "1", "130", *map(str, codes)} == set(rows) - {"code"}
    unit = (ROOT / "systemd" / "edge-runtime.service").read_text()
    [kept] = [line.partition("=")[2].split() for line in unit.splitlines() if line.startswith("RestartPrevent")]
    assert [code for code, row in rows.items() if row.endswith("| no |")] == ["0", *kept]


def test_what_a_command_reads_is_documented_and_the_rest_of_a_file_does_not_count_for_it(tmp_path: Path) -> None:
    """A file made for a service is given to bench as well; what it leaves out there is measured all the same."""
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(" `"): line for line in text.splitlines() if line.startswith("| `")}
    assert 'those of "model", and `threshold`' in rows["bench"]
    (tmp_path / "edge.toml").write_text('threshold = 0.5\nclasses = ["car"]\nmax_frames = 7\n')
    found = load_settings(Namespace(config=str(tmp_path / "edge.toml")), bench.SETTINGS)
    assert (found.config.threshold, found.config.classes, found.config.max_frames) == (0.5, (), None)
    assert (found.origins["threshold"], found.origins["classes"]) == (f"file {tmp_path}/edge.toml", "default")


def test_every_setting_stands_under_one_heading() -> None:
    """A setting that is forgotten in the table of headings would have no flag."""
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(FIELDS)
