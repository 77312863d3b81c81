"""Voltage, temperature, throttling: why a board is slower than it was, or loses its card."""

from __future__ import annotations

from collections.abc import Iterator

from edge_runtime.doctor.finding import Finding, error, ok, skipped, warning
from edge_runtime.doctor.machine import Machine, Settings
from edge_runtime.telemetry.board import BoardProbe, Throttling

HOT_CELSIUS, TOO_HOT_CELSIUS = 75.0, 85.0
"""A Pi slows down from 80 degrees on, and hard at 85. Source: Raspberry Pi documentation, frequency management."""
SUPPLY = "use the board's own power supply (5.1 V, 3 A; Pi 5: 5 A), a short thick cable, and fewer USB devices on it"
COOLING = "give it a heat sink, a fan, or air"


def check_power(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """Yield how the board is supplied and cooled."""
    del settings
    probe = BoardProbe(sys_root=machine.path("/sys"), proc_root=machine.path("/proc"), run=machine.run)
    facts = probe.read()
    yield check_voltage(facts.throttling)
    yield check_throttling(facts.throttling)
    yield check_temperature(facts.temperature_celsius)


def check_voltage(throttling: Throttling | None) -> Finding:
    """Return whether the supply is strong enough. A weak one corrupts cards, so it is an error while it lasts."""
    if throttling is None or throttling.now.under_voltage is None:
        return skipped("voltage", "this machine does not tell; a Raspberry Pi does, through vcgencmd")
    facts = {"now": throttling.now.under_voltage, "since_boot": throttling.since_boot.under_voltage}
    if throttling.now.under_voltage:
        return error("voltage", "too low now", SUPPLY, facts=facts)
    if throttling.since_boot.under_voltage:
        return warning("voltage", "was too low since the board was started", SUPPLY, facts=facts)
    return ok(
        "voltage", "enough, now and since the start" if facts["since_boot"] is False else "enough now", facts=facts
    )


def check_throttling(throttling: Throttling | None) -> Finding:
    """Return whether the firmware holds the processor back."""
    if throttling is None or throttling.now.throttled is None:
        return skipped("throttling", "this machine does not tell")
    now, before = (
        [name.replace("_", " ") for name in flags.names() if name != "under_voltage"]
        for flags in (throttling.now, throttling.since_boot)
    )
    facts = {"now": now, "since_boot": before}
    if now:
        return warning("throttling", f"the processor is held back now: {', '.join(now)}", COOLING, facts=facts)
    if before:
        return warning("throttling", f"the processor was held back since the start: {', '.join(before)}", COOLING,
                       facts=facts)  # fmt: skip
    return ok("throttling", "none, now or since the start", facts=facts)


def check_temperature(celsius: float | None) -> Finding:
    """Return whether the chip is cool enough to keep its speed."""
    if celsius is None:
        return skipped("temperature", "this machine does not tell")
    said = f"{celsius:.1f} °C"
    if celsius >= TOO_HOT_CELSIUS:
        return error("temperature", f"{said}, the chip protects itself", COOLING, facts={"celsius": celsius})
    if celsius >= HOT_CELSIUS:
        return warning(
            "temperature", f"{said}, close to where the chip slows down", COOLING, facts={"celsius": celsius}
        )
    return ok("temperature", said, facts={"celsius": celsius})
