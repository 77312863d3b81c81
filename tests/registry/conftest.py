"""A file to download and the server that has it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.registry.server import FileServer, serving

SIZE = 300_000


@pytest.fixture
def server() -> Iterator[FileServer]:
    """Return a server of bytes that no two places of have in common."""
    with serving(random.Random(5).randbytes(SIZE)) as started:
        yield started
