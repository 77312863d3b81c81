"""The flags of every setting, made from the table in `edge_runtime.config`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from edge_runtime.config import FIELDS, Effective, load, switch


def add_settings(parser: argparse.ArgumentParser, only: tuple[str, ...] | None = None) -> None:
    """Add a flag for each setting, or for those named. Values stay text here; `load` reads and checks them."""
    group = parser.add_argument_group(
        "settings", "Each may also stand in the --config file, or in the environment as EDGE_RUNTIME_ and its name."
    )
    group.add_argument("--config", type=Path, metavar="FILE", help="TOML file with settings")
    for name, field in FIELDS.items():
        if only is not None and name not in only:
            continue
        flag = f"--{name.replace('_', '-')}"
        is_switch = field.metadata["parse"] is switch
        extra = {"action": "store_true"} if is_switch else {"metavar": field.metadata["metavar"]}
        group.add_argument(flag, dest=name, default=argparse.SUPPRESS, help=_explain(name), **extra)


def _explain(name: str) -> str:
    default = FIELDS[name].default
    said = FIELDS[name].metadata["help"].replace("%", "%%")
    return (
        said
        if default in (None, False, ())
        else f"{said} (default {default:g})"
        if isinstance(default, float)
        else f"{said} (default {default})"
    )


def load_settings(args: argparse.Namespace) -> Effective:
    """Return the settings in force for these parsed flags."""
    flags = {name: getattr(args, name) for name in FIELDS if hasattr(args, name)}
    return load(flags, os.environ, args.config)
