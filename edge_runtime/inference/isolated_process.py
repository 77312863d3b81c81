"""A child process with all that ties it to us: a socket, shared memory, what it says, and its end with ours."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from io import FileIO
from mmap import mmap

from edge_runtime.errors import BackendError
from edge_runtime.inference.child_wire import Channel

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-P", "-m", "edge_runtime.inference.child")
LAST_WORDS_BYTES = 4096
MAX_WORDS = 300
ORDERLY_S = 0.5
"""How long a child gets to free its device by itself."""
DEAD_WITHIN_S = 1.0


class ChildProcess:
    """A child that has been started. It has a session of its own: a Ctrl-C reaches us alone."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        """Start it.

        Raises:
            BackendError: no process can be started.
        """
        try:
            self._begin(command)
        except OSError as exc:
            raise BackendError(f"isolation: no process can be started for the model: {exc}") from exc

    def _begin(self, command: Sequence[str]) -> None:
        with ExitStack() as opened:
            ours, theirs = (opened.enter_context(end) for end in socket.socketpair())
            reading, writing = os.pipe()
            their_lifeline = opened.enter_context(FileIO(reading, "rb"))
            lifeline = opened.enter_context(FileIO(writing, "wb"))
            said = opened.enter_context(_memory_file("edge-runtime-stderr"))
            memory = opened.enter_context(_memory_file("edge-runtime-tensors"))
            fcntl.fcntl(said.fileno(), fcntl.F_SETFL, os.O_APPEND)
            passed = [theirs.fileno(), memory.fileno(), their_lifeline.fileno()]
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours, and no shell there
                [*command, *map(str, passed)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said.fileno(),
                pass_fds=passed,
                env=_environment(),
                start_new_session=True,
            )
            theirs.close()
            their_lifeline.close()
            self.channel = Channel(ours)
            self._lifeline, self._said, self._memory = lifeline, said, memory
            opened.pop_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def share(self, size: int) -> mmap:
        """Return memory of so many bytes that the child can see, too; neither side can make it smaller after that.

        Raises:
            OSError: there is no room for it.
        """
        fd = self._memory.fileno()
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return mmap(fd, size)

    def kill(self) -> None:
        """End it at once. From any thread: whoever waits for an answer of it gets the end of the channel."""
        self._process.kill()

    def ending(self) -> str:
        """Return how it ended, "SIGSEGV" or "exit status 1"; of one that still runs, after it was killed."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(DEAD_WITHIN_S)
        code = self._process.returncode
        if code is None:
            self._process.kill()
            return "closed its channel"
        if code >= 0:
            return f"exit status {code}"
        return next((one.name for one in signal.Signals if one == -code), f"signal {-code}")

    def last_words(self) -> str:
        """Return the last line it wrote to stderr; empty if none."""
        size = os.fstat(self._said.fileno()).st_size
        tail = os.pread(self._said.fileno(), LAST_WORDS_BYTES, max(0, size - LAST_WORDS_BYTES))
        lines = tail.decode(errors="replace").split("\n")
        return next((line.strip()[:MAX_WORDS] for line in reversed(lines) if line.strip()), "")

    def close(self) -> None:
        """Let the child end in order, kill it if it does not, and free everything. A second call does nothing."""
        self.channel.close()
        try:
            self._process.wait(ORDERLY_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            try:
                self._process.wait(DEAD_WITHIN_S)
            except subprocess.TimeoutExpired:  # it sits in a driver; the kernel ends it when that returns
                log.warning("child process does not end yet, killed pid=%d", self.pid)
        for file in (self._lifeline, self._said, self._memory):
            file.close()


def _memory_file(name: str) -> FileIO:
    return FileIO(os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "r+b")


def _environment() -> dict[str, str]:
    """Return the child's variables: our import path, so that it finds what we have found, and no idle BLAS threads."""
    path = os.pathsep.join(str(entry) or "." for entry in sys.path)
    return {"OPENBLAS_NUM_THREADS": "1", **os.environ, "PYTHONPATH": path}
