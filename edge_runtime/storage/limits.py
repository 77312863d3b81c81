"""What the outputs of a run may take of the disk."""

from __future__ import annotations

from dataclasses import dataclass

LARGEST_FILE_BYTES = 64 * 2**20
SMALLEST_FILE_BYTES = 64 * 2**10
FILES_OF_BUDGET = 16
"""A budget is cut into so many files, so that deleting the oldest takes little of what is kept."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The budget of a run; None is no limit. Without any of them nothing is rotated or deleted."""

    max_bytes: int | None = None  # of logs, telemetry and snapshots together, rotated ones included
    max_bytes_per_day: int | None = None  # written in one UTC day
    min_free_bytes: int | None = None  # left free on each disk that is written to
    keep_days: int | None = None

    @property
    def is_any(self) -> bool:
        """True where something is limited."""
        return (self.max_bytes, self.max_bytes_per_day, self.min_free_bytes, self.keep_days) != (None,) * 4

    @property
    def deletes(self) -> bool:
        """True where old files may be deleted."""
        return (self.max_bytes, self.min_free_bytes, self.keep_days) != (None,) * 3

    @property
    def file_bytes(self) -> int:
        """The size from which on a file is given another name and a new one is begun."""
        if self.max_bytes is None:
            return LARGEST_FILE_BYTES
        return min(LARGEST_FILE_BYTES, max(SMALLEST_FILE_BYTES, self.max_bytes // FILES_OF_BUDGET))
