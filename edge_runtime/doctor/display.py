"""The display: whether a window can be shown, where one is wanted."""

from __future__ import annotations

from collections.abc import Iterator

from edge_runtime.doctor.finding import Finding, error, ok, skipped
from edge_runtime.doctor.machine import Machine, Settings
from edge_runtime.doctor.trials import DONE, FAILED, Trial

VARIABLES = ("DISPLAY", "WAYLAND_DISPLAY")


def check_display(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """Yield whether there is a desktop, and whether a window would open on it."""
    desktop = {name: machine.environment[name] for name in VARIABLES if machine.environment.get(name)}
    yield ok("desktop", ", ".join(f"{name}={value}" for name, value in desktop.items()) or "none", facts=desktop)
    is_wanted = settings.config.display
    yield check_window(machine.trials().get("display"), has_desktop=bool(desktop), is_wanted=is_wanted)


def check_window(trial: Trial | None, *, has_desktop: bool, is_wanted: bool) -> Finding:
    """Return whether a window can be shown; that is an error only where one is asked for."""
    if trial is not None and trial.state == DONE:
        return ok("window", "can be shown")
    if trial is None or trial.state != FAILED:
        return skipped("window", f"not tried: {trial.said if trial else 'it was not asked for'}")
    said = trial.said.removeprefix("window: ")
    if is_wanted:
        return error("window", f"the settings ask for one, and {said}")
    if has_desktop:
        return ok("window", f"not shown: {said}")
    return ok("window", "none; results go to the other outputs, or as JSON lines to stdout")
