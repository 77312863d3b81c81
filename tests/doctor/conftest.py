"""Machines made of files in a folder, so that every board fits on a desk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_runtime.doctor.finding import Finding
from edge_runtime.doctor.machine import Interpreter, Machine, User
from edge_runtime.doctor.trials import Trial

USER = User("pi", 1000, frozenset({1000, 44}))
PYTHON = Interpreter((3, 13, 1), 64, "aarch64", (2, 41), "/opt/edge/bin/python", Path("/opt/edge"), True)
PI_5 = {
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n',
    "etc/group": "root:x:0:\nvideo:x:44:pi\nplugdev:x:46:\n",
}


def disk_status(*, free: int, size: int, files: int = 1000, free_files: int = 500) -> Any:
    """Return what statvfs tells, for so many bytes."""
    return SimpleNamespace(f_bavail=free // 4096, f_blocks=size // 4096, f_frsize=4096, f_files=files,
                           f_favail=free_files)  # fmt: skip


class Programs:
    """The programs of a machine: what each writes, by the first word of its command; the rest is missing."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.commands: list[Sequence[str]] = []

    def __call__(self, command: Sequence[str]) -> str | None:
        self.commands.append(command)
        return self.answers.get(command[0])


def closed(path: Path) -> Any:
    """Refuse to open a device, as a machine without any does."""
    raise FileNotFoundError(2, "No such file or directory", str(path))


@contextmanager
def nothing_to_ask(path: Path) -> Iterator[Callable[[int, bytes], bytes | None]]:
    """Open a device that knows no question."""
    yield lambda request, data: None


@pytest.fixture
def make_machine(tmp_path: Path) -> Callable[..., Machine]:
    """Return a function that writes files below an empty root, and makes a machine of them.

    A value that is a Path becomes a link to it.
    """

    def make(files: Mapping[str, str | Path] | None = None, *, forbidden: Sequence[str] = (), **parts: Any) -> Machine:
        for name, content in (files or {}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                path.symlink_to(content)
            else:
                path.write_text(content)
        shut = {tmp_path / name for name in forbidden}
        facts: dict[str, Any] = {
            "root": tmp_path,
            "run": Programs(),
            "environment": {},
            "user": USER,
            "interpreter": PYTHON,
            "packages": {},
            "open_device": closed,
            "access": lambda path, mode: path not in shut and os.access(path, mode),
            "statvfs": lambda path: disk_status(free=20 * 1024**3, size=32 * 1024**3),
            "is_synchronised": lambda: True,
            "wall_clock": lambda: 1_800_000_000.0,  # January 2027
            "has_module": lambda name: name.replace("_", "-") in parts.get("packages", {}),
        }
        return Machine(**facts | parts)

    return make


def tried(**trials: Trial) -> Callable[[], Mapping[str, Trial]]:
    """Return trials as a machine offers them; underscores in the names stand for spaces."""
    return lambda: {name.replace("_", " "): trial for name, trial in trials.items()}


def only(findings: Any) -> Finding:
    """Return the one finding there is."""
    (found,) = list(findings)
    assert isinstance(found, Finding)
    return found


def by_name(findings: Any) -> dict[str, Finding]:
    return {one.name: one for one in findings}
