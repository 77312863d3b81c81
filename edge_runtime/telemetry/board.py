"""What the board says of itself: model, temperature, frequency, throttling. What it does not say is None."""

from __future__ import annotations

import logging
import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.clock import NS_PER_S, now_ns

log = logging.getLogger(__name__)

SOC_ZONES = ("cpu-thermal", "cpu_thermal", "soc-thermal", "soc_thermal", "soc", "x86_pkg_temp")
"""Thermal zones that measure the processor, best first; others with "cpu" or "soc" in their name come after."""
POSSIBLE_CELSIUS = (-55.0, 150.0)
VCGENCMD = ("vcgencmd", "get_throttled")
VCGENCMD_TIMEOUT_S = 2.0
VCGENCMD_PACE_S = 5.0
VCGENCMD_RETRY_S = 60.0

Run = Callable[[Sequence[str]], str | None]


@dataclass(frozen=True, slots=True)
class ThrottleFlags:
    """Reasons why the firmware holds the board back; None where this source does not tell."""

    under_voltage: bool | None
    frequency_capped: bool | None
    throttled: bool | None
    soft_temperature_limit: bool | None

    def names(self) -> tuple[str, ...]:
        """Return those that are True."""
        return tuple(name for name in self.__slots__ if getattr(self, name))


UNKNOWN = ThrottleFlags(None, None, None, None)


@dataclass(frozen=True, slots=True)
class Throttling:
    """What holds the board back now, and what has since it was started."""

    now: ThrottleFlags
    since_boot: ThrottleFlags


@dataclass(frozen=True, slots=True)
class BoardFacts:
    """One look at the board."""

    temperature_celsius: float | None
    frequency_hz: int | None  # of the fastest core
    throttling: Throttling | None


def decode_throttled(bits: int) -> Throttling:
    """Return the flags of the firmware's word: bits 0 to 3 are now, 16 to 19 the same since the start.

    Source: Raspberry Pi documentation, computers/os, vcgencmd get_throttled.
    """

    def flags(first: int) -> ThrottleFlags:
        return ThrottleFlags(*(bool(bits >> (first + offset) & 1) for offset in range(4)))

    return Throttling(flags(0), flags(16))


def run_program(command: Sequence[str]) -> str | None:
    """Return what the program writes; None if it is missing, fails or takes too long."""
    try:
        done = subprocess.run(  # noqa: S603 (a fixed command, no shell)
            command, capture_output=True, text=True, timeout=VCGENCMD_TIMEOUT_S, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as exc:
        log.debug("program of the board not usable command=%s reason=%s", command[0], exc)
        return None
    return done.stdout


class BoardProbe:
    """Looks at the board.

    Args:
        sys_root: where sysfs is.
        proc_root: where procfs is.
        run: runs a command and returns what it wrote, or None.
        clock: monotonic nanoseconds.
    """

    def __init__(
        self,
        *,
        sys_root: Path = Path("/sys"),
        proc_root: Path = Path("/proc"),
        run: Run = run_program,
        clock: Callable[[], int] = now_ns,
    ) -> None:
        self._sys = sys_root
        self._proc = proc_root
        self._run = run
        self._clock = clock
        self._next_run_ns = clock()
        self._said: Throttling | None = None  # the last answer of vcgencmd

    def model(self) -> str:
        """Return the board's name: "Raspberry Pi 5 Model B Rev 1.0"; the machine type where it has none."""
        places = (self._proc / "device-tree/model", self._sys / "class/dmi/id/product_name")
        names = (name for name in map(_text, places) if name)
        return next(names, platform.machine())

    def read(self) -> BoardFacts:
        """Return the facts now; throttling at most five seconds old."""
        return BoardFacts(self._temperature_celsius(), self._frequency_hz(), self._throttling())

    def _temperature_celsius(self) -> float | None:
        zones = [(_text(zone / "type") or "", zone) for zone in sorted(self._sys.glob("class/thermal/thermal_zone*"))]
        low, high = POSSIBLE_CELSIUS
        for _, zone in sorted((one for one in zones if _is_soc(one[0])), key=lambda one: _rank(one[0])):
            millidegrees = _integer(zone / "temp")
            if millidegrees is not None and low <= millidegrees / 1000 <= high:
                return round(millidegrees / 1000, 1)
        return None

    def _frequency_hz(self) -> int | None:
        paths = self._sys.glob("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")
        return max((khz * 1000 for khz in map(_integer, paths) if khz), default=None)

    def _throttling(self) -> Throttling | None:
        return self._throttling_by_program() or self._throttling_by_sysfs()

    def _throttling_by_program(self) -> Throttling | None:
        """Return what vcgencmd says. It starts a process, so it is asked seldom, and after a failure more so."""
        if self._clock() < self._next_run_ns:
            return self._said
        answer = self._run(VCGENCMD)
        bits = None if answer is None else _hexadecimal(answer.strip().removeprefix("throttled="))
        self._said = None if bits is None else decode_throttled(bits)
        pace_s = VCGENCMD_RETRY_S if bits is None else VCGENCMD_PACE_S
        self._next_run_ns = self._clock() + int(pace_s * NS_PER_S)
        return self._said

    def _throttling_by_sysfs(self) -> Throttling | None:
        for path in self._sys.glob("devices/platform/soc*/*firmware/get_throttled"):
            bits = _hexadecimal(_text(path) or "")
            if bits is not None:
                return decode_throttled(bits)
        for chip in self._sys.glob("class/hwmon/hwmon*"):
            alarm = _integer(chip / "in0_lcrit_alarm") if _text(chip / "name") == "rpi_volt" else None
            if alarm is not None:
                return Throttling(ThrottleFlags(bool(alarm), None, None, None), UNKNOWN)
        return None


def _is_soc(zone: str) -> bool:
    return zone in SOC_ZONES or any(word in zone.lower() for word in ("cpu", "soc"))


def _rank(zone: str) -> int:
    return SOC_ZONES.index(zone) if zone in SOC_ZONES else len(SOC_ZONES)


def _text(path: Path) -> str | None:
    """Return what the file says; None if it cannot be read: a sensor that sleeps is an error, too."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip("\0 \n\t") or None
    except OSError:
        return None


def _integer(path: Path) -> int | None:
    text = _text(path) or ""
    return int(text) if text.removeprefix("-").isdecimal() else None


def _hexadecimal(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None
