"""Fixtures for the whole suite."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
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


@pytest.fixture(autouse=True)
def _levels_as_before() -> Iterator[None]:
    """Take back how much the command line said is to be logged; else the tests after it see no log."""
    loggers = (logging.getLogger(), logging.getLogger("edge_runtime"))
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real models, pictures and videos that may lie beside the repository."""
    if not (SHARED / "models" / "README.md").exists():
        pytest.skip("the folder ../shared with real models and pictures is not there")
    return SHARED
