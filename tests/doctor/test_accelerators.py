"""Accelerators, from trees of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_runtime.config import Config
from edge_runtime.doctor.accelerators import EDGETPU_LIBRARY, check_accelerators, permission
from edge_runtime.doctor.finding import Finding
from edge_runtime.doctor.machine import Machine, Settings
from edge_runtime.doctor.trials import DIED, DONE, FAILED, Trial
from edge_runtime.inference.edgetpu import how_to_grant
from tests.doctor.conftest import by_name

MakeMachine = Callable[..., Machine]
RULE = {"etc/udev/rules.d/60-coral.rules": 'SUBSYSTEM=="usb", ATTRS{idVendor}=="18d1", GROUP="plugdev"\n'}
LOADS = Trial(DONE, facts={"is_delegate": True, "version": "BuildLabel(N/A), RuntimeVersion(14)"})
ABSENT = Trial(FAILED, "libedgetpu.so.1: cannot open shared object file: No such file or directory", "OSError")


def stick(speed: int = 5000, *, root_speed: int = 5000) -> dict[str, str | Path]:
    folder = "sys/bus/usb/devices/2-1"
    return {f"{folder}/idVendor": "18d1\n", f"{folder}/idProduct": "9302\n", f"{folder}/speed": f"{speed}\n",
            f"{folder}/busnum": "2\n", f"{folder}/devnum": "3\n", "dev/bus/usb/002/003": "",
            "sys/bus/usb/devices/usb2/speed": f"{root_speed}\n"}  # fmt: skip


def examined(machine: Machine, backend: str = "auto") -> dict[str, Finding]:
    return by_name(check_accelerators(machine, Settings(Config(backend=backend))))


def test_a_stick_with_its_library_is_in_order(make_machine: MakeMachine) -> None:
    found = examined(make_machine({**stick(), **RULE}, trials=lambda: {EDGETPU_LIBRARY: LOADS}))
    assert (found["Edge TPU 2-1"].status, found["Edge TPU 2-1"].said) == ("ok", "Coral USB, 5000 Mbit/s")
    assert found["Edge TPU 2-1"].facts["has_udev_rule"] is True
    assert found[EDGETPU_LIBRARY].said == "BuildLabel(N/A), RuntimeVersion(14)"


@pytest.mark.parametrize(("root_speed", "advice"), [(5000, "plug it into a blue USB 3 port"), (480, "has no USB 3")])
def test_a_slow_port_is_told_and_whether_there_is_a_faster_one(
    make_machine: MakeMachine, root_speed: int, advice: str
) -> None:
    """7 ms become 50, and nothing else tells why."""
    found = examined(make_machine(stick(480, root_speed=root_speed)))["Edge TPU 2-1"]
    assert (found.status, advice in found.advice) == ("warning", True)


@pytest.mark.parametrize(
    ("rule", "phrase"),
    [({}, "/99-edge-runtime-edgetpu.rules /etc/udev/rules.d/ && "), (RULE, "sudo usermod -aG plugdev")],
)
def test_a_stick_that_only_root_may_use(make_machine: MakeMachine, rule: dict[str, str | Path], phrase: str) -> None:
    machine = make_machine({**stick(), **rule}, forbidden=["dev/bus/usb/002/003"])
    found = examined(machine)["Edge TPU 2-1"]
    assert (found.status, phrase in found.command) == ("error", True)


def test_the_command_is_that_of_the_backends_own_error() -> None:
    """Two answers to one fault would make people doubt both; the doctor only lives without numpy."""
    advice, command = permission(has_rule=False)
    assert how_to_grant() == f"run: {command}, and log in again"
    assert "log in again" in advice


def test_a_stick_in_use_names_the_program(make_machine: MakeMachine) -> None:
    files = {**stick(), "proc/31/fd/9": Path("/dev/bus/usb/002/003"), "proc/31/comm": "frigate\n"}
    found = examined(make_machine(files))["Edge TPU 2-1"]
    assert (found.status, found.command) == ("warning", "sudo kill 31")
    assert "held by frigate (process 31)" in found.said


def test_a_stick_that_a_container_was_not_given(make_machine: MakeMachine) -> None:
    files = {name: text for name, text in stick().items() if not name.startswith("dev/")}
    assert "device file is not here" in examined(make_machine(files))["Edge TPU 2-1"].said


def test_cards_are_told_with_their_heat_and_without_their_driver(make_machine: MakeMachine) -> None:
    pci = {"sys/bus/pci/devices/0000:01:00.0/vendor": "0x1ac1\n", "sys/bus/pci/devices/0000:01:00.0/device": "0x089a\n"}
    found = examined(make_machine(pci))
    assert (found["Edge TPU card"].status, found["Edge TPU card"].command) == ("error", "sudo apt install gasket-dkms")
    found = examined(make_machine({"dev/apex_0": "", "sys/class/apex/apex_0/temp": "51200\n"}))
    assert found["/dev/apex_0"].said == "a Coral card, 51 °C"
    shut = make_machine(forbidden=["dev/apex_0"])
    assert (examined(shut)["/dev/apex_0"].status, "Edge TPU card" in examined(shut)) == ("error", False)


@pytest.mark.parametrize(
    ("trial", "backend", "has_stick", "status"),
    [
        (ABSENT, "auto", False, "skipped"),
        (None, "auto", False, "skipped"),
        (ABSENT, "auto", True, "warning"),
        (ABSENT, "edgetpu", True, "error"),
        (LOADS, "auto", False, "ok"),
        (Trial(DONE, facts={"is_delegate": False, "version": ""}), "auto", False, "error"),
        (Trial(DIED, "SIGSEGV"), "edgetpu:usb", True, "error"),
        (Trial(DIED, "SIGSEGV"), "auto", True, "warning"),
    ],
)
def test_the_library_is_missed_only_where_it_is_needed(
    make_machine: MakeMachine, trial: Trial | None, backend: str, has_stick: bool, status: str
) -> None:
    """Nobody without a stick wants to read of it; a library that crashes is known before a run."""
    machine = make_machine(stick() if has_stick else {}, trials=lambda: {EDGETPU_LIBRARY: trial} if trial else {})
    found = examined(machine, backend)
    assert found[EDGETPU_LIBRARY].status == status
    assert ("Edge TPU" in found) == (not has_stick)


def test_a_backend_without_its_device_is_an_error(make_machine: MakeMachine) -> None:
    assert examined(make_machine(), "edgetpu")["Edge TPU"].status == "error"
    assert examined(make_machine())["Edge TPU"].status == "skipped"


@pytest.mark.parametrize(
    ("trial", "status"),
    [
        (Trial(DONE, facts={"is_delegate": True, "version": ""}), "ok"),
        (Trial(DONE, facts={"is_delegate": False, "version": ""}), "error"),
        (Trial(FAILED, "wrong ELF class"), "error"),
        (None, "error"),
    ],
)
def test_a_gpu_library_that_is_named_must_load(make_machine: MakeMachine, trial: Trial | None, status: str) -> None:
    machine = make_machine({"dev/dri/renderD128": ""}, trials=lambda: {"/x/libgpu.so": trial} if trial else {})
    found = examined(machine, "gpu:/x/libgpu.so")
    assert (found["GPU delegate"].status, found["GPU"].status) == (status, "ok")
    assert "GPU delegate" not in examined(machine, "gpu")
