"""Puts the service in place and takes it away: the unit file, systemd told of it, and nothing else touched."""

from __future__ import annotations

import grp
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edge_runtime.config import STDOUT, Config, load, names_files
from edge_runtime.errors import ConfigError, OutputError
from edge_runtime.model.flatbuffer import read_model
from edge_runtime.service import require_model
from edge_runtime.unit import MARK, OPTIONAL_GROUPS, Installation, render_unit, shipped_unit, unit_name
from edge_runtime.wholefile import write_whole

SYSTEM_UNITS = Path("/etc/systemd/system")
SYSTEM_CONFIGS = Path("/etc/edge-runtime")
BOOTED = Path("run/systemd/system")
"""This folder is there where systemd runs. Source: sd_booted(3)."""
PRIVATE = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - nothing is written there
"""What PrivateTmp gives the service anew, and empty."""
TIMEOUT_S = 60.0
FACTS = (
    "LoadState", "ActiveState", "SubState", "StatusText", "NRestarts", "Result", "ExecMainStatus", "ExecMainPID",
    "ActiveEnterTimestamp", "MemoryCurrent",
)  # fmt: skip

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


def run_program(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a program of the system and return what it said.

    Raises:
        OutputError: it is not there, or does not come back.
    """
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603
    except FileNotFoundError:
        raise OutputError(f"{words[0]}: is not here, so there is no systemd; start edge-runtime run by hand") from None
    except subprocess.TimeoutExpired:
        raise OutputError(f"{shlex.join(words)}: did not come back in {TIMEOUT_S:g} s; look at: systemctl") from None


def plan(
    name: str | None,
    config_file: Path | None,
    *,
    is_user: bool,
    program: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Installation:
    """Return what will be installed, after a look at the settings the service will run with.

    Args:
        name: of the instance; None for the only service.
        config_file: None is NAME.toml, or edge-runtime.toml, in /etc/edge-runtime or the user's own folder.
        is_user: a service of this user and not of the system.
        program: the installed edge-runtime; None is the one beside this Python.
        environment: says where the user's folders are.

    Raises:
        ConfigError: a setting is wrong, or would not work in a service.
        ModelError: the model cannot be read.
    """
    unit_name(name)  # refuses what is no name
    file = (config_file or default_config(name, is_user=is_user, environment=environment)).absolute()
    if not file.exists() and config_file is None:
        raise ConfigError(f"config: {file} does not exist; write it first (docs/service.md has one) or use --config")
    config = load({}, {}, file).config  # the service has another environment than this shell
    model = require_model(config)
    read_model(model)
    if config.labels is not None and not config.labels.is_file():
        raise ConfigError(f"labels: {config.labels} does not exist; give the path of a label file")
    _check_outputs(config, name, is_user=is_user)
    command = program or Path(sys.executable).with_name("edge-runtime")
    if not command.is_file():
        raise ConfigError(f"{command}: is not there; install the package: {sys.executable} -m pip install edge-runtime")
    package = Path(__file__).resolve().parent
    needed = [command, file, model.absolute(), *([config.labels.absolute()] if config.labels else [])]
    if not is_user:
        for path in needed:
            _check_reachable(path)
    reads = [Path(sys.prefix), Path(sys.base_prefix), package, command.parent, file, model.absolute().parent]
    reads += [path.absolute() for path in (config.labels,) if path is not None]
    if config.source is not None and names_files(config.source):
        reads.append(Path(config.source).absolute())
    return Installation(
        name=name,
        program=(str(command),),
        config=file,
        reads=tuple(path for path in reads if path.exists()),
        groups=() if is_user else tuple(group for group in OPTIONAL_GROUPS if _has_group(group)),
        needs_network="://" in (config.source or "") or config.backend.startswith("remote"),
        is_user=is_user,
    )


def default_config(name: str | None, *, is_user: bool, environment: Mapping[str, str]) -> Path:
    """Return where the settings of a service lie unless --config says otherwise."""
    folder = _user_configs(environment) / "edge-runtime" if is_user else SYSTEM_CONFIGS
    return folder / f"{name or 'edge-runtime'}.toml"


def units_folder(*, is_user: bool, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where systemd looks for units that were put there by hand."""
    return _user_configs(environment) / "systemd" / "user" if is_user else SYSTEM_UNITS


def _user_configs(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME", "~")).expanduser() / ".config")


def _has_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _check_reachable(path: Path) -> None:
    """Raise where the service's own user could not read a file."""
    if any(path.is_relative_to(folder) for folder in PRIVATE):
        raise ConfigError(f"{path}: the service has a /tmp of its own and would not find it; put it in another place")
    if not path.stat().st_mode & stat.S_IROTH:
        raise ConfigError(f"{path}: the service runs as a user of its own, who may not read it; run: chmod o+r {path}")


def _check_outputs(config: Config, name: str | None, *, is_user: bool) -> None:
    """Raise where a service could not write, or would refuse at its second start."""
    own = Path("edge-runtime") / (name or "")
    folders = (Path("/var/log") / own, Path("/var/lib") / own)
    for key in ("log", "telemetry", "output", "snapshots"):
        value: Path | None = getattr(config, key)
        if value is None or value == STDOUT:
            continue
        if not is_user and not any(value.is_relative_to(folder) for folder in folders):
            raise ConfigError(f"{key}: {value} cannot be written by the service; put it under {folders[0]}")
        if key in ("log", "telemetry") and not config.append:
            raise ConfigError(f"{key}: {value} would be in the way at the next start; add: append = true")


def is_booted(root: Path = Path("/")) -> bool:
    """Return whether this system runs systemd."""
    return (root / BOOTED).is_dir()


def install(
    installation: Installation,
    folder: Path,
    run: Run = run_program,
    *,
    starts: bool = True,
    has_systemd: bool | None = None,
) -> list[str]:
    """Write the unit, tell systemd, start it; return what was done, a line each.

    Without systemd running only the file is written, and only where nothing is to be started: for an image.

    Raises:
        ConfigError: a file of that name is there that was not written here, or root is needed.
        OutputError: it cannot be written, or systemd refuses.
    """
    is_there = is_booted() if has_systemd is None else has_systemd
    if starts and not is_there:
        raise ConfigError(
            "service: systemd does not run here; use edge-runtime run, or --no-start to write the unit only"
        )
    path = folder / installation.unit
    _check_ours(path)
    text = render_unit(installation, shipped_unit(installation.name))
    if not os.access(_existing(folder), os.W_OK):
        raise ConfigError(f"{folder}: takes no file of this user; run it with sudo, or add --user")
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.encode())
    path.chmod(0o644)
    done = [f"wrote {path}"]
    if is_there:
        _systemctl(run, installation.is_user, "daemon-reload")
    if starts:
        # A service that runs already is started again with what is new.
        _systemctl(run, installation.is_user, "enable", installation.unit)
        _systemctl(run, installation.is_user, "--no-block", "restart", installation.unit)
        done.append(f"enabled and started {installation.unit}")
    return done


def uninstall(
    name: str | None, folder: Path, run: Run = run_program, *, is_user: bool, has_systemd: bool | None = None
) -> list[str]:
    """Stop the service and take its unit away; return what was done. Settings, logs and models stay.

    Raises:
        ConfigError: there is none, it was not written here, or root is needed.
        OutputError: systemd refuses.
    """
    path = folder / unit_name(name)
    if not path.exists():
        raise ConfigError(f"{path}: is not there, so there is nothing to remove; --name and --user say which service")
    _check_ours(path)
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{folder}: takes no change of this user; run it with sudo")
    is_there = is_booted() if has_systemd is None else has_systemd
    done = []
    if is_there:
        _systemctl(run, is_user, "disable", "--now", path.name)
        done.append(f"stopped and disabled {path.name}")
    path.unlink()
    if is_there:
        _systemctl(run, is_user, "daemon-reload")
    return [*done, f"removed {path}"]


def status(name: str | None, run: Run = run_program, *, is_user: bool) -> dict[str, str]:
    """Return what systemd knows of the service, by its own names.

    Raises:
        OutputError: systemd does not answer.
    """
    done = _systemctl(run, is_user, "show", unit_name(name), f"--property={','.join(FACTS)}")
    return dict(line.split("=", 1) for line in done.splitlines() if "=" in line)


def _systemctl(run: Run, is_user: bool, *words: str) -> str:
    command = ["systemctl", *(["--user"] if is_user else []), *words]
    done = run(command)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
        raise OutputError(f"{shlex.join(command)}: {said[0]}")
    return done.stdout


def _check_ours(path: Path) -> None:
    try:
        is_ours = not path.exists() or path.read_text(errors="replace").startswith(MARK)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror}); run it with sudo") from exc
    if not is_ours:
        raise ConfigError(f"{path}: was not written by edge-runtime service install and stays; move it away first")


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return folder if folder.exists() or folder == folder.parent else _existing(folder.parent)
