"""Service, display and settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_runtime.config import Config
from edge_runtime.doctor.configuration import check_model, check_settings
from edge_runtime.doctor.display import check_display
from edge_runtime.doctor.finding import Finding
from edge_runtime.doctor.machine import Machine, Settings
from edge_runtime.doctor.trials import DIED, DONE, FAILED, HUNG, UNTRIED, Trial
from edge_runtime.doctor.unit import check_service
from tests.doctor.camera import Driver, opens
from tests.doctor.conftest import Programs, by_name, only

MakeMachine = Callable[..., Machine]
HEALTHY = {
    "Id": "edge-runtime.service", "LoadState": "loaded", "ActiveState": "active", "SubState": "running",
    "Result": "success", "ExecMainStatus": "0", "NRestarts": "0", "UnitFileState": "enabled",
    "NeedDaemonReload": "no", "WatchdogUSec": "1min",
}  # fmt: skip


def show(*units: dict[str, str]) -> str:
    return "\n\n".join("\n".join(f"{name}={value}" for name, value in unit.items()) for unit in units) + "\n"


@pytest.mark.parametrize(
    ("changes", "status", "phrase", "command"),
    [
        ({}, "ok", "active (running), watchdog 1min, no restarts", ""),
        ({"WatchdogUSec": "0"}, "ok", "no watchdog", ""),
        ({"NRestarts": "3"}, "warning", "started anew 3 times", "journalctl -u edge-runtime.service -n 50 --no-pager"),
        ({"UnitFileState": "disabled"}, "warning", "not start with the board", "sudo systemctl enable"),
        ({"NeedDaemonReload": "yes"}, "warning", "has changed", "sudo systemctl daemon-reload && "),
        ({"ActiveState": "inactive"}, "warning", "is inactive", "sudo systemctl start edge-runtime.service"),
        ({"ActiveState": "inactive", "UnitFileState": "disabled"}, "ok", "is inactive and not enabled", ""),
        ({"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "2"}, "error",
         "exit code 2, a setting is wrong", "journalctl -u"),
        ({"ActiveState": "failed", "Result": "watchdog"}, "error", "it hung", "journalctl -u"),
        ({"ActiveState": "failed", "Result": "signal", "ExecMainStatus": "11"}, "error", "signal 11", "journalctl -u"),
        ({"ActiveState": "activating", "SubState": "auto-restart", "NRestarts": "7", "Result": "exit-code",
          "ExecMainStatus": "5"}, "error", "7 times so far: exit code 5, the engine", "journalctl -u"),
        ({"LoadState": "bad-setting"}, "error", "cannot load it", "systemd-analyze verify edge-runtime.service"),
    ],
)  # fmt: skip
def test_a_service_is_judged_by_what_systemd_says(
    make_machine: MakeMachine, changes: dict[str, str], status: str, phrase: str, command: str
) -> None:
    """ "It does not run" has a dozen reasons, and systemd knows which."""
    machine = make_machine(run=Programs(systemctl=show({**HEALTHY, **changes})))
    found = only(check_service(machine, Settings(Config())))
    assert (found.status, phrase in found.said) == (status, True), found.said
    assert found.command.startswith(command)
    assert bool(found.command) == bool(command)


def test_every_instance_is_told_and_absence_is_no_fault(make_machine: MakeMachine) -> None:
    absent = {"Id": "edge-runtime.service", "LoadState": "not-found"}
    both = show(absent, {**HEALTHY, "Id": "edge-runtime@front.service"}, {**HEALTHY, "Id": "edge-runtime@back.service"})
    found = by_name(check_service(make_machine(run=Programs(systemctl=both)), Settings(Config())))
    assert list(found) == ["edge-runtime@front.service", "edge-runtime@back.service"]
    assert only(check_service(make_machine(run=Programs(systemctl=show(absent))), Settings(Config()))).name == "service"
    assert only(check_service(make_machine(), Settings(Config()))).name == "systemd"


@pytest.mark.parametrize(
    ("trial", "desktop", "wanted", "status"),
    [
        (Trial(DONE), True, False, "ok"),
        (Trial(FAILED, "window: this OpenCV is the headless build"), True, False, "ok"),
        (Trial(FAILED, "window: this OpenCV is the headless build"), True, True, "error"),
        (Trial(FAILED, "window: there is no desktop here"), False, False, "ok"),
        (Trial(UNTRIED, "no time"), False, True, "skipped"),
        (None, False, False, "skipped"),
    ],
)
def test_a_missing_window_is_an_error_only_where_one_is_asked_for(
    make_machine: MakeMachine, trial: Trial | None, desktop: bool, wanted: bool, status: str
) -> None:
    machine = make_machine(environment={"DISPLAY": ":0"} if desktop else {},
                           trials=lambda: {"display": trial} if trial else {})  # fmt: skip
    found = by_name(check_display(machine, Settings(Config(display=wanted))))
    assert (found["window"].status, found["desktop"].said) == (status, "DISPLAY=:0" if desktop else "none")


def examined(machine: Machine, *, is_service: bool = False, **settings: object) -> dict[str, Finding]:
    return by_name(check_settings(machine, Settings(Config(**settings), is_service=is_service)))  # type: ignore[arg-type]


def test_settings_that_cannot_be_read_are_one_error(make_machine: MakeMachine) -> None:
    """The words are those of edge-runtime config."""
    wrong = Settings(Config(), Path("/etc/edge.toml"), problem="config: /etc/edge.toml: key 'treshold' is unknown")
    found = only(check_settings(make_machine(), wrong))
    assert (found.status, found.said, found.command) == ("error", wrong.problem, "sudoedit /etc/edge.toml")
    assert only(check_settings(make_machine(), Settings(Config(), problem="x"))).command == "env | grep EDGE_RUNTIME_"


OPENED = Trial(DONE, facts={"decoder": "yolo", "size_wh": [416, 416], "labels": 80, "backend": "cpu on litert"})


@pytest.mark.parametrize(
    ("trial", "status", "phrase"),
    [
        (OPENED, "ok", "m.tflite: yolo, 416x416, cpu on litert, 80 labels"),
        (Trial(DONE, facts={**OPENED.facts, "labels": None}), "warning", "it has no labels"),
        (Trial(DONE, facts={**OPENED.facts, "backend": ""}), "ok", "compiled for the Edge TPU, not opened"),
        (Trial(FAILED, "m.tflite: no such file", "ModelError"), "error", "m.tflite: no such file"),
        (Trial(FAILED, "labels: x", "ConfigError"), "error", "m.tflite: labels: x"),
        (Trial(DIED, "SIGSEGV"), "error", "ends the process that opens it (SIGSEGV)"),
        (Trial(HUNG, "no answer within 7 s"), "warning", "not open in time"),
        (Trial(UNTRIED, "no time"), "skipped", "not tried"),
        (None, "skipped", "not tried"),
    ],
)
def test_the_model_is_judged_by_what_a_child_made_of_it(trial: Trial | None, status: str, phrase: str) -> None:
    found = check_model(Config(model=Path("m.tflite")), trial)
    assert (found.status, phrase in found.said) == (status, True), found.said


CAMERA = Driver(formats={int.from_bytes(b"YUYV", "little"): ("YUYV", [(640, 480)])})


@pytest.mark.parametrize(
    ("settings", "status", "phrase"),
    [
        ({}, "ok", "the first camera that opens"),
        ({"model": Path("m.tflite")}, "ok", "/dev/video0"),
        ({"source": "/dev/video0", "size": (640, 480)}, "ok", "640x480"),
        ({"source": "0", "size": (1280, 720)}, "warning", "does not offer 1280x720"),
        ({"source": "7"}, "error", "/dev/video7 is not there; there is"),
        ({"source": "scene:3"}, "ok", "scene:3"),
        ({"source": "picamera"}, "ok", "see the section cameras"),
        ({"source": "rtsp://me:geheim@cam/live"}, "skipped", "rtsp://cam/live"),
        ({"source": "/films/street.mp4"}, "ok", "street.mp4"),
        ({"source": "/films/*.mp4"}, "ok", "*.mp4"),
        ({"source": "/films/none.mp4"}, "error", "is not there"),
    ],
)
def test_the_source_is_looked_for_and_never_started(
    make_machine: MakeMachine, settings: dict[str, object], status: str, phrase: str
) -> None:
    files = {"dev/video0": "", "sys/class/video4linux/video0/name": "C920\n", "films/street.mp4": ""}
    found = examined(make_machine(files, open_device=opens({"video0": CAMERA})), **settings)["source"]
    assert (found.status, phrase in found.said) == (status, True), found.said
    assert "geheim" not in found.said


def test_a_camera_that_does_not_open_does_not_tell_its_sizes(make_machine: MakeMachine) -> None:
    found = examined(make_machine({"dev/video0": ""}), source="0", size=(640, 480))["source"]
    assert found.status == "skipped"


@pytest.mark.parametrize(
    ("settings", "name", "status", "command"),
    [
        ({"log": Path("/logs/new.jsonl")}, "log", "ok", ""),
        ({"log": Path("/logs/old.jsonl")}, "log", "error", ""),
        ({"log": Path("/logs/old.jsonl"), "append": True}, "log", "ok", ""),
        ({"log": Path("/logs/empty.jsonl")}, "log", "ok", ""),
        ({"log": Path("/logs")}, "log", "error", ""),
        ({"log": Path("/shut/x.jsonl")}, "log", "error", "sudo chown $USER /shut"),
        ({"log": Path("/logs/shut.jsonl"), "overwrite": True}, "log", "error", "sudo chown $USER /logs/shut.jsonl"),
        ({"telemetry": Path("/no where/t.csv")}, "telemetry", "error", "mkdir -p '/no where'"),
        ({"output": Path("/logs/old.jsonl/x.mp4")}, "output", "error", ""),
        ({"snapshots": Path("/new/folder")}, "snapshots", "ok", ""),
        ({"snapshots": Path("/logs/old.jsonl")}, "snapshots", "error", ""),
    ],
)
def test_an_output_that_would_fail_is_known_before(
    make_machine: MakeMachine, settings: dict[str, object], name: str, status: str, command: str
) -> None:
    files = {"logs/old.jsonl": "{}\n", "logs/empty.jsonl": "", "logs/shut.jsonl": "{}\n", "shut/keep": ""}
    machine = make_machine(files, forbidden=["shut", "logs/shut.jsonl"])
    found = examined(machine, **settings)[name]
    assert (found.status, found.command) == (status, command), found.said


def test_what_only_the_service_may_write_is_no_fault(make_machine: MakeMachine) -> None:
    """systemd makes its folders at the first start, for a user of its own."""
    log = Path("/var/log/edge-runtime/found.jsonl")
    assert examined(make_machine(), is_service=True, log=log)["log"].status == "skipped"
    machine = make_machine({"var/log/edge-runtime/keep": ""}, forbidden=["var/log/edge-runtime"])
    assert examined(machine, is_service=True, log=log)["log"].status == "skipped"
    assert examined(machine, log=log)["log"].status == "error"
