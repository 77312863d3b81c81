"""What lies in systemd/; the units themselves are checked with what is made of them, in test_unit.py."""

from __future__ import annotations

from pathlib import Path

from edge_runtime.config import load
from edge_runtime.errors import ConfigError, ModelError

UNITS = Path(__file__).resolve().parents[1] / "systemd"


def test_the_unit_does_not_restart_what_a_restart_cannot_mend() -> None:
    """The exit codes live in the errors; the unit repeats two of them."""
    line = f"RestartPreventExitStatus={ConfigError.exit_code} {ModelError.exit_code}"
    assert line in (UNITS / "edge-runtime.service").read_text()


def test_the_example_settings_are_valid() -> None:
    found = load({}, {}, UNITS / "edge-runtime.toml").config
    assert found.append
    assert found.source == "/dev/video0"
