"""What was measured about a model on this board, kept between starts in one small file.

Two processes that write at once lose one of the two verdicts, and the loser measures again: that is all it costs.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import pwd
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from edge_runtime.errors import ModelError
from edge_runtime.wholefile import write_whole

log = logging.getLogger(__name__)

FILE_NAME = "verdicts.json"
MAX_ENTRIES = 200


class NamedEngine(Protocol):
    """What a measurement depends on of an engine."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return where to keep things: systemd's CacheDirectory, else $XDG_CACHE_HOME/edge-runtime, else ~/.cache.

    None where there is no home either, as for a user that a container made up.
    """
    if folders := environment.get("CACHE_DIRECTORY"):
        return Path(folders.split(":")[0])
    base = Path(environment.get("XDG_CACHE_HOME", ""))
    if base.is_absolute():
        return base / "edge-runtime"
    home = environment.get("HOME") or _home_of_user()
    return Path(home) / ".cache" / "edge-runtime" if home else None


def _home_of_user() -> str | None:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return None


def model_key(model: Path, engine: NamedEngine, cores: int) -> str:
    """Return a name for this model on this engine and board: all that a measurement depends on.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        digest = sha256_of(model)
    except OSError as exc:
        raise ModelError(f"{model}: cannot be read: {exc.strerror or exc}; give the path of a .tflite file") from exc
    return f"{digest} {engine.name} {engine.version} {platform.machine()} {platform.node()} {board_name()} {cores}"


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits.

    By Python's own module, named so since 3.12 and before: every start comes here, and hashlib brings OpenSSL, 3.6 MB
    of memory.

    Raises:
        OSError: the file cannot be read.
    """
    for home in ("_sha2", "_sha256", "hashlib"):
        try:
            digest = import_module(home).sha256()
            break
        except ImportError:
            continue
    with file.open("rb") as opened:
        while block := opened.read(1 << 18):
            digest.update(block)
    return str(digest.hexdigest())


def board_name(root: Path = Path("/")) -> str:
    """Return "Raspberry Pi 5 Model B Rev 1.0"; "" where the firmware does not say. A card may move to another board."""
    try:
        return (root / "proc/device-tree/model").read_text(errors="replace").rstrip("\0\n")
    except OSError:
        return ""


def recall(folder: Path | None, key: str) -> dict[str, Any]:
    """Return what is known under this key; empty when nothing is, or when the file is damaged."""
    return _facts(_read(folder), key)


def remember(folder: Path | None, key: str, facts: Mapping[str, Any]) -> None:
    """Add facts under this key, whole or not at all. A folder that cannot be written costs only the next start."""
    if folder is None:
        return
    entries = _read(folder)
    entries[key] = _facts(entries, key) | dict(facts)
    for oldest in list(entries)[: max(0, len(entries) - MAX_ENTRIES)]:
        del entries[oldest]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / FILE_NAME, json.dumps(entries, indent=1).encode())
    except OSError as exc:  # of either: an OutputError is one, too
        log.debug("verdicts not kept folder=%s reason=%s", folder, exc)


def _facts(entries: Mapping[str, Any], key: str) -> dict[str, Any]:
    entry = entries.get(key)
    return dict(entry) if isinstance(entry, dict) else {}


def _read(folder: Path | None) -> dict[str, Any]:
    if folder is None:
        return {}
    try:
        entries = json.loads((folder / FILE_NAME).read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return entries if isinstance(entries, dict) else {}
