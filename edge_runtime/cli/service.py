"""``edge-runtime service``: a systemd service made of these settings, and a look at it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping

from edge_runtime.cli.settings import checked
from edge_runtime.cli.streams import show
from edge_runtime.errors import ConfigError, OutputError
from edge_runtime.values import path

USAGE = "install|uninstall|status|logs [--name NAME] [--config FILE] [FLAG ...]"
FLAGS = {"install": ("config", "no_start", "print"), "uninstall": (), "status": (), "logs": ("lines", "follow")}
"""What each action takes beside --name and --user; a flag that would do nothing is refused."""
NOT_RUNNING = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.add_argument("action", metavar="ACTION", help=f"one of {', '.join(FLAGS)}")
    which = parser.add_argument_group("which service")
    which.add_argument("--name", metavar="NAME", help="of one of several services, one for each camera")
    which.add_argument("--user", action="store_true", help="a service of this user, which needs no root")
    making = parser.add_argument_group("install")
    making.add_argument(
        "--config", metavar="FILE", help="its settings (default /etc/edge-runtime/edge-runtime.toml, or NAME.toml)"
    )
    making.add_argument("--no-start", action="store_true", help="write the unit only")
    making.add_argument("--print", action="store_true", help="show the unit and write nothing")
    logs = parser.add_argument_group("logs")
    logs.add_argument("--lines", metavar="N", help="how many of the last lines (default 100)")
    logs.add_argument("--follow", action="store_true", help="go on showing what comes")


def execute(args: argparse.Namespace) -> int:
    """Do one of the four."""
    if args.action not in FLAGS:
        raise ConfigError(f"service: {args.action!r} is not allowed; give one of {', '.join(FLAGS)}")
    for owner, flags in FLAGS.items():
        for flag in flags:
            if getattr(args, flag) and owner != args.action:
                raise ConfigError(f"--{flag.replace('_', '-')}: is for service {owner} alone; leave it out")
    if args.action == "logs":
        _become_journalctl(args)
    from edge_runtime import installation

    if not installation.is_booted() and args.action == "status":
        show("systemd does not run here, so no service does; edge-runtime run starts one by hand")
        return NOT_RUNNING
    if args.action == "status":
        facts = installation.status(args.name, is_user=args.user)
        show(describe(facts, args.name))
        return 0 if facts.get("ActiveState") == "active" else NOT_RUNNING
    folder = installation.units_folder(is_user=args.user)
    if args.action == "uninstall":
        show("\n".join(installation.uninstall(args.name, folder, is_user=args.user)))
        return 0
    file = None if args.config is None else checked("--config", path, args.config)
    found = installation.plan(args.name, file, is_user=args.user)
    if args.print:
        from edge_runtime.unit import render_unit, shipped_unit

        show(render_unit(found, shipped_unit(found.name)).rstrip())
        return 0
    show("\n".join(installation.install(found, folder, starts=not args.no_start)))
    return 0


def describe(facts: Mapping[str, str], name: str | None) -> str:
    """Return the facts of `installation.status` as a few lines to read."""
    from edge_runtime.unit import unit_name

    if facts.get("LoadState") == "not-found":
        return f"{unit_name(name)}  not installed; edge-runtime service install"
    rows = [("state", f"{facts.get('ActiveState', '?')} ({facts.get('SubState', '?')})")]
    if facts.get("StatusText"):
        rows.append(("says", facts["StatusText"]))
    if facts.get("ActiveEnterTimestamp"):
        rows.append(("since", facts["ActiveEnterTimestamp"]))
    rows.append(("restarts", facts.get("NRestarts", "?")))
    if facts.get("Result", "success") != "success":
        rows.append(("last end", f"{facts['Result']}, exit code {facts.get('ExecMainStatus', '?')}"))
    if facts.get("MemoryCurrent", "").isdecimal() and int(facts["MemoryCurrent"]) < 1 << 60:
        rows.append(("memory", f"{int(facts['MemoryCurrent']) / 2**20:.1f} MiB"))
    return "\n".join([unit_name(name), *(f"  {key:<9} {value}" for key, value in rows)])


def _become_journalctl(args: argparse.Namespace) -> None:
    """Hand over to journalctl, which does not come back.

    Raises:
        ConfigError: a number of lines that is none.
        OutputError: it is not here.
    """
    from edge_runtime.unit import unit_name

    lines = args.lines or "100"
    if not lines.isdecimal():
        raise ConfigError(f"--lines: {args.lines!r} is not allowed; give a whole number")
    unit = "--user-unit" if args.user else "--unit"
    words = ["journalctl", unit, unit_name(args.name), "--lines", lines, "--no-hostname"]
    if args.follow:
        words.append("--follow")
    sys.stdout.flush()
    try:
        os.execvp(words[0], words)  # noqa: S606 - no shell, and journalctl is where the system has it
    except OSError as exc:
        raise OutputError(f"journalctl: cannot be started ({exc.strerror}); the log is where stderr goes") from exc
