"""Board, power, memory, clock: trees of files as boards have them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from edge_runtime.config import Config
from edge_runtime.doctor.board import check_board
from edge_runtime.doctor.machine import Machine, Settings
from edge_runtime.doctor.memory import check_memory
from edge_runtime.doctor.power import check_power, check_temperature
from edge_runtime.doctor.timekeeping import check_clock, kernel_is_synchronised
from tests.doctor.conftest import PI_5, PYTHON, Programs, by_name

MakeMachine = Callable[..., Machine]
SETTINGS = Settings(Config())
MIB = 1024


def release(version: str, name: str = "debian") -> dict[str, str]:
    return {"etc/os-release": f'PRETTY_NAME="Debian {version}"\nID={name}\nVERSION_ID="{version}"\n'}


def test_a_pi_5_with_a_current_system_is_in_order(make_machine: MakeMachine) -> None:
    found = by_name(check_board(make_machine(PI_5), SETTINGS))
    assert {one.status for one in found.values()} == {"ok"}
    assert found["board"].said == "Raspberry Pi 5 Model B Rev 1.0, aarch64"
    assert found["system"].said == "Raspberry Pi OS, Debian GNU/Linux 13 (trixie), 64-bit"


@pytest.mark.parametrize(
    ("files", "changes", "name", "status"),
    [
        (release("13"), {"bits": 32}, "system", "error"),
        (release("13", "raspbian"), {"bits": 32}, "system", "error"),
        (release("12"), {"bits": 32}, "system", "ok"),
        (release("11"), {}, "system", "warning"),
        (release("24.04", "ubuntu"), {}, "system", "ok"),
        ({}, {}, "system", "skipped"),
        ({}, {"machine": "armv6l"}, "board", "error"),
        ({".dockerenv": ""}, {}, "container", "ok"),
    ],
)
def test_a_system_without_an_engine_is_told_before_anything_is_installed(
    make_machine: MakeMachine, files: dict[str, str], changes: dict[str, object], name: str, status: str
) -> None:
    machine = make_machine(files, interpreter=replace(PYTHON, **changes))  # type: ignore[arg-type]
    assert by_name(check_board(machine, SETTINGS))[name].status == status


@pytest.mark.parametrize(
    ("bits", "voltage", "throttling"),
    [
        ("0x0", "ok", "ok"),
        ("0x50000", "warning", "warning"),
        ("0x50005", "error", "warning"),
        ("0x80008", "ok", "warning"),
    ],
)
def test_a_weak_supply_is_an_error_now_and_a_warning_once(
    make_machine: MakeMachine, bits: str, voltage: str, throttling: str
) -> None:
    """It corrupts cards, and shows itself as everything else."""
    found = by_name(check_power(make_machine(PI_5, run=Programs(vcgencmd=f"throttled={bits}\n")), SETTINGS))
    assert (found["voltage"].status, found["throttling"].status) == (voltage, throttling)


def test_a_machine_that_tells_nothing_is_not_accused(make_machine: MakeMachine) -> None:
    """A PC or a container has no such words."""
    assert {one.status for one in check_power(make_machine(), SETTINGS)} == {"skipped"}


def test_the_voltage_sensor_alone_knows_nothing_of_the_past(make_machine: MakeMachine) -> None:
    files = {"sys/class/hwmon/hwmon0/name": "rpi_volt\n", "sys/class/hwmon/hwmon0/in0_lcrit_alarm": "0\n"}
    found = by_name(check_power(make_machine(files), SETTINGS))
    assert (found["voltage"].said, found["throttling"].status) == ("enough now", "skipped")


@pytest.mark.parametrize(
    ("celsius", "status"), [(None, "skipped"), (48.2, "ok"), (75.0, "warning"), (84.9, "warning"), (85.0, "error")]
)
def test_the_temperature_is_judged_by_where_the_chip_slows_down(celsius: float | None, status: str) -> None:
    assert check_temperature(celsius).status == status


def meminfo(total: int, free: int, swap: int = 0, swap_free: int = 0) -> dict[str, str]:
    """Return /proc/meminfo, in MiB."""
    rows = {"MemTotal": total, "MemAvailable": free, "SwapTotal": swap, "SwapFree": swap_free}
    return {"proc/meminfo": "".join(f"{name}:  {value * MIB} kB\n" for name, value in rows.items())}


@pytest.mark.parametrize(
    ("files", "name", "status"),
    [
        (meminfo(8000, 6000), "memory", "ok"),
        (meminfo(416, 150), "memory", "warning"),
        (meminfo(416, 60), "memory", "error"),
        ({"proc/meminfo": "MemTotal: much\n"}, "memory", "skipped"),
        (meminfo(416, 300, 200, 150), "swap", "ok"),
        (meminfo(416, 300, 200, 20), "swap", "warning"),
        (meminfo(416, 300), "swap", "ok"),
        ({}, "swap", "skipped"),
        ({"proc/vmstat": "pgfault 3\noom_kill 0\n"}, "ended programs", "ok"),
        ({"proc/vmstat": "oom_kill 2\n"}, "ended programs", "warning"),
        ({}, "ended programs", "skipped"),
        ({"sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n"}, "memory limits", "ok"),
        ({"sys/fs/cgroup/cgroup.controllers": "cpuset cpu io pids\n"}, "memory limits", "warning"),
        ({"proc/cgroups": "#subsys_name\thierarchy\tnum\tenabled\nmemory\t0\t90\t1\n"}, "memory limits", "ok"),
        ({"proc/cgroups": "memory\t0\t90\t0\n"}, "memory limits", "warning"),
        ({}, "memory limits", "skipped"),
    ],
)
def test_memory_is_enough_or_says_what_takes_it(
    make_machine: MakeMachine, files: dict[str, str], name: str, status: str
) -> None:
    assert by_name(check_memory(make_machine(files), SETTINGS))[name].status == status


def test_a_pi_with_the_memory_groups_off_gets_the_line_that_turns_them_on(make_machine: MakeMachine) -> None:
    """Raspberry Pi OS boots that way, and MemoryMax of the unit then does nothing."""
    files = {**PI_5, "sys/fs/cgroup/cgroup.controllers": "cpu pids\n", "boot/firmware/cmdline.txt": "quiet\n"}
    found = by_name(check_memory(make_machine(files), SETTINGS))["memory limits"]
    assert found.command == "sudo sed -i '1 s/$/ cgroup_enable=memory/' /boot/firmware/cmdline.txt && sudo reboot"


@pytest.mark.parametrize(
    ("told", "has_clock", "status", "command"),
    [
        (None, False, "skipped", ""),
        ("NTP=yes\nNTPSynchronized=yes\n", False, "ok", ""),
        ("NTP=no\nNTPSynchronized=no\n", False, "warning", "sudo timedatectl set-ntp true"),
        ("NTP=yes\nNTPSynchronized=no\n", True, "warning", "timedatectl timesync-status"),
    ],
)
def test_a_clock_that_nobody_sets_is_told_with_its_remedy(
    make_machine: MakeMachine, told: str | None, has_clock: bool, status: str, command: str
) -> None:
    files = {"sys/class/rtc/rtc0/name": "x"} if has_clock else {}
    run = Programs() if told is None else Programs(timedatectl=told)
    found = by_name(check_clock(make_machine(files, run=run, is_synchronised=lambda: False), SETTINGS))["synchronised"]
    assert (found.status, found.command) == (status, command)
    assert ("no hardware clock" in found.said) == (status == "warning" and not has_clock)


def test_a_clock_in_the_past_is_an_error(make_machine: MakeMachine) -> None:
    """A board without a battery begins in the year of its image, and so do its records."""
    found = by_name(check_clock(make_machine(wall_clock=lambda: 86400.0), SETTINGS))
    assert (found["time"].status, found["time"].facts["year"]) == ("error", 1970)
    assert found["synchronised"].status == "ok"


def test_a_kernel_that_does_not_tell_is_asked_no_more(make_machine: MakeMachine) -> None:
    assert (
        by_name(check_clock(make_machine(is_synchronised=lambda: None), SETTINGS))["synchronised"].status == "skipped"
    )
    assert kernel_is_synchronised() in (True, False, None)
