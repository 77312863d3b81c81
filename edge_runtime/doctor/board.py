"""The board and its operating system."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from edge_runtime.doctor.finding import Finding, error, ok, skipped, warning
from edge_runtime.doctor.machine import Interpreter, Machine, Settings
from edge_runtime.telemetry.board import BoardProbe

TRIXIE = 13
OLDEST_DEBIAN = 12
_QUOTED = re.compile(r'^([A-Z_]+)=("?)(.*)\2$', re.MULTILINE)


def check_board(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """Yield what this is: board, system, kernel."""
    del settings
    probe = BoardProbe(sys_root=machine.path("/sys"), proc_root=machine.path("/proc"), run=machine.run)
    yield check_model(probe.model(), machine.interpreter.machine)
    release = read_release(machine.text("/etc/os-release"))
    yield check_system(release, machine.interpreter, is_pi=is_raspberry_pi(machine))
    yield check_container(machine)


def is_raspberry_pi(machine: Machine) -> bool:
    """Return whether the firmware calls this a Raspberry Pi."""
    return machine.text("/proc/device-tree/model").startswith("Raspberry Pi")


def check_model(name: str, processor: str) -> Finding:
    """Return the board's name; one with an ARMv6 has no engine."""
    said = name if name == processor else f"{name}, {processor}"
    if processor == "armv6l":
        return error("board", said, "no TFLite engine is built for ARMv6; take a Zero 2 W, a Pi 3 or later")
    return ok("board", said, facts={"model": name, "machine": processor})


def read_release(text: str) -> dict[str, str]:
    """Return the keys of /etc/os-release. Source: os-release(5)."""
    return {key: value for key, _, value in _QUOTED.findall(text)}


def check_system(release: Mapping[str, str], one: Interpreter, *, is_pi: bool) -> Finding:
    """Return which system this is, and whether an engine is built for it."""
    name = release.get("PRETTY_NAME", "")
    if not name:
        return skipped("system", "its name is not told (no /etc/os-release)")
    said = f"{'Raspberry Pi OS, ' if is_pi else ''}{name}, {one.bits}-bit"
    facts = {"id": release.get("ID", ""), "version": release.get("VERSION_ID", "")}
    if release.get("ID") not in ("debian", "raspbian") or not facts["version"].isdecimal():
        return ok("system", said, facts=facts)
    version = int(facts["version"])
    if one.bits == 32 and version >= TRIXIE:
        return error("system", f"{said}: its Python has no TFLite engine",
                     "write the 64-bit Raspberry Pi OS to the card", facts=facts)  # fmt: skip
    if version < OLDEST_DEBIAN:
        return warning("system", f"{said}: too old for ai-edge-litert, which needs Debian {OLDEST_DEBIAN}",
                       "write a current Raspberry Pi OS to the card", facts=facts)  # fmt: skip
    return ok("system", said, facts=facts)


def check_container(machine: Machine) -> Finding:
    """Return whether this runs in a container, which hides part of the board."""
    if machine.path("/.dockerenv").exists() or machine.path("/run/.containerenv").exists():
        return ok("container", "this is one; devices and facts of the board that it was not given are absent below")
    return ok("container", "none")
