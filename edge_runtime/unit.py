"""The systemd unit of an installation: the shipped one, with the paths, groups and network that these settings need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import ConfigError

MARK = "# Written by edge-runtime service install; uninstall takes away only files that begin with this line."
_PACKAGE = Path(__file__).resolve().parent
FOLDERS = (_PACKAGE / "systemd", _PACKAGE.parent / "systemd")
"""In a wheel the units lie inside the package, in a checkout beside it."""

HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
"""What ProtectHome hides."""
OPTIONAL_GROUPS = ("plugdev", "render")
FOR_USERS = {
    "Type", "NotifyAccess", "TimeoutStartSec", "WatchdogSec", "ExecStart", "Restart", "RestartSec",
    "RestartPreventExitStatus", "TimeoutStopSec", "StateDirectory", "CacheDirectory", "LogsDirectory",
    "RuntimeDirectory", "WorkingDirectory", "UMask", "Environment", "MemoryMax", "TasksMax", "OOMPolicy",
    "LogRateLimitIntervalSec", "LogRateLimitBurst", "NoNewPrivileges", "RestrictRealtime", "LockPersonality",
    "SystemCallArchitectures",
}  # fmt: skip
"""What a user's own systemd may do without root; the rest of the section is left out there."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What a unit must know of where and how the program runs."""

    name: str | None  # of the instance; None for the only one
    program: tuple[str, ...]  # the words that start edge-runtime
    config: Path
    reads: tuple[Path, ...] = ()  # files and folders the program needs, wherever they lie
    groups: tuple[str, ...] = ()  # of the system, beside video
    needs_network: bool = False
    is_user: bool = False  # a service of this user and not of the system

    @property
    def unit(self) -> str:
        """The name of the unit."""
        return unit_name(self.name)


def unit_name(name: str | None) -> str:
    """Return the unit of an instance: "edge-runtime@front.service", or that of the only one.

    Raises:
        ConfigError: systemd would read more than a name in it.
    """
    if name is None:
        return "edge-runtime.service"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise ConfigError(
            f"--name: {name!r} is no name for a service; use letters, digits, '-', '_' and '.', 64 at most"
        )
    return f"edge-runtime@{name}.service"


def shipped_unit(name: str | None, folders: Sequence[Path] = FOLDERS) -> str:
    """Return the text of the unit that comes with the package."""
    file = "edge-runtime.service" if name is None else "edge-runtime@.service"
    for folder in folders:
        if (folder / file).is_file():
            return (folder / file).read_text()
    raise ConfigError(f"{file}: the unit is not in {folders[-1]}; install edge-runtime anew")


def render_unit(installation: Installation, shipped: str) -> str:
    """Return the whole unit file for an installation.

    Args:
        installation: what it is for.
        shipped: the text of `shipped_unit`.
    """
    lines = [MARK, *shipped.splitlines()[1:]]
    command = [*installation.program, "run", "--headless", "--config", str(installation.config)]
    settings = {"ExecStart": " ".join(_as_word(word) for word in command)}
    if installation.is_user:
        lines = [line for line in lines if _is_for_users(line)]
        settings["WorkingDirectory"] = f"%S/{_folder(installation)}"
        settings["WantedBy"] = "default.target"
        return _with(lines, settings, ())
    settings["SupplementaryGroups"] = " ".join(["video", *installation.groups])
    added = []
    if installation.needs_network:
        settings["PrivateNetwork"] = "no"
        settings["RestrictAddressFamilies"] = "AF_UNIX AF_NETLINK AF_INET AF_INET6"
        lines = [line for line in lines if not line.startswith("IPAddressDeny=")]
    hidden = _outermost(path for path in installation.reads if any(path.is_relative_to(home) for home in HOMES))
    if hidden:
        settings["ProtectHome"] = "tmpfs"
        added = [f"BindReadOnlyPaths={_as_bind(path)}" for path in hidden]
    return _with(lines, settings, added)


def _folder(installation: Installation) -> str:
    return "edge-runtime" if installation.name is None else f"edge-runtime/{installation.name}"


def _is_for_users(line: str) -> bool:
    """Tell whether a line stays in a unit without root; comments there would explain what is gone."""
    key, equals, _ = line.partition("=")
    if line.startswith("#"):
        return line == MARK
    return not equals or key in FOR_USERS or key in ("Description", "Documentation", "WantedBy") or "StartLimit" in key


def _with(lines: Iterable[str], settings: dict[str, str], added: Sequence[str]) -> str:
    """Return the lines with these settings changed, and some added behind ProtectHome."""
    changed = []
    for line in lines:
        key = line.partition("=")[0]
        changed.append(f"{key}={settings[key]}" if key in settings and not line.startswith("#") else line)
        if key == "ProtectHome":
            changed.extend(added)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(changed)) + "\n"


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Return the paths that lie in no other of them, in order."""
    found: list[Path] = []
    for path in sorted(set(paths)):
        if not any(path.is_relative_to(one) for one in found):
            found.append(path)
    return found


def _as_word(word: str) -> str:
    """Return a word of a command as systemd reads it back. Source: systemd.service(5), COMMAND LINES."""
    return _quoted(word.replace("$", "$$"))


def _as_bind(path: Path) -> str:
    """Return a path that is bound to itself; a colon would begin another one. Source: systemd.exec(5)."""
    return _quoted(str(path).replace(":", "\\:"))


def _quoted(text: str) -> str:
    doubled = text.replace("%", "%%")
    if re.fullmatch(r"[^\s'\";]+", doubled):
        return doubled
    return '"' + doubled.replace('"', '\\"') + '"'
