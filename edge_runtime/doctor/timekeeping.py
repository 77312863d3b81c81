"""The clock: records carry its time, and a board without a battery wakes up in the past."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator

from edge_runtime.doctor.finding import Finding, error, ok, skipped, warning
from edge_runtime.doctor.machine import Machine, Settings

FIRST_YEAR = 2026
"""This program did not exist before, so an earlier year is a wrong one."""
_UNSYNCHRONISED = 0x40  # STA_UNSYNC
_TIME_ERROR = 5
_SYNCHRONISE = "sudo timedatectl set-ntp true"


class _Timex(ctypes.Structure):
    """Source: adjtimex(2); only the beginning is read, the rest is room for what the kernel writes."""

    _fields_ = [("modes", ctypes.c_uint), *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror",
                "esterror")), ("status", ctypes.c_int), ("rest", ctypes.c_byte * 256)]  # fmt: skip


def kernel_is_synchronised() -> bool | None:
    """Return whether a time service disciplines the kernel's clock; None if the kernel does not say."""
    timex = _Timex()  # modes 0: only asks
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    return state != _TIME_ERROR and not timex.status & _UNSYNCHRONISED


def check_clock(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """Yield whether the time is right, as far as the machine can know."""
    del settings
    has_battery = any(machine.path("/sys/class/rtc").glob("rtc[0-9]*"))
    yield check_year(time.gmtime(machine.wall_clock()).tm_year, has_battery=has_battery)
    is_synchronised = (machine.is_synchronised or kernel_is_synchronised)()
    if not is_synchronised:
        told = machine.run(("timedatectl", "show", "--property=NTP", "--property=NTPSynchronized"))
        yield check_synchronised(is_synchronised, told or "", has_battery=has_battery)
    else:
        yield ok("synchronised", "yes, by the network", facts={"synchronised": True})


def check_year(year: int, *, has_battery: bool) -> Finding:
    """Return whether the year can be true."""
    if year >= FIRST_YEAR:
        battery = "there is a hardware clock" if has_battery else "no hardware clock: after a power cut the time is old"
        return ok(
            "time",
            f"the year is {year}; {battery} until the network tells",
            facts={"year": year, "has_rtc": has_battery},
        )
    said = f"the year is {year}: the clock is wrong, and so is the time in every record"
    advice = "connect the network, or give the board a hardware clock"
    return error("time", said, advice, _SYNCHRONISE, facts={"year": year})


def check_synchronised(is_synchronised: bool | None, told: str, *, has_battery: bool) -> Finding:
    """Return what to say where the kernel's clock is not disciplined, or does not tell.

    Args:
        is_synchronised: by the kernel; False or None.
        told: what timedatectl says; empty if it does not answer.
        has_battery: whether there is a hardware clock.
    """
    answers = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    if answers.get("NTPSynchronized") == "yes":
        return ok("synchronised", "yes, by the network", facts={"synchronised": True})
    if is_synchronised is None and not answers:
        return skipped("synchronised", "this machine does not tell")
    if not answers:
        # In a container or on a machine without systemd somebody else may see to the clock.
        return skipped("synchronised", "not by this system's own account; no timedatectl here to ask")
    said = "no; it runs by its own" if has_battery else "no, and there is no hardware clock"
    facts = {"synchronised": False}
    if answers.get("NTP") == "no":
        return warning("synchronised", f"{said}; time from the network is off", "", _SYNCHRONISE, facts=facts)
    said = f"{said}; the time service has reached no server yet"
    return warning("synchronised", said, "see what it waits for", "timedatectl timesync-status", facts=facts)
