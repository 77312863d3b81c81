"""A clock that a test moves, a disk of any size, and files of ours."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from edge_runtime.storage.store import Storage

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC).timestamp()


class Clock:
    """Monotonic and wall time; the wall clock can also be set."""

    def __init__(self):
        self.monotonic_ns = 10**12
        self.wall_s = NOON

    def now_ns(self):
        return self.monotonic_ns

    def wall(self):
        return self.wall_s

    def pass_s(self, seconds):
        self.monotonic_ns += int(seconds * 1e9)
        self.wall_s += seconds

    def set_to(self, year):
        self.wall_s = datetime(year, 6, 1, 12, 0, 0, tzinfo=UTC).timestamp()


class Disk:
    """A disk on which so much is free."""

    free_bytes = 10**12

    def __call__(self, folder):
        return os.statvfs_result((4096, 1, 10**12, self.free_bytes, self.free_bytes, 0, 0, 0, 0, 255))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def disk():
    return Disk()


@pytest.fixture
def make_storage(clock, disk):
    """Return a function that makes a storage without its thread: a test calls `work` itself."""

    def make(limits=None, **how):
        return Storage(limits, clock=clock.now_ns, wall_clock=clock.wall, statvfs=disk, **how)

    return make
