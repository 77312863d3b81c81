"""Fixtures for the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy two-core machine is slow at times; that says nothing about the code.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

# FFmpeg reads its level once, at the first video of the process. In a run that is a source of ours, which sets it; in
# the tests it may be a film that a test writes.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real models, pictures and videos that may lie beside the repository."""
    if not (SHARED / "models" / "README.md").exists():
        pytest.skip("the folder ../shared with real models and pictures is not there")
    return SHARED
