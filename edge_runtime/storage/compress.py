"""Rotated files compressed by gzip, each whole or not at all."""

from __future__ import annotations

import gzip
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from edge_runtime.filelock import lock
from edge_runtime.storage.names import COMPRESSED

log = logging.getLogger(__name__)

CHUNK_BYTES = 256 * 1024
LEVEL = 6


def partial_of(path: Path) -> Path:
    """Return the name that the compressed file has until it is complete."""
    return path.with_name(f".{path.name}{COMPRESSED}.partial")


def compress(path: Path, is_stopped: Callable[[], bool]) -> int | None:
    """Replace a rotated file by its compressed form; return the bytes written, None where it was left as it is.

    A file that somebody still writes, or that another run compresses, is left for later. The compressed file is on
    the disk before the other one goes.

    Args:
        path: the file; a compressed form of it that is there already stems from a run that was cut off in between.
        is_stopped: asked after every chunk.
    """
    partial, whole = partial_of(path), path.with_name(path.name + COMPRESSED)
    try:
        with path.open("rb") as source:
            lock(source)
            with partial.open("wb") as target:
                with gzip.GzipFile("", "wb", LEVEL, target, mtime=0) as packed:
                    while chunk := source.read(CHUNK_BYTES):
                        packed.write(chunk)
                        if is_stopped():
                            return None
                target.flush()
                os.fsync(target.fileno())
            shutil.copystat(path, partial)
            partial.replace(whole)
            path.unlink()
            return whole.stat().st_size
    except (FileNotFoundError, BlockingIOError):  # deleted meanwhile, or still written
        return None
    except OSError as exc:
        log.warning("a rotated file could not be compressed, it stays as it is path=%s reason=%s", path, exc)
        return None
    finally:
        with suppress(OSError):  # it has its name, or was never there
            partial.unlink()


def content_bytes(path: Path, size_bytes: int) -> int:
    """Return the bytes that were written to a rotated file before it was compressed, and by that.

    Source: RFC 1952, ISIZE: the last four bytes are the size of what was compressed.
    """
    if path.suffix != COMPRESSED:
        return size_bytes
    try:
        with path.open("rb") as file:
            file.seek(-4, os.SEEK_END)
            return size_bytes + int.from_bytes(file.read(4), "little")
    except OSError:
        return size_bytes
