"""Time: integer nanoseconds of the monotonic clock inside, RFC 3339 UTC in what is written."""

from __future__ import annotations

import time
from datetime import UTC, datetime

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


def now_ns() -> int:
    """Return the monotonic clock in nanoseconds; it never jumps when the wall clock is set."""
    return time.monotonic_ns()


def rfc3339(wall_time: float) -> str:
    """Return seconds since 1970 as RFC 3339 UTC with milliseconds: ``2026-01-31T12:00:00.250Z``."""
    text = datetime.fromtimestamp(wall_time, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"
