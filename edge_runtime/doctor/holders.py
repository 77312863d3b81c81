"""Which programs hold a device open, by the links in /proc."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.doctor.machine import text_of
from edge_runtime.openfiles import open_files, processes, program_of

_SYSTEM_UNIT = re.compile(r"/system\.slice/(?:[^/\n]*/)*?([^/\n]+\.service)")


@dataclass(frozen=True, slots=True)
class Holder:
    """A program that has a device open."""

    pid: int
    program: str
    unit: str  # of systemd, "" for what somebody started by hand

    def __str__(self) -> str:
        return f"{self.program} (process {self.pid}{', ' + self.unit if self.unit else ''})"

    @property
    def is_ours(self) -> bool:
        """Whether it is this program, run as a service."""
        return self.unit.startswith(("edge-runtime.", "edge-runtime@"))

    @property
    def stop_command(self) -> str:
        """What ends it."""
        return f"sudo systemctl stop {self.unit}" if self.unit else f"sudo kill {self.pid}"


@dataclass(frozen=True, slots=True)
class Holders:
    """Who holds which device."""

    by_device: dict[str, tuple[Holder, ...]]
    hidden: int  # processes of other users whose files this one may not see


def find_holders(proc: Path, devices: Collection[str], *, own_pid: int | None = None) -> Holders:
    """Return the programs that have these devices open, in the order of their numbers.

    Args:
        proc: where procfs is.
        devices: as in "/dev/video0".
        own_pid: a process to leave out; None is this one.
    """
    own = os.getpid() if own_pid is None else own_pid
    found: dict[str, list[Holder]] = {device: [] for device in devices}
    hidden = 0
    for process in processes(proc):
        if int(process.name) == own:
            continue
        opened = open_files(process)
        if opened is None:
            hidden += 1
            continue
        for device in opened & set(devices):
            found[device].append(_holder(process))
    return Holders({device: tuple(those) for device, those in found.items()}, hidden)


def _holder(process: Path) -> Holder:
    unit = _SYSTEM_UNIT.search(text_of(process / "cgroup"))
    return Holder(int(process.name), program_of(process) or "a program", unit[1] if unit else "")
