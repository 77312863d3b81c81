"""What has been measured so far, kept in one small file beside the models, so that a broken run goes on.

Every entry stands under a key of all that its figures depend on; a changed file, dataset, engine or board is a new
key. Only what succeeded is kept: a failure may have been passing, and is tried again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from errno import EISDIR
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from edge_runtime.errors import OutputError
from edge_runtime.wholefile import write_whole

FILE_NAME = ".edge-runtime-compare.json"
SCHEMA = 1
MAX_ENTRIES = 1000


class State:
    """Facts by key, in a file that is replaced whole after every change."""

    def __init__(self, path: Path, *, is_fresh: bool = False) -> None:
        """Read the file and prove that it can be written.

        Args:
            path: the file; it need not exist. A damaged one, or one of another version, counts as empty.
            is_fresh: forget what the file holds under each key that is asked for.

        Raises:
            OutputError: it cannot be written.
        """
        self._path = path
        self._is_fresh = is_fresh
        self._renewed: set[str] = set()
        _try_to_write(path)

    def get(self, key: str) -> dict[str, Any]:
        """Return the facts under a key; empty where there are none."""
        if self._is_fresh and key not in self._renewed:
            return {}
        facts = _entries(self._path).get(key, {})
        return facts if isinstance(facts, dict) else {}

    def add(self, key: str, facts: Mapping[str, Any]) -> None:
        """Add facts under a key, at once on disk. Read anew before, as another run may write here too.

        Raises:
            OutputError: it cannot be written.
        """
        known = self.get(key)
        self._renewed.add(key)
        entries = _entries(self._path)
        entries.pop(key, None)  # so that it becomes the newest
        newest = list(entries)[-MAX_ENTRIES + 1 :]
        _write(self._path, {**{one: entries[one] for one in newest}, key: known | dict(facts)})


def read_entries(path: Path) -> dict[str, Any]:
    """Return all entries of a state file; empty where there is none that can be read."""
    return _entries(path)


def _entries(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        return {}
    entries = content.get("entries")
    return entries if isinstance(entries, dict) else {}


def _try_to_write(path: Path) -> None:
    """Raise where the file could not be written later. A run that ends before its first result leaves none."""
    try:
        if path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        with TemporaryFile(dir=path.parent) as trial:
            trial.write(b"{}")
    except OSError as exc:
        raise _unwritable(path, exc.strerror or str(exc)) from exc


def _write(path: Path, entries: Mapping[str, Any]) -> None:
    text = json.dumps({"schema": SCHEMA, "entries": entries}, indent=1, allow_nan=False)
    try:
        write_whole(path, text.encode())
    except OutputError as exc:
        reason = exc.__cause__.strerror if isinstance(exc.__cause__, OSError) else None
        raise _unwritable(path, reason or str(exc)) from exc


def _unwritable(path: Path, reason: str) -> OutputError:
    return OutputError(
        f"{path}: results cannot be kept there ({reason}); copy the models to a folder that this user may write to"
    )
