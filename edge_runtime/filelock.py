"""A lock on an open file, against a second run that was given the same name."""

from __future__ import annotations

import fcntl
import logging
from typing import BinaryIO

log = logging.getLogger(__name__)


def lock(file: BinaryIO, *, is_shared: bool = False) -> None:
    """Lock a file until it is closed or the process ends.

    Args:
        file: open for writing.
        is_shared: allow others that share it, and only them.

    Raises:
        BlockingIOError: another run holds it.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as exc:  # some network file systems have no locks; that is no reason to refuse
        log.debug("file not locked path=%s reason=%s", file.name, exc)
