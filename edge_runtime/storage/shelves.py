"""The folders of the outputs: what is kept in them, and the oldest of it deleted."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.storage.compress import content_bytes
from edge_runtime.storage.limits import Limits
from edge_runtime.storage.names import COMPRESSED, DAY_S, Kept, OrderOf, files_of
from edge_runtime.storage.surplus import SPARE, Stock, surplus, take_stock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Owned:
    """A folder in which files of a certain look are ours."""

    folder: Path
    order_of: OrderOf
    live: Path | None  # the file that is being written: it counts and stays
    is_packed: bool  # its rotated files are compressed


class Shelves:
    """What all outputs keep. One thread at a time.

    Args:
        wall_clock: seconds since 1970.
        statvfs: tells the room on the disk of a folder.
    """

    def __init__(
        self,
        *,
        wall_clock: Callable[[], float] = time.time,
        statvfs: Callable[[Path], os.statvfs_result] = os.statvfs,
    ) -> None:
        self.owned: list[Owned] = []
        self._wall_clock = wall_clock
        self._statvfs = statvfs

    def loose(self) -> Iterator[Path]:
        """Give the rotated files that are to be compressed, oldest first."""
        for one in self.owned:
            if one.is_packed:
                files = (file for file in files_of(one.folder, one.order_of) if file.path.suffix != COMPRESSED)
                yield from (file.path for file in sorted(files, key=lambda file: file.order))

    def sweep(self, limits: Limits, is_stopped: Callable[[], bool]) -> int:
        """Delete what is too much or too old; return the bytes that are kept, with those of the live files."""
        while True:
            stock = self._stock(self.owned)
            live_bytes = sum(_size_of(one.live) for one in self.owned if one.live is not None)
            files = surplus(stock, limits, live_bytes=live_bytes, missing_bytes=0, now_s=self._wall_clock())
            if not _delete(files) or is_stopped():
                return stock.size_bytes + live_bytes

    def free(self, missing_bytes: int, owned: Iterable[Owned] | None = None) -> int:
        """Delete the oldest files until so many bytes are free; return how many that were."""
        stock = self._stock(self.owned if owned is None else owned)
        files = surplus(stock, Limits(), live_bytes=0, missing_bytes=missing_bytes, now_s=self._wall_clock())
        return _delete(files)

    def make_room(self, minimum_bytes: int, *, was_short: bool) -> bool:
        """Delete the oldest files of each disk on which less is free; return whether it still is on one of them.

        Args:
            minimum_bytes: to be free on each disk.
            was_short: True asks for a little more, so that the answer does not flicker.
        """
        is_short = False
        for owned in self._by_disk():
            missing_bytes = minimum_bytes - self._free_bytes(owned)
            if missing_bytes > 0:
                self.free(missing_bytes, owned)
            wanted_bytes = minimum_bytes * (1 + SPARE) if was_short else minimum_bytes
            is_short = is_short or self._free_bytes(owned) < wanted_bytes
        return is_short

    def _by_disk(self) -> Iterable[list[Owned]]:
        disks: dict[int, list[Owned]] = {}
        for one in self.owned:
            with suppress(OSError):  # a stick that was pulled, a folder that was deleted
                disks.setdefault(one.folder.stat().st_dev, []).append(one)
        return disks.values()

    def _free_bytes(self, owned: list[Owned]) -> int:
        status = self._statvfs(owned[0].folder)
        return status.f_bavail * status.f_frsize

    def _stock(self, owned: Iterable[Owned]) -> Stock:
        files = (file for one in owned for file in files_of(one.folder, one.order_of))
        return take_stock(files, self._wall_clock())


def written_on(owned: Owned, date: int) -> Iterator[int]:
    """Give the bytes that a run before this one wrote on a date, in days since 1970, file by file."""

    def of_date(name: str) -> tuple[int, int] | None:
        order = owned.order_of(name)
        return order if order is not None and order[0] // DAY_S == date else None

    yield from (content_bytes(one.path, one.size_bytes) for one in files_of(owned.folder, of_date))
    if owned.live is not None:
        with suppress(OSError):
            status = owned.live.stat()
            if status.st_mtime // DAY_S == date:
                yield status.st_size


def _delete(files: Iterator[Kept]) -> int:
    """Delete files; return their bytes. One that cannot be deleted is passed over."""
    freed_bytes = count = 0
    for file in files:
        try:
            file.path.unlink()
        except OSError as exc:
            log.warning("an old file could not be deleted path=%s reason=%s", file.path, exc.strerror)
            continue
        freed_bytes, count = freed_bytes + file.size_bytes, count + 1
    if count:
        log.info("old files deleted files=%d bytes=%d", count, freed_bytes)
    return freed_bytes


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
