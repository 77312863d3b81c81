"""A folder that is there only if something came into it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def no_empty_folder(folder: Path) -> Iterator[None]:
    """At the end take back this folder, and those above it, where they were made in between and hold nothing."""
    missing = [one for one in (folder, *folder.parents) if not os.path.exists(one)]  # noqa: PTH110 (never raises)
    try:
        yield
    finally:
        for one in missing:
            with suppress(OSError):  # it holds something, or was never made
                one.rmdir()
