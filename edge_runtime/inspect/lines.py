"""Rows of a text for a terminal of 80 columns, and figures as people write them."""

from __future__ import annotations

import textwrap

WIDTH = 80
LABEL, VALUE, NAME = 14, 28, 32
"""Columns of the first of two or three parts of a row, of the second of three, and of a tensor's name."""
_LONGEST_NAME = 60


def amount(size_bytes: float) -> str:
    """Return a number of bytes as people say it: ``4.1 MB``."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes:.0f} bytes"


def count(number: float) -> str:
    """Return a large number as people say it: ``728.0 M``."""
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number:.0f}"


def plain(text: str) -> str:
    """Return a name from the file without what could command the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def row(label: str, text: str, width: int = LABEL) -> list[str]:
    """Return a row of two columns, the second wrapped; `width` is that of the first."""
    first, later = f"  {label:<{width}}", " " * (2 + width)
    lines = textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False)
    return lines or [f"  {label}".rstrip()]


def named(name: str, text: str) -> list[str]:
    """Return a row whose first column is a name of the file: a long one gets a line of its own, a longer one is cut."""
    name = name if len(name) <= _LONGEST_NAME else f"{name[:24]}...{name[-33:]}"
    return row(name, text, NAME) if len(name) < NAME else [f"  {name}", *row("", text, NAME)]


def columns(label: str, value: str, origin: str) -> list[str]:
    """Return a row of three columns, the last two wrapped each for itself."""
    left = textwrap.wrap(value, VALUE - 2) or [""]
    right = textwrap.wrap(origin, WIDTH - 2 - LABEL - VALUE, break_on_hyphens=False) or [""]
    rows = max(len(left), len(right))
    left += [""] * (rows - len(left))
    right += [""] * (rows - len(right))
    labels = [label, *[""] * (rows - 1)]
    return [
        f"  {one:<{LABEL}}{two:<{VALUE}}{three}".rstrip() for one, two, three in zip(labels, left, right, strict=True)
    ]
