"""Downloads a file of known size and checksum: continued where it broke off, and named only when it is the right one.

Until then it is ``<name>.part``; beside it lies what the server said of that state of the file.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import ModelError, OutputError
from edge_runtime.filelock import lock
from edge_runtime.registry.connection import Answer, BrokenOffError, is_stale, request
from edge_runtime.wholefile import write_whole

CHUNK_BYTES = 1 << 16
RESERVE_BYTES = 16 << 20
"""What stays free on the disk: a full one harms more than a missing model."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, and how often."""

    timeout_s: float = 20.0  # without a sign of life
    slow_s: float = 30.0  # for so long slower than `least_bytes_s` counts as broken off
    least_bytes_s: float = 1024.0
    tries: int = 5  # in a row that bring nothing worth the name
    first_wait_s: float = 1.0  # doubled each time
    longest_wait_s: float = 30.0
    worth_bytes: int = 1 << 16  # what a try must bring to count as none in vain


@dataclass(frozen=True, slots=True)
class Wanted:
    """The file that is to come."""

    url: str
    size: int
    sha256: str


Tick = Callable[[int], None]
"""Takes how many bytes are there."""


def part_files(target: Path) -> tuple[Path, Path]:
    """Return the names of a download that is not finished: the bytes, and what the server said of them."""
    return target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")


def digest(path: Path) -> str:
    """Return the sha256 of a file.

    Raises:
        ModelError: it cannot be read.
    """
    import hashlib  # brings OpenSSL, 3.6 MB of memory: only for those who need it

    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise ModelError(f"{path}: cannot be read: {exc.strerror or exc}; give the path of a model") from exc


def download(
    wanted: Wanted,
    target: Path,
    *,
    tick: Tick = lambda _: None,
    patience: Patience = Patience(),
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Bring the file to `target`, which gets its name when the checksum is right.

    What came is kept where it fails, to be continued; where nothing came, nothing is left.

    Raises:
        ModelError: it cannot be had, or is another file than it should be.
        OutputError: the disk does not take it, or another process is at it.
    """
    part, note = part_files(target)
    _require_space(target, wanted.size - (part.stat().st_size if part.exists() else 0))
    with _taken(part, note) as descriptor:
        transfer = _Transfer(wanted, part, note, descriptor, tick, patience, sleep, clock)
        if transfer.run() and digest(part) != wanted.sha256:  # of several pieces one may be of another state
            os.ftruncate(descriptor, 0)
            transfer.run()
        found = digest(part)
        if found != wanted.sha256:
            for path in (part, note):
                path.unlink(missing_ok=True)
            raise ModelError(
                f"{wanted.url}: what came has the sha256 {found[:16]}..., wanted is {wanted.sha256[:16]}...: it was "
                "changed at its source or on the way; nothing was kept"
            )
        _finish(descriptor, part, target)
        note.unlink(missing_ok=True)


def _require_space(target: Path, missing: int) -> None:
    try:
        free = shutil.disk_usage(target.parent).free
    except OSError as exc:
        raise _unwritable(target, exc) from exc
    if free < missing + RESERVE_BYTES:
        raise OutputError(
            f"{target}: needs {(missing + RESERVE_BYTES) / 1e6:.0f} MB, {free / 1e6:.0f} MB are free; "
            "make room, or choose another folder with --to"
        )


@contextmanager
def _taken(part: Path, note: Path) -> Iterator[int]:
    """Open the unfinished file for this process alone; one that is still empty at a failure goes, with its note."""
    try:
        file = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b")
    except OSError as exc:
        raise _unwritable(part, exc) from exc
    with file:
        try:
            lock(file)
            is_same = os.fstat(file.fileno()).st_ino == part.stat().st_ino
        except (BlockingIOError, FileNotFoundError):
            is_same = False
        if not is_same:  # or what was opened has become the finished model meanwhile
            raise OutputError(f"{part}: another process is pulling this model; wait for it, then run this again")
        try:
            yield file.fileno()
        except BaseException:
            if not os.fstat(file.fileno()).st_size:
                for path in (part, note):
                    path.unlink(missing_ok=True)
            raise


def _finish(descriptor: int, part: Path, target: Path) -> None:
    try:
        os.fsync(descriptor)
        part.replace(target)
    except OSError as exc:
        raise _unwritable(target, exc) from exc


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: cannot be written ({error.strerror or error}); choose another folder with --to")


@dataclass(slots=True)
class _Transfer:
    """The unfinished file and the way to fill it. Unbuffered: what a process that dies had, is there."""

    wanted: Wanted
    part: Path
    note: Path
    descriptor: int
    tick: Tick
    patience: Patience
    sleep: Callable[[float], None]
    clock: Callable[[], float]

    @property
    def have(self) -> int:
        """How many bytes are there."""
        return os.fstat(self.descriptor).st_size

    def run(self) -> bool:
        """Return when all bytes are there, whatever they are: whether they came in more than one piece.

        Raises:
            ModelError: they cannot be had.
            OutputError: the disk does not take them.
        """
        if self._noted().get("sha256") != self.wanted.sha256 or self.have > self.wanted.size:
            os.ftruncate(self.descriptor, 0)
        pieces, vain, is_reached = int(self.have > 0), 0, False
        while (have := self.have) < self.wanted.size:
            self.tick(have)
            try:
                self._try()
            except BrokenOffError as exc:
                if is_stale(exc):
                    os.ftruncate(self.descriptor, 0)
                vain = 0 if self.have - have >= self.patience.worth_bytes else vain + 1
                is_reached = is_reached or not exc.is_first_word
                if vain >= self.patience.tries or not is_reached:
                    raise self._given_up(exc) from exc
                self.sleep(self._pause(exc, vain))
            pieces += self.have > have
        self.tick(self.wanted.size)
        return pieces > 1

    def _try(self) -> None:
        wanted, validator = self.wanted, self._noted().get("validator")
        with request(wanted.url, self.have, validator, size=wanted.size, timeout_s=self.patience.timeout_s) as answer:
            self._receive(answer)

    def _pause(self, error: BrokenOffError, vain: int) -> float:
        growing = self.patience.first_wait_s * 2 ** max(0, vain - 1)
        return min(growing if error.wait_s is None else error.wait_s, self.patience.longest_wait_s)

    def _given_up(self, error: BrokenOffError) -> ModelError:
        kept = f"; {self.have / 1e6:.1f} of {self.wanted.size / 1e6:.1f} MB are kept, and continued next time"
        advice = "; is this machine online?" if error.is_first_word else "; try again later"
        return ModelError(f"{self.wanted.url}: cannot be downloaded: {error}{advice}{kept if self.have else ''}")

    def _receive(self, answer: Answer) -> None:
        """Write what the answer sends behind what is there.

        Raises:
            BrokenOffError: it ends early, or comes too slowly.
            ModelError: there is more than there should be.
            OutputError: the disk does not take it.
        """
        os.ftruncate(self.descriptor, answer.offset)
        facts = {"sha256": self.wanted.sha256, "url": self.wanted.url, "validator": answer.validator}
        write_whole(self.note, json.dumps(facts).encode(), is_synced=False)
        size, since_s, since = self.wanted.size, self.clock(), answer.offset
        while data := answer.read(CHUNK_BYTES):
            if self.have + len(data) > size:
                os.ftruncate(self.descriptor, 0)
                raise ModelError(
                    f"{self.wanted.url}: sends more than the {size} bytes of the registry; nothing was kept"
                )
            self._write(data)
            self.tick(self.have)
            elapsed_s, got = self.clock() - since_s, self.have - since
            if elapsed_s >= self.patience.slow_s:
                if got < self.patience.least_bytes_s * elapsed_s:
                    raise BrokenOffError(f"it came at {got / elapsed_s:.0f} bytes a second")
                since_s, since = self.clock(), self.have
        if self.have < size:
            raise BrokenOffError(f"the connection was cut at {self.have} of {size} bytes")

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:  # a write may take a part only
                view = view[os.pwrite(self.descriptor, view, self.have) :]
        except OSError as exc:
            if exc.errno in (errno.ENOSPC, errno.EDQUOT):
                os.ftruncate(self.descriptor, 0)  # a full disk stops others too
            raise _unwritable(self.part, exc) from exc

    def _noted(self) -> dict[str, str]:
        """Return what is known of the bytes that are there."""
        try:
            found = json.loads(self.note.read_text())
        except (OSError, ValueError, RecursionError):
            return {}
        return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
