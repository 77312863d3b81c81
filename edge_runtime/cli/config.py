"""``edge-runtime config``: what is in force, and why."""

from __future__ import annotations

import argparse
from typing import Any

from edge_runtime.cli.settings import add_settings, load_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command: those of run, so that a command line can be tried out."""
    add_settings(parser)


def execute(args: argparse.Namespace) -> int:
    """Print each setting as a line of TOML with its origin as a comment."""
    effective = load_settings(args)
    lines = [(_toml(name, getattr(effective.config, name)), origin) for name, origin in effective.origins.items()]
    width = min(40, max(len(line) for line, _ in lines))
    for line, origin in lines:
        print(f"{line:<{width}}  # {origin}")
    return 0


def _toml(name: str, value: Any) -> str:
    """Return one line of a file that would load again; a setting that is off or automatic is a comment."""
    if value is None or value == ():
        return f"# {name} ="
    if isinstance(value, bool):
        return f"{name} = {str(value).lower()}"
    if isinstance(value, int | float):
        return f"{name} = {value}"
    if name == "size":
        return f'{name} = "{value[0]}x{value[1]}"'
    if isinstance(value, tuple):
        return f"{name} = [{', '.join(_quoted(item) for item in value)}]"
    return f"{name} = {_quoted(_without_secrets(str(value)))}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _without_secrets(text: str) -> str:
    from edge_runtime.capture.open import redact

    return redact(text)
