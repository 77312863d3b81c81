"""Writes docs/help.md from the parsers: ``python scripts/write_help.py``.

The text is what ``--help`` prints in a terminal of 100 columns.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from edge_runtime.cli import COMMANDS, build_parser  # noqa: E402
from edge_runtime.cli.help import render  # noqa: E402

TARGET = ROOT / "docs" / "help.md"
WIDTH = 98
HEAD = """\
# The command line

Written by `scripts/write_help.py` from the program itself; do not edit. The settings in a file and in the environment,
and the exit codes: [configuration.md](configuration.md).
"""


def document() -> str:
    """Return the page: the help of the whole, then that of each command."""
    parsers = {"edge-runtime": build_parser()}
    parsers |= {f"edge-runtime {command}": build_parser(command) for command in COMMANDS}
    return HEAD + "".join(f"\n## {name}\n\n```text\n{render(one, WIDTH)}```\n" for name, one in parsers.items())


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
