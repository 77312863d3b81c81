"""The flags of every setting, made from the table in `edge_runtime.config`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection
from typing import Any

from edge_runtime.config import FIELDS, Config, Effective, load
from edge_runtime.errors import ConfigError
from edge_runtime.values import Parser, path, switch

GROUPS = {
    "model": (
        "model",
        "labels",
        "task",
        "backend",
        "engine",
        "num_threads",
        "isolation",
        "fallback",
        "invoke_timeout",
        "explain",
    ),
    "source": ("source", "size", "fps", "realtime", "exit_on_source_loss"),
    "detection": ("threshold", "iou", "max_detections", "classes"),
    "outputs": ("log", "output", "snapshots", "display", "headless", "append", "overwrite"),
    "measurements": ("telemetry", "telemetry_interval"),
    "storage": (
        "storage_max_bytes",
        "storage_max_bytes_per_day",
        "storage_min_free_bytes",
        "storage_keep_days",
        "storage_fsync",
        "storage_flush_seconds",
    ),
    "limits": ("max_frames", "duration"),
}
"""The headings of the help, each with its settings; every setting stands under one."""


def add_settings(parser: argparse.ArgumentParser, only: Collection[str] = tuple(FIELDS)) -> None:
    """Add a flag for each of these settings, under its heading, and ``--config``.

    Values stay text here; `load_settings` reads and checks them.
    """
    for title, names in GROUPS.items():
        chosen = [name for name in names if name in only]
        if chosen:
            group = parser.add_argument_group(title)
            for name in chosen:
                _add_flag(group, name)
    files = parser.add_argument_group(
        "settings",
        'The flags from "model" on may also stand in a TOML file, or in the environment: --num-threads 2 is '
        "num_threads = 2 in the file and EDGE_RUNTIME_NUM_THREADS=2 in the environment.",
    )
    files.add_argument("--config", metavar="FILE", help="TOML file with settings")


def _add_flag(group: argparse._ArgumentGroup, name: str) -> None:
    parse, metavar = (FIELDS[name].metadata[key] for key in ("parse", "metavar"))
    flag = f"--{name.replace('_', '-')}"
    if parse is switch:
        group.add_argument(flag, dest=name, default=argparse.SUPPRESS, help=_explain(name), action="store_true")
    else:
        group.add_argument(flag, dest=name, default=argparse.SUPPRESS, help=_explain(name), metavar=metavar)


def _explain(name: str) -> str:
    said, default = FIELDS[name].metadata["help"], FIELDS[name].default
    if default in (None, False, ()):
        return str(said)
    return f"{said} (default {default:g})" if isinstance(default, float) else f"{said} (default {default})"


def load_settings(args: argparse.Namespace, only: Collection[str] = tuple(FIELDS)) -> Effective:
    """Return the settings in force for these parsed flags.

    Args:
        args: what was parsed.
        only: those that `add_settings` was given; the others are as if nobody had set them, whatever a file says that
            is made for a service.

    Raises:
        ConfigError: one of them, or one in the file or the environment, is wrong.
    """
    flags = {name: getattr(args, name) for name in only if hasattr(args, name)}
    file = None if args.config is None else checked("--config", path, args.config)
    found = load(flags, os.environ, file)
    return Effective(
        Config(**{name: getattr(found.config, name) for name in only}),
        {name: origin if name in only else "default" for name, origin in found.origins.items()},
    )


def checked(name: str, parse: Parser, raw: str) -> Any:
    """Return the value of an argument that is no setting.

    Raises:
        ConfigError: it is not allowed.
    """
    try:
        return parse(raw)
    except ValueError as exc:
        raise ConfigError(f"{name}: {raw!r} is not allowed; give {exc}") from None
