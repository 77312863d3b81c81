"""``edge-runtime doctor`` as a user starts it."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from edge_runtime.cli import build_parser
from edge_runtime.cli.doctor import has_colours, settings_of, table
from edge_runtime.doctor.finding import Report, error, ok, skipped, warning
from tests.cli.program import ROOT, Done

Edge = Callable[..., Done]
PATIENT = ("--json", "--max-secs", 60)
"""The limit is for people who wait; a busy machine must not fail a test."""
SCHEMA = json.loads((ROOT / "edge_runtime/doctor/schema-1.json").read_text())
LONG = (
    "/opt/edge-runtime/bin/python -m pip uninstall -y opencv-python opencv-python-headless && "
    "/opt/edge-runtime/bin/python -m pip install 'numpy<2' 'opencv-python-headless<4.12'"
)
REPORT = Report({
    "python": (ok("version", "Python 3.13.1, 64-bit"),),
    "cameras": (warning("/dev/video0", "HD Pro Webcam C920: " + "MJPG up to 1920x1080 (7 sizes), " * 3, "stop it",
                        "sudo systemctl stop motion.service"), skipped("group video", "no such group")),
    "packages": (error("cv2", "cannot be imported", command=LONG),),
})  # fmt: skip


def findings(done: Done) -> dict[tuple[str, str], dict[str, object]]:
    record = json.loads(done.out)
    jsonschema.validate(record, SCHEMA, jsonschema.Draft202012Validator)
    assert done.err == ""
    return {(one["section"], one["name"]): one for one in record["findings"]}


def test_the_table_fits_80_columns_and_ends_with_a_count(edge: Edge) -> None:
    done = edge("doctor")
    assert done.err == ""
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line and not line.startswith(" ")][:2] == ["python", "packages"]
    assert (done.code == 0) == (not [line for line in lines if line.startswith("  error")])
    assert "\x1b" not in done.out


def test_a_file_of_settings_that_is_wrong_is_one_error_of_many_lines(edge: Edge, tmp_path: Path) -> None:
    """The rest is looked at all the same, and the words are those of edge-runtime config."""
    (tmp_path / "edge.toml").write_text("treshold = 0.4\n")
    done = edge("doctor", *PATIENT, "--config", "edge.toml")
    found = findings(done)
    assert done.code == 1
    said = edge("config", "--config", "edge.toml").err.removeprefix("edge-runtime: error: ").strip()
    assert found["settings", "file"]["said"] == said
    assert found["settings", "file"]["command"] == "sudoedit edge.toml"
    assert found["python", "version"]["status"] == "ok"


def test_settings_in_order_are_told_line_by_line(edge: Edge, tmp_path: Path, model: Path, video: Path) -> None:
    settings = f'model = "{model}"\nsource = "{video}"\nlog = "found.jsonl"\n'
    (tmp_path / "edge.toml").write_text(settings)
    found = findings(edge("doctor", *PATIENT, variables={"EDGE_RUNTIME_CONFIG": "edge.toml"}))
    rows = {name: one["status"] for (section, name), one in found.items() if section == "settings"}
    assert rows == {"file": "ok", "model": "ok", "source": "ok", "log": "ok"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["edge.toml"]


def test_a_damaged_model_and_a_lost_folder_are_errors(edge: Edge, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"\0" * 64)
    done = edge("doctor", *PATIENT, "--model", "m.tflite", "--source", "none.mp4", "--log", "gone/found.jsonl")
    found = findings(done)
    assert done.code == 1
    rows = {name: one["status"] for (section, name), one in found.items() if section == "settings"}
    assert rows == {"file": "ok", "model": "error", "source": "error", "log": "error"}
    assert found["settings", "log"]["command"] == f"mkdir -p {tmp_path}/gone"


def test_a_broken_package_is_found_by_the_doctor_that_needs_none(edge: Edge, tmp_path: Path) -> None:
    """OpenCV with windows on a board without a desktop."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "cv2.py").write_text('raise ImportError("libGL.so.1: cannot open shared object file")\n')
    done = edge("doctor", *PATIENT, variables={"PYTHONPATH": f"{tmp_path}/broken:{ROOT}"})
    found = findings(done)["packages", "cv2"]
    assert (done.code, found["status"]) == (1, "error")
    assert found["said"] == "cannot be imported (libGL.so.1: cannot open shared object file)"


def test_the_settings_of_the_service_are_taken_where_none_are_named(tmp_path: Path) -> None:
    """Who logs in to a board in the field asks about the service and not about defaults."""
    file = tmp_path / "edge-runtime.toml"
    file.write_text("threshold = 0.7\n")
    args = build_parser("doctor").parse_all([])
    found = settings_of(args, {}, file)
    assert (found.config.threshold, found.file, found.is_service) == (0.7, file, True)
    named = tmp_path / "other.toml"
    named.write_text("threshold = 7\n")
    found = settings_of(build_parser("doctor").parse_all(["--config", str(named)]), {}, file)
    assert (found.file, found.is_service, found.config.threshold) == (named, False, 0.4)
    assert found.problem.startswith("threshold: 7 is not allowed (from file ")


def test_a_wrong_limit_is_a_wrong_flag(edge: Edge) -> None:
    done = edge("doctor", "--max-secs", "0")
    assert (done.code, done.out, "--max-secs: '0' is not allowed" in done.err) == (2, "", True)


def test_quiet_leaves_what_is_wrong(edge: Edge) -> None:
    """For a script that prints it into a mail."""
    assert [line for line in edge("doctor", "-q").out.splitlines() if line.startswith("  ok")] == []


def test_a_table_has_what_to_do_below_what_is_wrong() -> None:
    lines = table(REPORT, 78).splitlines()
    assert lines[:2] == ["python", "  ok        version: Python 3.13.1, 64-bit"]
    assert max(map(len, lines)) <= 78
    assert "            > stop it" in lines
    assert "            $ sudo systemctl stop motion.service" in lines
    assert lines[-1] == "1 error, 1 warning"
    assert table(Report({"python": REPORT.sections["python"]}), 78).endswith("\n\nall is well")


@pytest.mark.parametrize("width", [50, 78, 98])
def test_a_command_over_several_lines_still_works_when_it_is_copied(width: int) -> None:
    """A line that ends within quotes, or without its backslash, is another command."""
    lines = table(REPORT, width).split("packages\n")[1].splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("            $ "))
    rows = [line for line in lines[first:] if line.startswith("            ")]
    copied = "\n".join(rows).strip().removeprefix("$ ")
    assert shlex.split(copied.replace("\\\n", " ")) == shlex.split(LONG)
    assert all(line.endswith(" \\") for line in rows[:-1])


def test_colours_are_for_terminals_that_want_them() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert has_colours(Terminal(), {"TERM": "xterm"})
    assert not has_colours(Terminal(), {"TERM": "xterm", "NO_COLOR": "1"})
    assert not has_colours(Terminal(), {"TERM": "dumb"})
    assert not has_colours(io.StringIO(), {})
    assert not has_colours(None, {})
    assert "\x1b[1;31merror    \x1b[0m cv2" in table(REPORT, 78, paints=True)
    plain = table(REPORT, 78)
    painted = table(REPORT, 78, paints=True)
    for code in ("32", "33", "1;31", "2"):
        painted = painted.replace(f"\x1b[{code}m", "")
    assert painted.replace("\x1b[0m", "") == plain
