"""The unit file, checked by systemd's own tool."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edge_runtime.config import load
from edge_runtime.errors import ConfigError, ModelError

UNITS = Path(__file__).resolve().parents[1] / "systemd"


def test_systemd_accepts_every_line_of_the_unit(tmp_path: Path) -> None:
    """A misspelt key is ignored by systemd with a warning that nobody reads."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "edge-runtime.service"
    text = (UNITS / "edge-runtime.service").read_text()
    unit.write_text(
        text.replace("/opt/edge-runtime/bin/edge-runtime", "/bin/true")
    )  # the program is not installed here
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=yes", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "edge-runtime" in line]
    assert (done.returncode, said) == (0, [])


def test_the_unit_does_not_restart_what_a_restart_cannot_mend() -> None:
    """The exit codes live in the errors; the unit repeats two of them."""
    line = f"RestartPreventExitStatus={ConfigError.exit_code} {ModelError.exit_code}"
    assert line in (UNITS / "edge-runtime.service").read_text()


def test_the_example_settings_are_valid() -> None:
    found = load({}, {}, UNITS / "edge-runtime.toml").config
    assert found.append
    assert found.source == "/dev/video0"
