"""What was measured about a model on this board, kept between starts in one small file."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_runtime.inference.engine import Engine

log = logging.getLogger(__name__)

FILE_NAME = "verdicts.json"
MAX_ENTRIES = 200


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where to keep things: systemd's CacheDirectory, else $XDG_CACHE_HOME/edge-runtime, else ~/.cache."""
    if folders := environment.get("CACHE_DIRECTORY"):
        return Path(folders.split(":")[0])
    base = environment.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path(environment.get("HOME", "/nonexistent")) / ".cache") / "edge-runtime"


def model_key(model: Path, engine: Engine, cores: int) -> str:
    """Return a name for this model on this engine and board: all that a measurement depends on."""
    with model.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{digest} {engine.name} {engine.version} {platform.machine()} {platform.node()} {cores}"


def recall(folder: Path, key: str) -> dict[str, Any]:
    """Return what is known under this key; empty when nothing is, or when the file is damaged."""
    entry = _read(folder).get(key)
    return dict(entry) if isinstance(entry, dict) else {}


def remember(folder: Path, key: str, facts: Mapping[str, Any]) -> None:
    """Add facts under this key, whole or not at all. A folder that cannot be written costs only the next start."""
    entries = _read(folder)
    entries[key] = {**recall(folder, key), **facts}
    for oldest in list(entries)[: max(0, len(entries) - MAX_ENTRIES)]:
        del entries[oldest]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".verdicts-", delete=False) as file:
            json.dump(entries, file, indent=1)
        Path(file.name).replace(folder / FILE_NAME)
    except OSError as exc:
        log.debug("verdicts not kept folder=%s reason=%s", folder, exc)


def _read(folder: Path) -> dict[str, Any]:
    try:
        entries = json.loads((folder / FILE_NAME).read_text())
    except (OSError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}
