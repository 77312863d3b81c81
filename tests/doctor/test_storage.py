"""Disks: room, wear, and what is gone after a restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_runtime.config import Config
from edge_runtime.doctor import storage
from edge_runtime.doctor.machine import Machine, Settings
from edge_runtime.doctor.mounts import Disk, Mount, disk_of, mount_of, read_mounts
from edge_runtime.doctor.storage import check_storage, check_wear, places
from edge_runtime.outputs import disk
from tests.doctor.conftest import PI_5, by_name, disk_status

MakeMachine = Callable[..., Machine]
GIB = 1024**3
MOUNTS = """\
22 1 179:2 / / rw,noatime shared:1 - ext4 /dev/root rw
30 22 179:1 / /boot/firmware rw,relatime shared:2 - vfat /dev/mmcblk0p1 rw
31 22 0:40 / /tmp rw,nosuid shared:3 - tmpfs tmpfs rw
32 22 8:1 / /mnt/my\\040disk ro,relatime - ext4 /dev/sda1 ro
"""
CARD = {
    "proc/self/mountinfo": MOUNTS,
    "proc/uptime": "86400.00 100.0\n",
    "sys/dev/block/179:2": Path("../../block/mmcblk0/mmcblk0p2"),
    "sys/block/mmcblk0/mmcblk0p2/partition": "2\n",
    "sys/block/mmcblk0/size": f"{32 * GIB // 512}\n",
    "sys/block/mmcblk0/stat": f" 10 0 80 5 20 0 {2 * GIB // 512} 9 0 1 1\n",
    "sys/block/mmcblk0/device/type": "SD\n",
    "mnt/my disk/log/keep": "",
    "tmp/keep": "",
}


def examined(machine: Machine, **settings: object) -> dict[str, tuple[str, str]]:
    findings = check_storage(machine, Settings(Config(**settings)))  # type: ignore[arg-type]
    return {name: (one.status, one.said) for name, one in by_name(findings).items()}


def test_a_card_is_told_with_its_room_and_its_wear(make_machine: MakeMachine) -> None:
    """2 GiB a day on 32 GiB: sixteen days for the whole card."""
    found = examined(make_machine(CARD, environment={"HOME": "/home/pi"}))
    assert found == {
        "/": ("ok", "20.0 of 32.0 GiB are free, ext4, for system, cache"),
        "wear of mmcblk0": ("ok", "an SD card of 32 GiB; 2.0 GiB are written a day, at the rate since the start"),
    }


def test_a_card_that_is_written_too_often_says_who_to_look_for(make_machine: MakeMachine) -> None:
    machine = make_machine({**CARD, "proc/uptime": "7200.0 1.0\n"})
    status, said = examined(machine)["wear of mmcblk0"]
    assert (status, "24.0 GiB are written a day" in said, "in 1.3 days" in said) == ("warning", True, True)


@pytest.mark.parametrize(
    ("free", "status"), [(10 * GIB, "ok"), (GIB // 2, "warning"), (100 * 1024**2, "error"), (0, "error")]
)
def test_a_full_disk_is_an_error_before_outputs_stop(make_machine: MakeMachine, free: int, status: str) -> None:
    machine = make_machine(CARD, statvfs=lambda path: disk_status(free=free, size=32 * GIB))
    assert examined(machine)["/"][0] == status


def test_the_reserve_is_that_of_the_outputs() -> None:
    """Two figures that must not part."""
    assert (storage.RESERVE_BYTES, storage.RESERVE_SHARE) == (disk.RESERVE_BYTES, disk.RESERVE_SHARE)


def test_a_disk_without_room_for_another_file_is_full_too(make_machine: MakeMachine) -> None:
    """A million snapshots use up the inodes first."""
    machine = make_machine(CARD, statvfs=lambda path: disk_status(free=9 * GIB, size=32 * GIB, free_files=0))
    assert examined(machine)["/"][0] == "error"


def test_logs_in_memory_and_on_a_read_only_disk_are_told(make_machine: MakeMachine) -> None:
    found = examined(make_machine(CARD), log=Path("/tmp/found.jsonl"), snapshots=Path("/mnt/my disk/log/new"))
    assert found["/tmp"] == ("warning", "log lies in memory (tmpfs) and is gone after a restart")
    assert found["/mnt/my disk"] == ("error", "is mounted read-only, and snapshots is to be written there")


@pytest.mark.parametrize(("files", "status"), [(PI_5, "warning"), ({}, "ok")])
def test_the_overlay_of_raspi_config_forgets_what_is_written(
    make_machine: MakeMachine, files: dict[str, str], status: str
) -> None:
    """And a container's overlay does not, as far as the container knows."""
    machine = make_machine({**files, "proc/self/mountinfo": "22 1 0:50 / / rw - overlay overlay rw\n"})
    assert examined(machine, log=Path("/var/log/x.jsonl"))["/"][0] == status


def test_a_read_only_system_is_in_order_where_nothing_is_written_to_it(make_machine: MakeMachine) -> None:
    machine = make_machine({"proc/self/mountinfo": "22 1 0:50 / / ro - squashfs x ro\n"})
    assert examined(machine)["/"][0] == "ok"


def test_a_disk_that_does_not_answer_is_passed_over(make_machine: MakeMachine) -> None:
    """A network folder whose server has gone."""

    def gone(path: Path) -> object:
        raise OSError(116, "Stale file handle")

    assert examined(make_machine(CARD, statvfs=gone))["/"][0] == "skipped"
    assert examined(make_machine({"proc/self/mountinfo": "", "sys/x": ""}))["disks"][0] == "skipped"


def test_mounts_are_found_by_the_deepest_place() -> None:
    mounts = read_mounts(MOUNTS + "torn line\n33 22 0:41 / /tmp rw - ramfs none rw\n")
    places_of = {folder: mount_of(folder, mounts) for folder in ("/home/pi", "/tmp/x", "/mnt/my disk", "/tmpfile")}
    assert {folder: (one.point, one.kind) for folder, one in places_of.items() if one} == {
        "/home/pi": ("/", "ext4"),
        "/tmp/x": ("/tmp", "ramfs"),
        "/mnt/my disk": ("/mnt/my disk", "ext4"),
        "/tmpfile": ("/", "ext4"),
    }
    assert mounts[3] == Mount("/mnt/my disk", "8:1", "ext4", True)
    assert mount_of("/", []) is None


def test_what_has_no_disk_has_no_wear(make_machine: MakeMachine) -> None:
    machine = make_machine({"sys/block/nbd0/stat": "1 2\n", "sys/dev/block/43:0": Path("../../block/nbd0")})
    assert (disk_of(machine, "0:40"), disk_of(machine, "43:0")) == (None, None)


@pytest.mark.parametrize(
    ("card", "worn", "uptime", "status"),
    [
        ("SD", None, "600.0 1.0", "skipped"),
        ("SD", None, "", "skipped"),
        ("", None, "7200.0 1.0", "ok"),
        ("", None, "60.0 1.0", "ok"),
        ("MMC", 2, "864000.0 1.0", "ok"),
        ("MMC", 10, "864000.0 1.0", "warning"),
    ],
)
def test_wear_is_foretold_only_where_it_can_be(card: str, worn: int | None, uptime: str, status: str) -> None:
    """The writing of a start says nothing about a day; eMMC counts its own life."""
    assert check_wear(Disk("mmcblk0", 32 * GIB, GIB, card, worn), uptime).status == status


def test_an_emmc_tells_its_life(make_machine: MakeMachine) -> None:
    machine = make_machine({**CARD, "sys/block/mmcblk0/device/life_time": "0x02 0x0a\n"})
    found = disk_of(machine, "179:2")
    assert found == Disk("mmcblk0", 32 * GIB, 2 * GIB, "SD", 10)


def test_the_places_are_those_of_the_settings() -> None:
    config = Config(log=Path("-"), telemetry=Path("/a/t.csv"), snapshots=Path("/b"))
    found = places(config, {"CACHE_DIRECTORY": "/c"})
    assert found == {"system": Path("/"), "telemetry": Path("/a"), "snapshots": Path("/b"), "cache": Path("/c")}
