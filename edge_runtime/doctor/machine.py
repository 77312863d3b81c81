"""Where the facts come from: files below a root folder, and a few calls that a test can put its own in place of."""

from __future__ import annotations

import grp
import os
import platform
import pwd
import struct
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

from edge_runtime.config import Config
from edge_runtime.doctor.trials import Trial
from edge_runtime.doctor.v4l2 import OpenDevice, open_device
from edge_runtime.telemetry.board import Run, run_program


@dataclass(frozen=True, slots=True)
class User:
    """Who runs the doctor."""

    name: str
    uid: int
    groups: frozenset[int]  # of this session, which a change of /etc/group does not reach

    @property
    def is_root(self) -> bool:
        """Whether no permission keeps this user out."""
        return self.uid == 0


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python that runs."""

    version: tuple[int, int, int]
    bits: int  # 32 or 64, of the program and not of the kernel
    machine: str  # what the kernel calls it: "aarch64", also under a 32-bit system
    glibc: tuple[int, int] | None  # None where the C library is another one
    executable: str
    prefix: Path
    is_venv: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that the doctor looks at."""

    config: Config
    file: Path | None = None  # they were read from
    is_service: bool = False  # it is the service's own file, which nobody named
    problem: str = ""  # why they cannot be read; `config` then holds the defaults


@dataclass(frozen=True, slots=True)
class Machine:
    """Everything a check may look at. Without arguments it is this machine."""

    root: Path = Path("/")
    run: Run = run_program  # what a program writes; None if it is missing, fails or hangs
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    user: User = field(default_factory=lambda: this_user())
    interpreter: Interpreter = field(default_factory=lambda: this_interpreter())
    packages: Mapping[str, str] = field(default_factory=lambda: installed_packages())
    trials: Callable[[], Mapping[str, Trial]] = dict
    open_device: OpenDevice = open_device
    access: Callable[[Path, int], bool] = os.access
    statvfs: Callable[[Path], os.statvfs_result] = os.statvfs
    is_synchronised: Callable[[], bool | None] | None = None  # None asks the kernel
    wall_clock: Callable[[], float] = time.time
    has_module: Callable[[str], bool] = lambda name: can_import(name)

    def path(self, absolute: str | Path) -> Path:
        """Return where a file of the machine really lies: below the root."""
        return self.root / str(absolute).lstrip("/")

    def text(self, absolute: str | Path) -> str:
        """Return what a file says, without its end; empty if it is not there or does not answer."""
        return text_of(self.path(absolute))


def text_of(path: Path) -> str:
    """Return what a file says, without spaces and NULs at its ends; empty if it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip("\0 \n\t")
    except OSError:
        return ""


def can_import(module: str) -> bool:
    """Return whether Python finds this module; the folder that an uninstall leaves behind is none."""
    spec = find_spec(module)
    return spec is not None and spec.origin is not None


def this_user() -> User:
    """Return who runs this process; its number stands for a name that the system does not know."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return User(name, uid, frozenset((*os.getgroups(), os.getgid())))


def this_interpreter() -> Interpreter:
    """Return the Python that runs this process."""
    library, version = platform.libc_ver()
    parts = version.split(".")
    glibc = (int(parts[0]), int(parts[1])) if library == "glibc" and len(parts) >= 2 else None
    return Interpreter(
        version=sys.version_info[:3],
        bits=struct.calcsize("P") * 8,
        machine=platform.machine(),
        glibc=glibc,
        executable=sys.executable,
        prefix=Path(sys.prefix),
        is_venv=sys.prefix != sys.base_prefix,
    )


def installed_packages(path: list[str] | None = None) -> dict[str, str]:
    """Return package -> version of all that pip or Debian installed; names in small letters with dashes.

    Args:
        path: the folders to look in; None is where Python imports from. The first copy of a package counts.
    """
    found: dict[str, str] = {}
    for one in distributions(path=sys.path if path is None else path):
        name = one.metadata["Name"]
        if name:
            found.setdefault(name.lower().replace("_", "-").replace(".", "-"), one.version or "unknown")
    return found


def group_members(machine: Machine, name: str) -> tuple[int, frozenset[str]] | None:
    """Return number and members of a group by /etc/group; None if there is no such group."""
    for line in machine.text("/etc/group").splitlines():
        parts = line.split(":")
        if len(parts) == 4 and parts[0] == name and parts[2].isdecimal():
            return int(parts[2]), frozenset(filter(None, parts[3].split(",")))
    if machine.root != Path("/"):
        return None
    try:  # a directory service knows more than the file
        entry = grp.getgrnam(name)
    except KeyError:
        return None
    return entry.gr_gid, frozenset(entry.gr_mem)
