"""The engine: which one is there, which one runs, and the proof that it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edge_runtime.doctor.finding import Finding, error, ok, skipped, warning
from edge_runtime.doctor.machine import Interpreter, Machine, Settings
from edge_runtime.doctor.packages import imported, pip_of
from edge_runtime.doctor.trials import DIED, DONE, HUNG, UNTRIED, Trial
from edge_runtime.inference.engine import ENGINES

LEAST_GLIBC = (2, 34)
"""Of ai-edge-litert's builds: Debian 12 has it, Debian 11 does not."""


def check_engine(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """Yield which engines are installed, which is used, and whether it runs a model."""
    one, wanted = machine.interpreter, settings.config.engine
    found = installed_engines(machine)
    if set(imported(settings.config)) & {"onnxruntime", "tritonclient"}:
        yield skipped("engine", "the settings name a backend that needs no TFLite engine")
        return
    yield from check_glibc(one, found)
    used = choose(found, wanted)
    if used is None:
        yield missing(one, wanted, found)
        return
    yield check_choice(found, used, wanted)
    yield check_trial(used, machine.trials().get(f"engine {used}"), pip_of(one))


def installed_engines(machine: Machine) -> dict[str, str]:
    """Return engine -> version of those that can be imported, the preferred one first."""
    there = ((name, package) for name, (package, module) in ENGINES.items() if machine.has_module(module))
    return {name: machine.packages.get(package, "of unknown version") for name, package in there}


def choose(found: Mapping[str, str], wanted: str) -> str | None:
    """Return the engine that a run would take; None if there is none."""
    return next((name for name in ENGINES if name in found and wanted in ("auto", name)), None)


def check_glibc(one: Interpreter, found: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a warning where the C library is too old for ai-edge-litert, which pip then does not even offer."""
    if one.glibc is not None and one.glibc < LEAST_GLIBC and one.bits == 64:
        version, least = (".".join(map(str, pair)) for pair in (one.glibc, LEAST_GLIBC))
        said = f"glibc {version} is older than {least}, which ai-edge-litert needs"
        advice = "move to Debian 12 (Raspberry Pi OS Bookworm) or later"
        yield (warning if found else error)("glibc", said, advice)


def missing(one: Interpreter, wanted: str, found: Mapping[str, str]) -> Finding:
    """Return the error for a machine without the engine that is asked for."""
    pip = pip_of(one)
    if found:
        there = next(iter(found))
        return error("engine", f"engine {wanted} is asked for and not installed; {there} is",
                     f"write engine = \"{there}\", or install it", f"{pip} install {ENGINES[wanted][0]}")  # fmt: skip
    if one.bits == 32:
        command = f"{pip} install tflite-runtime==2.14.0 'numpy<2'" if one.version[:2] < (3, 12) else ""
        return error("engine", "no TFLite engine is installed", "32-bit systems have one for Python 3.11", command)
    return error("engine", "no TFLite engine is installed", "", f"{pip} install ai-edge-litert")


def check_choice(found: Mapping[str, str], used: str, wanted: str) -> Finding:
    """Return which engine runs, and which other one is there."""
    why = "as the settings say" if wanted != "auto" else "the preferred one" if len(found) > 1 else "the only one here"
    others = ", ".join(f"{name} {version}" for name, version in found.items() if name != used)
    beside = f"; {others} is there too (--engine chooses)" if others else ""
    return ok("engine", f"{used} {found[used]} is used, {why}{beside}", facts={"used": used, "installed": dict(found)})


def check_trial(used: str, trial: Trial | None, pip: str) -> Finding:
    """Return whether the engine ran the bundled model in a child process."""
    name = "engine runs"
    if trial is None or trial.state == UNTRIED:
        return skipped(name, f"not tried: {trial.said if trial else 'it was not asked for'}")
    if trial.state == DONE:
        return ok(name, f"the bundled model: {trial.facts['text']}", facts=trial.facts)
    if trial.state == HUNG:
        said = f"{used} did not run the bundled model: {trial.said}"
        return warning(name, said, "a busy or slow board needs more", "edge-runtime doctor --max-secs 60")
    again = f"{pip} install --force-reinstall {ENGINES[used][0]}"
    if trial.state == DIED:
        why = "its build does not fit this processor" if trial.said == "SIGILL" else "the process died"
        return error(name, f"{used} does not run the bundled model: {why} ({trial.said})", "", again)
    # The message of an error of ours says itself what to do.
    is_ours = trial.kind in ("BackendMissingError", "BackendError", "ModelError", "ConfigError", "InvokeError")
    return error(name, f"{used} does not run the bundled model: {trial.said}", "", "" if is_ours else again)
