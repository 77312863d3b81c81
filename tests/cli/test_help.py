"""The help: pleasant in a terminal, the same in the documentation."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Callable

import pytest

from edge_runtime import __version__
from edge_runtime.cli import COMMANDS, build_parser
from edge_runtime.cli.help import render
from edge_runtime.config import FIELDS
from tests.cli.program import ROOT, Done

Edge = Callable[..., Done]


def test_the_page_in_the_documentation_is_up_to_date() -> None:
    """Mend it with: python scripts/write_help.py."""
    document = runpy.run_path(str(ROOT / "scripts" / "write_help.py"))["document"]
    assert (ROOT / "docs" / "help.md").read_text(encoding="utf-8") == document()


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_terminal_of_80_columns(edge: Edge, command: str) -> None:
    done = edge(*command.split(), "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"usage: edge-runtime {command}".strip())
    assert max(map(len, done.out.splitlines())) <= 80


def test_the_help_of_run_names_every_setting(edge: Edge) -> None:
    out = edge("run", "--help").out
    assert [name for name in FIELDS if f"--{name.replace('_', '-')}" not in out] == []
    assert edge("--model", "x", "--help").out == out


def test_a_narrow_and_a_wide_terminal_stay_readable() -> None:
    """Words are never torn, flags never wrapped."""
    for width in (50, 98):
        lines = render(build_parser("run"), width).splitlines()
        assert max(map(len, lines)) <= width
        assert any(line.startswith("  --exit-on-source-loss ") for line in lines)


def test_version_is_one_line_on_stdout(edge: Edge) -> None:
    done = edge("--version")
    assert (done.code, done.out, done.err) == (0, f"edge-runtime {__version__}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command: str) -> None:
    """It answers at once, also on a board where numpy takes half a second to load."""
    code = (
        f"import sys; from edge_runtime.cli import run_command; run_command(['{command}', '--help']);"
        "print(*(m for m in ('numpy', 'cv2', 'psutil', 'ai_edge_litert', 'tflite_runtime') if m in sys.modules),"
        "file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr.strip() == ""
    assert done.stdout.startswith(f"usage: edge-runtime {command}")


@pytest.mark.parametrize(
    ("args", "answer"),
    [
        (("foo",), f"'foo': is no command; choose from {', '.join(COMMANDS)}, or see edge-runtime --help"),
        (("detekt", "x.jpg"), "'detekt': is no command; did you mean detect?"),
        (("street.mp4",), "'street.mp4': is no command; a video, a picture or a folder is named with --source"),
        (("m.tflite",), "'m.tflite': is no command; a model is named with --model m.tflite"),
        (("--treshold", "0.4"), "--treshold: is no flag of edge-runtime run; did you mean --threshold?"),
        (("--frobnicate=1",), "--frobnicate: is no flag of edge-runtime run; see edge-runtime run --help"),
        (("bench", "--num-run", "3"), "--num-run: is no flag of edge-runtime bench; did you mean --num-runs?"),
        (("--max-frames",), "--max-frames: needs a value; see edge-runtime run --help"),
        (("--headless=yes",), "--headless: takes no value, but 'yes' was given"),
        (("--source", "a.png", "b.png"), "'b.png': is one argument too many; there is one source; put a pattern in"),
        (("clip.mp4x", "--model", "m"), "'clip.mp4x': is no command"),
        (("--model", "m", "clip.mp4"), "'clip.mp4': is one argument too many; if it is the source, write --source"),
        (("detect",), "IMAGE: is missing; see edge-runtime detect --help"),
        (("detect", "a.png", "b.png"), "'b.png': is one argument too many; detect takes one picture"),
        (("inspect", "m.tflite", "a.jpg"), "'a.jpg': is one argument too many; leave it out, or see edge"),
        (("--model", "m", "rtsp://me:geheim@cam/x"), "'rtsp://cam/x': is one argument too many"),
    ],
)
def test_a_mistyped_command_line_gets_one_line_that_helps(edge: Edge, args: tuple[str, ...], answer: str) -> None:
    done = edge(*args)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"edge-runtime: error: {answer}")
    assert done.err.count("\n") == 1
    assert "geheim" not in done.err


def test_quiet_and_verbose_may_stand_before_the_command(edge: Edge) -> None:
    assert "Traceback" in edge("-v", "config", "--threshold", "7").err
    assert edge("-q", "config").code == 0
