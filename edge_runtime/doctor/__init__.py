"""The doctor: what of this machine, its packages, devices and settings is in order, and what mends the rest.

Each section is a function from facts to findings. It reads; it never changes anything, and never makes a camera stream.
"""

from __future__ import annotations

SECTIONS = {
    "python": "edge_runtime.doctor.python:check_python",
    "packages": "edge_runtime.doctor.packages:check_packages",
    "engine": "edge_runtime.doctor.engine:check_engine",
    "board": "edge_runtime.doctor.board:check_board",
    "cameras": "edge_runtime.doctor.cameras:check_cameras",
    "accelerators": "edge_runtime.doctor.accelerators:check_accelerators",
    "power": "edge_runtime.doctor.power:check_power",
    "storage": "edge_runtime.doctor.storage:check_storage",
    "memory": "edge_runtime.doctor.memory:check_memory",
    "clock": "edge_runtime.doctor.timekeeping:check_clock",
    "display": "edge_runtime.doctor.display:check_display",
    "service": "edge_runtime.doctor.unit:check_service",
    "settings": "edge_runtime.doctor.configuration:check_settings",
}
"""Section -> its check, in the order they are shown. A check takes the machine and the settings."""

NEED_TRIALS = ("packages", "engine", "accelerators", "display", "settings")
"""The sections that look at what a child process has tried out; they come last, the child works meanwhile."""
