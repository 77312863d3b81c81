"""All sections together: nothing raises, nothing hangs, and the record keeps to its schema."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import pytest

from edge_runtime import doctor
from edge_runtime.config import Config
from edge_runtime.doctor import NEED_TRIALS, SECTIONS
from edge_runtime.doctor.finding import ERROR, STATUSES, Finding, Report, error, ok, skipped, warning
from edge_runtime.doctor.machine import Machine, Settings, User, can_import, group_members, this_user
from edge_runtime.doctor.run import CHECKS, examine, examine_with, model_flags, tasks_for
from tests.cli.program import ROOT
from tests.doctor.conftest import PI_5, only

MakeMachine = Callable[..., Machine]
SETTINGS = Settings(Config())
SCHEMA = json.loads((Path(doctor.__file__).parent / "schema-1.json").read_text())


def fine(machine: Machine, settings: Settings) -> Iterator[Finding]:
    yield ok("one", "well")


def test_a_check_that_raises_costs_only_itself(make_machine: MakeMachine) -> None:
    """What it had found until then is kept."""

    def broken(machine: Machine, settings: Settings) -> Iterator[Finding]:
        yield ok("before", "well")
        raise KeyError("gone")

    report = examine_with({"a": broken, "b": fine}, make_machine(), SETTINGS)
    before, failed = report.sections["a"]
    assert (before.status, failed.status, failed.name) == ("ok", ERROR, "a")
    assert failed.said == "this check failed itself: KeyError: 'gone'"
    assert only(report.sections["b"]).status == "ok"
    assert not report.has_passed


def test_a_check_that_hangs_is_left_behind(make_machine: MakeMachine) -> None:
    """A network folder without its server, a camera whose driver sleeps."""
    forever = threading.Event()

    def hangs(machine: Machine, settings: Settings) -> Iterator[Finding]:
        yield ok("before", "well")
        forever.wait()

    try:
        report = examine_with({"a": hangs, "b": fine}, make_machine(), SETTINGS, section_s=0.05)
    finally:
        forever.set()
    assert [one.status for one in report.sections["a"]] == ["ok", ERROR]
    assert "gave no answer within" in report.sections["a"][1].said
    assert only(report.sections["b"]).status == "ok"


def test_what_there_is_no_time_for_is_not_looked_at(make_machine: MakeMachine) -> None:
    """Better an answer with a gap than none."""
    report = examine_with({"a": fine}, make_machine(), SETTINGS, total_s=0.0)
    assert only(report.sections["a"]).status == "skipped"


def test_what_needs_the_child_comes_last_and_is_shown_in_its_place(make_machine: MakeMachine) -> None:
    order: list[str] = []

    def noting(name: str) -> Callable[[Machine, Settings], list[Finding]]:
        return lambda machine, settings: order.append(name) or [ok(name, "well")]  # type: ignore[func-returns-value]

    report = examine_with({name: noting(name) for name in SECTIONS}, make_machine(), SETTINGS)
    assert list(report.sections) == list(SECTIONS)
    assert order[-len(NEED_TRIALS) :] == list(NEED_TRIALS)


def test_the_record_keeps_to_the_schema() -> None:
    """Programs that watch a hundred boards read it."""
    report = Report({"python": (ok("a", "b", facts={"bits": 64}), skipped("c", "d")),
                     "board": (warning("e", "f", "g", "h"), error("i", "j"))})  # fmt: skip
    record = json.loads(json.dumps(report.record("0.1.0", 1_800_000_000.25)))
    jsonschema.validate(record, SCHEMA, jsonschema.Draft202012Validator)
    assert (record["time"], record["passed"]) == ("2027-01-15T08:00:00.250Z", False)
    assert record["counts"] == dict.fromkeys(STATUSES, 1)
    assert record["findings"][2] == {"section": "board", "name": "e", "status": "warning", "said": "f", "advice": "g",
                                     "command": "h", "facts": {}}  # fmt: skip


def test_the_schema_knows_every_section_and_status() -> None:
    finding = SCHEMA["properties"]["findings"]["items"]["properties"]
    assert (finding["section"]["enum"], tuple(finding["status"]["enum"])) == (list(SECTIONS), STATUSES)


def test_this_very_machine_is_examined_without_a_defect() -> None:
    """Whatever it is: no check may fail itself."""
    report = examine(Machine(), SETTINGS)
    assert list(report.sections) == list(SECTIONS)
    said = [one.said for found in report.sections.values() for one in found]
    assert not [one for one in said if "failed itself" in one]
    jsonschema.validate(json.loads(json.dumps(report.record("0", 0))), SCHEMA, jsonschema.Draft202012Validator)


def test_an_empty_machine_has_nothing_but_unknowns(make_machine: MakeMachine) -> None:
    """A container without /proc and /sys; what is unknown is no error."""
    machine = make_machine(packages={"ai-edge-litert": "2.3.0"}, trials=dict)
    report = examine_with(CHECKS, machine, SETTINGS)
    assert [one for found in report.sections.values() for one in found if one.status == ERROR] == []


def test_tasks_are_what_the_settings_need(make_machine: MakeMachine) -> None:
    machine = make_machine(packages={"ai-edge-litert": "2.3.0"})
    config = Config(model=Path("m.tflite"), backend="gpu:/x/lib.so", classes=("person",))
    assert [one.name for one in tasks_for(machine, config)] == [
        "import numpy", "import cv2", "import psutil", "import imutils", "engine litert", "model", "display",
        "libedgetpu.so.1", "/x/lib.so",
    ]  # fmt: skip
    assert "engine litert" not in [one.name for one in tasks_for(make_machine(), Config())]
    assert model_flags(config) == {"num_threads": 1, "model": "m.tflite", "backend": "gpu:/x/lib.so",
                                   "classes": ["person"]}  # fmt: skip
    assert model_flags(Config(num_threads=3, task="classify")) == {"num_threads": 3, "task": "classify"}


def test_the_doctor_lives_without_the_packages_it_looks_at() -> None:
    """It is asked when numpy or OpenCV is broken; it must not need them itself."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('numpy', 'cv2', 'psutil', 'imutils')));"
        "from edge_runtime.config import Config; from edge_runtime.doctor.machine import Machine, Settings;"
        "from edge_runtime.doctor.run import examine; report = examine(Machine(), Settings(Config()));"
        "print(*(one.said for found in report.sections.values() for one in found), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "failed itself" not in done.stdout


@pytest.mark.parametrize(("name", "expected"), [("video", (44, {"pi"})), ("plugdev", (46, set())), ("none", None)])
def test_groups_are_read_from_the_file(make_machine: MakeMachine, name: str, expected: object) -> None:
    assert group_members(make_machine(PI_5), name) == expected


def test_a_folder_that_an_uninstall_left_is_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip keeps a folder in which something else lies; Python then calls it a package."""
    (tmp_path / "edge_left_over").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert (can_import("edge_left_over"), can_import("edge_never_there"), can_import("json")) == (False, False, True)


def test_this_user_has_a_name() -> None:
    assert isinstance(this_user(), User)
    assert this_user().name
