"""The drawn pictures, made once."""

from __future__ import annotations

import pytest

from edge_runtime.selftest.frames import Shown, shown_scenes


@pytest.fixture(scope="session")
def pictures() -> list[Shown]:
    """Return twenty pictures of the self-test, four of them with the card."""
    return list(shown_scenes(20))
