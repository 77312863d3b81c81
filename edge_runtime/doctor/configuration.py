"""The settings in force: the file, the model with its labels, the source, and the places to write to."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from edge_runtime.capture.redact import redact
from edge_runtime.capture.v4l import Nodes
from edge_runtime.config import STDOUT, Config
from edge_runtime.doctor.finding import Finding, error, ok, skipped, warning
from edge_runtime.doctor.machine import Machine, Settings
from edge_runtime.doctor.trials import DIED, DONE, FAILED, HUNG, Trial
from edge_runtime.doctor.v4l2 import formats, query

SERVICE_FILE = Path("/etc/edge-runtime/edge-runtime.toml")
SERVICE_FOLDERS = tuple(Path(f"/var/{name}/edge-runtime") for name in ("log", "lib", "cache"))
MODEL = "model"
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def check_settings(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """Yield whether a run with these settings would begin."""
    if settings.problem:
        command = f"sudoedit {shlex.quote(str(settings.file))}" if settings.file else "env | grep EDGE_RUNTIME_"
        yield error("file", settings.problem, "", command)
        return
    whose = " (the service's)" if settings.is_service else ""
    yield ok("file", f"{settings.file}{whose}" if settings.file else "none; flags, environment and defaults")
    yield check_model(settings.config, machine.trials().get(MODEL))
    yield check_source(machine, settings.config)
    for name in ("log", "telemetry", "output"):
        path: Path | None = getattr(settings.config, name)
        if path is not None and path != STDOUT:
            yield check_output(machine, settings, name, path)
    if settings.config.snapshots is not None:
        yield check_folder(machine, settings, "snapshots", settings.config.snapshots)


def check_model(config: Config, trial: Trial | None) -> Finding:
    """Return whether the model opens with its labels, by what a child process tried."""
    file = "the bundled model" if config.model is None else str(config.model)
    if trial is None or trial.state not in (DONE, FAILED, DIED, HUNG):
        return skipped("model", f"{file} was not tried: {trial.said if trial else 'there was no time left'}")
    if trial.state == DIED:
        return error("model", f"{file} ends the process that opens it ({trial.said})",
                     "it is damaged, or the engine or delegate does not fit this board; copy it again")  # fmt: skip
    if trial.state == HUNG:
        said = f"{file} was not open in time: {trial.said}"
        return warning("model", said, "a busy or slow board needs more", "edge-runtime doctor --max-secs 60")
    if trial.state == FAILED:
        return error("model", trial.said if file in trial.said else f"{file}: {trial.said}")
    facts = trial.facts
    size = "x".join(map(str, facts["size_wh"]))
    said = f"{file}: {facts['decoder']}, {size}, {facts['backend'] or 'compiled for the Edge TPU, not opened'}"
    if facts["labels"] is None:
        return warning(
            "model", f"{said}; it has no labels, so classes are numbers", 'give labels = "FILE"', facts=facts
        )
    return ok("model", f"{said}, {facts['labels']} labels", facts=facts)


def check_source(machine: Machine, config: Config) -> Finding:
    """Return whether the source is there. A stream is not called, a camera not started."""
    source = (config.source or ("0" if config.model is not None else "auto")).strip()
    if source == "auto":
        return ok("source", "not named: the first camera that opens, else drawn shapes")
    if _ADDRESS.match(source):
        return skipped("source", f"{redact(source)}: in the network, and not called here")
    if re.fullmatch(r"(picamera|scene)(:\d+)?", source):
        return ok("source", source if source.startswith("scene") else f"{source}: see the section cameras")
    if re.fullmatch(r"\d{1,3}", source) or source.startswith("/dev/"):
        return check_camera(machine, source if source.startswith("/dev/") else f"/dev/video{source}", config.size)
    path = machine.path(Path(source).expanduser().absolute())
    is_there = path.exists() or ("*" in source and any(path.parent.glob(path.name)))
    if not is_there:
        return error("source", f"{source!r} is not there", "name a camera, an address, a file or a folder")
    return ok("source", source)


def check_camera(machine: Machine, device: str, size_wh: tuple[int, int] | None) -> Finding:
    """Return whether the camera is there and offers the size that the settings ask for."""
    path = machine.path(device)
    if not path.exists():
        others = Nodes(sysfs=machine.path("/sys/class/video4linux")).cameras()
        return error("source", f"{device} is not there; {others}", "plug the camera in, or name another source")
    if size_wh is None:
        return ok("source", device)
    try:
        with machine.open_device(path) as ask:
            capability = query(ask)
            found = formats(ask, capability) if capability else ()
    except OSError as exc:
        return skipped("source", f"{device} does not tell its sizes ({exc.strerror})")
    asked = "x".join(map(str, size_wh))
    if found and not any(one.offers(size_wh) for one in found):
        sizes = sorted({wh for one in found for wh in one.sizes_wh})
        listed = ", ".join(f"{width}x{height}" for width, height in sizes)
        return warning("source", f"{device} does not offer {asked}, and will send another size; it has {listed}",
                       "set size to one of these")  # fmt: skip
    return ok("source", f"{device}, {asked}")


def check_output(machine: Machine, settings: Settings, name: str, path: Path) -> Finding:
    """Return whether a file can be written: its folder takes it, and nothing is lost."""
    file = machine.path(path.absolute())
    try:
        holds = file.is_file() and file.stat().st_size > 0
    except OSError:
        return _not_seen(settings, name, path)
    if holds and not (settings.config.append or settings.config.overwrite):
        return error(name, f"{path} exists and would be in the way", "set append = true, or overwrite = true")
    if file.is_dir():
        return error(name, f"{path} is a folder; the name of a file is needed")
    if holds and not settings.is_service and not machine.access(file, os.W_OK):
        return error(name, f"{path} takes nothing of this user", "", f"sudo chown $USER {shlex.quote(str(path))}")
    return check_folder(machine, settings, name, path.absolute().parent, said=str(path))


def check_folder(machine: Machine, settings: Settings, name: str, folder: Path, said: str = "") -> Finding:
    """Return whether a folder is there and takes files; the folder of snapshots is made where it is not."""
    said = said or str(folder)
    here = machine.path(folder.absolute())
    quoted = shlex.quote(str(folder))
    try:
        is_there = here.is_dir()
    except OSError:
        return _not_seen(settings, name, folder)
    if not is_there and here.exists():
        return error(name, f"{folder} is a file; a folder is needed")
    if not is_there and name == "snapshots":
        return ok(name, f"{said}, which will be made")
    if not is_there and settings.is_service and any(folder.is_relative_to(one) for one in SERVICE_FOLDERS):
        return skipped(name, f"{said}: systemd makes {folder} when the service starts")
    if not is_there:
        return error(name, f"{said}: the folder {folder} does not exist", "", f"mkdir -p {quoted}")
    if machine.access(here, os.W_OK | os.X_OK):
        return ok(name, said)
    if settings.is_service:
        return skipped(name, f"{said}: this user may not write there; the service's own user may")
    return error(name, f"{said}: {folder} takes no file of this user", "", f"sudo chown $USER {quoted}")


def _not_seen(settings: Settings, name: str, path: Path) -> Finding:
    """Return the finding for a place this user may not look into, such as the folders of a service."""
    said = f"{path} cannot be seen by this user"
    if settings.is_service:
        return skipped(name, f"{said}; sudo edge-runtime doctor looks into it")
    return error(name, said, "choose a place that this user may write to")
