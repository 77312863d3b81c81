"""All sections, one after another, in bounded time: a check that raises or hangs is a finding, and the rest goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

from edge_runtime.clock import NS_PER_S, now_ns
from edge_runtime.config import FIELDS, Config
from edge_runtime.doctor import NEED_TRIALS, SECTIONS
from edge_runtime.doctor.accelerators import EDGETPU_LIBRARY, gpu_library
from edge_runtime.doctor.configuration import MODEL
from edge_runtime.doctor.engine import choose, installed_engines
from edge_runtime.doctor.finding import Finding, Report, error, skipped
from edge_runtime.doctor.machine import Machine, Settings
from edge_runtime.doctor.packages import imported
from edge_runtime.doctor.trials import Task, Trials

TOTAL_S, SECTION_S = 8.5, 4.0
"""Seconds for everything, and for one section that does not need the child."""
AFTER_TRIALS_S = 2.0
"""Of these, what is left for the sections that look at what the child has tried."""
MODEL_SETTINGS = ("model", "labels", "task", "backend", "engine", "isolation", "fallback", "classes")

Check = Callable[[Machine, Settings], Iterable[Finding]]


def call(where: str, machine: Machine, settings: Settings) -> Iterable[Finding]:
    """Return what the check at "module:function" finds; it is imported only now, as that may fail, too."""
    module, function = where.split(":")
    check: Check = getattr(import_module(module), function)
    return check(machine, settings)


CHECKS: Mapping[str, Check] = {name: partial(call, where) for name, where in SECTIONS.items()}


def examine(machine: Machine, settings: Settings, total_s: float = TOTAL_S) -> Report:
    """Return what all sections found, in their order, after at most `total_s` seconds."""
    trials = Trials(tasks_for(machine, settings.config), max(0.0, total_s - AFTER_TRIALS_S))
    return examine_with(CHECKS, replace(machine, trials=trials.results), settings, total_s=total_s)


def examine_with(
    checks: Mapping[str, Check],
    machine: Machine,
    settings: Settings,
    *,
    total_s: float = TOTAL_S,
    section_s: float = SECTION_S,
    clock: Callable[[], int] = now_ns,
) -> Report:
    """Return what these checks found, in their order, after at most `total_s` seconds."""
    end_ns = clock() + int(total_s * NS_PER_S)
    found: dict[str, tuple[Finding, ...]] = {}
    for name in sorted(checks, key=lambda one: one in NEED_TRIALS):
        left_s = max(0.0, (end_ns - clock()) / NS_PER_S)
        limit_s = left_s if name in NEED_TRIALS else min(section_s, left_s)
        found[name] = _bounded(name, checks[name], machine, settings, limit_s)
    return Report({name: found[name] for name in checks})


def tasks_for(machine: Machine, config: Config) -> list[Task]:
    """Return what the child is to try: imports first, as the rest needs them, and foreign libraries last."""
    tasks = [Task(f"import {module}", "import", module) for module in imported(config)]
    engine = choose(installed_engines(machine), config.engine)
    if engine is not None:
        tasks.append(Task(f"engine {engine}", "engine", engine))
    tasks += [Task(MODEL, "model", model_flags(config)), Task("display", "display")]
    libraries = filter(None, (EDGETPU_LIBRARY, gpu_library(config.backend)))
    return tasks + [Task(library, "library", library) for library in libraries]


def model_flags(config: Config) -> dict[str, Any]:
    """Return the settings of the model as flags; one thread where it is to be measured, which takes its time."""
    flags: dict[str, Any] = {"num_threads": config.num_threads or 1}
    for name in MODEL_SETTINGS:
        value = getattr(config, name)
        if value != FIELDS[name].default:
            flags[name] = list(value) if isinstance(value, tuple) else str(value)
    return flags


def _bounded(name: str, check: Check, machine: Machine, settings: Settings, limit_s: float) -> tuple[Finding, ...]:
    """Return what a check found until its time was over; what it raises is one more finding."""
    if limit_s <= 0:
        return (skipped(name, "not looked at: there was no time left"),)
    found: list[Finding] = []

    def work() -> None:
        try:
            for one in check(machine, settings):
                found.append(one)
        except Exception as exc:  # noqa: BLE001 (a defect of one check must not cost the others)
            said = " ".join(str(exc).split()) or "no reason given"
            found.append(error(name, f"this check failed itself: {type(exc).__name__}: {said}",
                               "this is a defect of edge-runtime, please report it"))  # fmt: skip

    # A driver that hangs takes its thread along; nobody waits for it, and it ends with the process.
    thread = threading.Thread(target=work, name=f"doctor-{name}", daemon=True)
    thread.start()
    thread.join(limit_s)
    if thread.is_alive():
        late = error(name, f"gave no answer within {limit_s:.1f} s", "a device, a disk or a program hangs; see",
                     "sudo dmesg | tail -n 30")  # fmt: skip
        return (*found, late)
    return tuple(found)
