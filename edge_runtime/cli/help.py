"""Help texts, drawn by ourselves: the layout of argparse's own differs between versions of Python."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Iterator

FLAG_COLUMNS = 27
"""The flags' column: the widest flag with its value, ``--telemetry-interval S``, just fits."""
NARROWEST, WIDEST = 50, 100


def terminal_width() -> int:
    """Return how many columns to use: those of the terminal or of COLUMNS, but never a line too long to read."""
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns - 2))


def render(parser: argparse.ArgumentParser, width: int) -> str:
    """Return the help of a parser, `width` columns wide: usage, description, the groups of flags, epilog.

    The epilog is shown as it stands; everything else is wrapped.
    """
    blocks = [textwrap.fill(f"usage: {parser.usage}", width, subsequent_indent=" " * 7, break_on_hyphens=False)]
    if parser.description:
        blocks.append(textwrap.fill(parser.description, width))
    for group in parser._action_groups:
        rows = [row for action in group._group_actions for row in _rows(action, width)]
        if rows:
            said = textwrap.wrap(group.description or "", width, initial_indent="  ", subsequent_indent="  ")
            blocks.append("\n".join([f"{group.title}:", *said, *rows]))
    if parser.epilog:
        blocks.append(parser.epilog.strip())
    return "\n\n".join(blocks) + "\n"


def _rows(action: argparse.Action, width: int) -> Iterator[str]:
    """Yield the lines of one flag: its names on the left, what it does on the right."""
    invocation = "  " + _invocation(action)
    lines = textwrap.wrap(action.help or "", width - FLAG_COLUMNS, break_on_hyphens=False)
    if len(invocation) > FLAG_COLUMNS - 2:
        yield invocation
        invocation = ""
    for line in lines or [""]:
        yield f"{invocation:<{FLAG_COLUMNS}}{line}".rstrip()
        invocation = ""


def _invocation(action: argparse.Action) -> str:
    value = str(action.metavar or "")
    names = ", ".join(action.option_strings)
    return f"{names} {value}".strip() if action.nargs != 0 else names
