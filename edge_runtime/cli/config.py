"""``edge-runtime config``: what is in force, and why."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from edge_runtime.cli.settings import GROUPS, add_settings, load_settings
from edge_runtime.cli.streams import show
from edge_runtime.config import FIELDS, STDOUT, Effective, names_files

USAGE = "[--config FILE] [FLAG ...]"
WIDEST = 40
"""A longer line pushes its own comment to the right, not those of all the others."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command: those of run, so that a command line can be tried out."""
    add_settings(parser)


def execute(args: argparse.Namespace) -> int:
    """Print each setting as a line of TOML with its origin as a comment."""
    show(listing(load_settings(args)))
    return 0


def listing(effective: Effective) -> str:
    """Return the settings as a TOML file that would load again to the same, without credentials.

    Paths are absolute, because one in a file is seen from that file. A setting that is off is a comment.
    """
    lines = {name: _line(name, getattr(effective.config, name)) for name in FIELDS}
    width = min(WIDEST, max(map(len, lines.values())))
    blocks = []
    for title, names in GROUPS.items():
        rows = [f"{lines[name]:<{width}}  # {effective.origins[name]}" for name in names]
        blocks.append("\n".join([f"# {title}", *rows]))
    return "\n\n".join(blocks)


def _line(name: str, value: Any) -> str:
    if value is None and _takes_auto(name):
        return f'{name} = "auto"'
    if value is None or value == ():
        return f"# {name} ="
    return f"{name} = {_toml(name, value)}"


def _takes_auto(name: str) -> bool:
    try:
        return FIELDS[name].metadata["parse"]("auto") is None
    except ValueError:
        return False


def _toml(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if name == "size":
        return quoted(f"{value[0]}x{value[1]}")
    if isinstance(value, tuple):
        return f"[{', '.join(quoted(item) for item in value)}]"
    if isinstance(value, Path):
        return quoted(str(value) if value == STDOUT else tidied(value))
    return quoted(_source(value) if name == "source" else value)


def _source(text: str) -> str:
    """Return a source without credentials; a path or pattern from the root on."""
    from edge_runtime.capture.redact import redact

    return tidied(Path(text).expanduser()) if names_files(text) else redact(text)


def tidied(path: Path) -> str:
    """Return a path from the root on, without dots and doubled slashes where it means the same without them.

    Links stay: the one to the newest model leads elsewhere tomorrow. Behind a link to a folder .. is not the way back.
    """
    whole = f"/{os.path.abspath(path).lstrip('/')}"  # noqa: PTH100 (a path object keeps the dots, or follows links)
    return whole if os.path.realpath(whole) == os.path.realpath(path) else str(path.absolute())


def quoted(text: str) -> str:
    """Return a TOML string; its escapes are those of JSON, and DEL needs one too. Source: toml.io, v1.0.0, String."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
