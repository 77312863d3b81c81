"""Cameras, from trees of files and drivers of bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.config import Config
from edge_runtime.doctor.cameras import check_cameras, check_group
from edge_runtime.doctor.machine import Machine, Settings
from tests.doctor.camera import META, Driver, opens
from tests.doctor.conftest import PI_5, USER, by_name, nothing_to_ask

MakeMachine = Callable[..., Machine]
YUYV = int.from_bytes(b"YUYV", "little")
C920 = Driver(formats={YUYV: ("YUYV 4:2:2", [(640, 480), (1280, 720)])})
SETTINGS = Settings(Config())


def node(number: int, name: str, index: int = 0) -> dict[str, str | Path]:
    folder = f"sys/class/video4linux/video{number}"
    return {f"dev/video{number}": "", f"{folder}/name": f"{name}\n", f"{folder}/index": f"{index}\n"}


def holder(
    pid: int, program: str, device: str, cgroup: str = "0::/user.slice/session-1.scope"
) -> dict[str, str | Path]:
    return {f"proc/{pid}/fd/7": Path(device), f"proc/{pid}/comm": f"{program}\n", f"proc/{pid}/cgroup": f"{cgroup}\n"}


def test_a_webcam_is_told_with_its_formats_and_its_second_node_apart(make_machine: MakeMachine) -> None:
    """What people try by hand with v4l2-ctl, which is not installed."""
    files = {**PI_5, **node(0, "C920"), **node(1, "C920", 1), **node(10, "bcm2835-codec-decode")}
    drivers = {"video0": C920, "video1": Driver(node=META), "video10": Driver(node=0x4000)}
    found = by_name(check_cameras(make_machine(files, open_device=opens(drivers)), SETTINGS))
    camera = found["/dev/video0"]
    assert camera.status == "ok"
    assert camera.said == "C920, driver uvcvideo: YUYV up to 1280x720 (2 sizes)"
    assert camera.facts["formats"][0]["sizes_wh"] == ((640, 480), (1280, 720))
    assert found["other nodes"].said == "metadata video1; codec video10 (they give no pictures)"
    assert found["group video"].status == "ok"


def test_a_camera_in_other_hands_names_the_program_and_what_ends_it(make_machine: MakeMachine) -> None:
    """ "Device or resource busy" sends people to reboot."""
    files = {**node(0, "C920"), **holder(812, "motion", "/dev/video0", "0::/system.slice/motion.service")}
    camera = by_name(check_cameras(make_machine(files, open_device=opens({"video0": C920})), SETTINGS))["/dev/video0"]
    assert camera.status == "warning"
    assert "held by motion (process 812, motion.service)" in camera.said
    assert camera.command == "sudo systemctl stop motion.service"
    assert camera.facts["held_by"] == [{"pid": 812, "program": "motion", "unit": "motion.service"}]


def test_a_program_started_by_hand_is_ended_by_its_number(make_machine: MakeMachine) -> None:
    files = {**node(0, "C920"), **holder(99, "ffmpeg", "/dev/video0"), **holder(98, "bash", "/dev/tty1")}
    camera = by_name(check_cameras(make_machine(files, open_device=opens({"video0": C920})), SETTINGS))["/dev/video0"]
    assert (camera.status, camera.command) == ("warning", "sudo kill 99")


def test_our_own_service_holds_it_rightly(make_machine: MakeMachine) -> None:
    """The doctor is asked while the service runs; that must not be a fault."""
    slice_ = "0::/system.slice/system-edge\\x2druntime.slice/edge-runtime@front.service"
    files = {**node(0, "C920"), **holder(5, "python", "/dev/video0", slice_)}
    camera = by_name(check_cameras(make_machine(files, open_device=opens({"video0": C920})), SETTINGS))["/dev/video0"]
    assert camera.status == "ok"
    assert camera.said.endswith("held by edge-runtime@front.service, as it should be")


def test_a_camera_without_permission_says_the_command(make_machine: MakeMachine) -> None:
    """The most frequent fault of all."""
    machine = make_machine({**PI_5, **node(0, "C920"), "etc/group": "video:x:44:\n"}, forbidden=["dev/video0"],
                           user=replace(USER, groups=frozenset({1000})))  # fmt: skip
    found = by_name(check_cameras(machine, SETTINGS))
    for name in ("/dev/video0", "group video"):
        assert (found[name].status, found[name].command) == ("error", "sudo usermod -aG video $USER")


@pytest.mark.parametrize(
    ("drivers", "status", "phrase"),
    [
        ({}, "error", "does not open (No such device)"),
        ({"video0": Driver()}, "warning", "no formats"),
    ],
)
def test_a_camera_that_does_not_work_is_told_apart(
    make_machine: MakeMachine, drivers: dict[str, Driver], status: str, phrase: str
) -> None:
    """A node may outlive its camera, and a device may be none."""
    machine = make_machine(node(0, "C920"), open_device=opens(drivers))
    camera = by_name(check_cameras(machine, SETTINGS))["/dev/video0"]
    assert (camera.status, phrase in camera.said) == (status, True)


def test_a_node_that_answers_nothing_is_a_warning(make_machine: MakeMachine) -> None:
    camera = by_name(check_cameras(make_machine(node(0, "X"), open_device=nothing_to_ask), SETTINGS))["/dev/video0"]
    assert (camera.status, camera.said) == ("warning", "X: does not answer as a camera")


def test_ranges_and_silent_formats_are_told_as_they_are(make_machine: MakeMachine) -> None:
    """A virtual camera knows no list of sizes, and an old driver none at all."""
    drivers = {"video0": Driver(formats={YUYV: ("YUYV", [(32, 32, 2592, 1944)]), YUYV + 1: ("x", [])})}
    camera = by_name(check_cameras(make_machine(node(0, "X"), open_device=opens(drivers)), SETTINGS))["/dev/video0"]
    assert camera.said.endswith("YUYV any size up to 2592x1944, ZUYV (its sizes are not told)")


def test_nodes_that_do_not_answer_are_other_nodes(make_machine: MakeMachine) -> None:
    drivers = {"video1": Driver(), "video2": Driver(node=0x10)}
    files = {**node(0, "X"), **node(1, "X", 1), **node(2, "X", 2), **node(3, "X", 3)}
    found = by_name(check_cameras(make_machine(files, open_device=opens(drivers)), SETTINGS))
    assert found["other nodes"].facts == {"second node": ["video1"], "other": ["video2", "video3"]}
    silent = by_name(check_cameras(make_machine(open_device=nothing_to_ask), SETTINGS))
    assert silent["other nodes"].facts == {"other": ["video1", "video2", "video3"]}


def test_no_camera_is_no_fault(make_machine: MakeMachine) -> None:
    """Streams and files need none."""
    found = by_name(check_cameras(make_machine(), SETTINGS))
    assert (found["cameras"].status, "picamera2" in found) == ("skipped", False)


def test_the_boards_own_connector_wants_picamera2(make_machine: MakeMachine) -> None:
    """V4L2 opens that node and gives no picture."""
    machine = make_machine({**PI_5, **node(0, "unicam"), "usr/lib/python3/dist-packages/nothing": ""})
    found = by_name(check_cameras(machine, SETTINGS))
    assert "--source picamera" in found["/dev/video0"].said
    assert (found["picamera2"].status, found["picamera2"].command) == ("warning", "sudo apt install python3-picamera2")
    assert by_name(check_cameras(machine, Settings(Config(source="picamera"))))["picamera2"].status == "error"


def test_picamera2_that_is_there_is_in_order(make_machine: MakeMachine) -> None:
    found = by_name(check_cameras(make_machine(PI_5, has_module=lambda name: True), SETTINGS))
    assert found["picamera2"].status == "ok"


def test_a_virtual_environment_that_hides_picamera2_is_opened_with_one_line(make_machine: MakeMachine) -> None:
    """apt install answers "already the newest version" there, and people are stuck."""
    packages = ("libcamera", "picamera2")
    files = {f"usr/lib/python3/dist-packages/{name}/__init__.py": "" for name in packages}
    found = by_name(check_cameras(make_machine({**PI_5, **files}), Settings(Config(source="picamera:1"))))
    assert found["picamera2"].status == "error"
    assert found["picamera2"].command.startswith("sed -i 's/^include-system-site-packages.*/include-system-site")
    assert found["picamera2"].command.endswith(" /opt/edge/pyvenv.cfg")


@pytest.mark.parametrize(
    ("user", "group", "is_kept_out", "status", "command"),
    [
        (replace(USER, uid=0), (44, frozenset()), False, "ok", ""),
        (USER, None, False, "skipped", ""),
        (USER, (44, frozenset()), False, "ok", ""),
        (replace(USER, groups=frozenset()), (44, frozenset({"pi"})), True, "error", "newgrp video"),
        (replace(USER, groups=frozenset()), (44, frozenset({"pi"})), False, "warning", "newgrp video"),
        (replace(USER, groups=frozenset()), (44, frozenset()), False, "warning", "sudo usermod -aG video $USER"),
    ],
)
def test_the_group_counts_for_the_session_and_not_for_the_file(
    user: Any, group: Any, is_kept_out: bool, status: str, command: str
) -> None:
    """usermod changes a file; the shell that is open goes on without the group."""
    found = check_group(user, group, is_kept_out=is_kept_out)
    assert (found.status, found.command) == (status, command)


def test_processes_of_others_are_counted_where_they_hide_what_they_hold(make_machine: MakeMachine) -> None:
    """Without root an empty answer is no proof."""
    files = {**node(0, "C920"), **holder(77, "secret", "/dev/video0")}
    machine = make_machine(files, open_device=opens({"video0": C920}))
    folder = machine.root / "proc/77/fd"
    folder.chmod(0)
    try:
        if os.access(folder, os.R_OK):
            pytest.skip("root may look everywhere")
        found = by_name(check_cameras(machine, SETTINGS))
    finally:
        folder.chmod(0o700)
    assert found["other users"].said.startswith("1 of their processes")
