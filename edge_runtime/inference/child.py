"""The child process of an isolated backend: opens a model as it is told and invokes it on shared memory.

``python -m edge_runtime.inference.child SOCKET MEMORY LIFELINE`` gets three open file descriptors. A hang or a crash of
an engine, a delegate or a driver ends here. It may be told to open another model after one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import resource
import signal
import socket
import sys
from dataclasses import asdict
from mmap import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.inference.child_wire import Channel, Kind, pack_arrays, pack_error, pack_specs, room_for, views

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.inference import Backend

F_SETSIG = 10
"""Linux: which signal tells that something happened on a descriptor. Source: fcntl(2)."""
MOST_SAID_BYTES = 1 << 16
MOST_LINES = 50
DIES_FIRST = "500"
"""Of 1000: where memory runs out the kernel is to take this process and not the service. Source: proc(5)."""


class Served:
    """A model that is open, with its tensors in the shared memory."""

    def __init__(self, backend: Backend, memory_fd: int) -> None:
        self.backend = backend
        self._memory_fd = memory_fd
        self._tensors: list[NDArray[Any]] | None = None  # inputs, then outputs; the parent makes the room for them

    def invoke(self) -> tuple[Kind, bytes]:
        """Return what to answer when the inputs are in the memory."""
        inputs, outputs = self._views()
        answer = self.backend.invoke(inputs)
        same = len(answer) == len(outputs) and all(
            one.shape == room.shape and one.dtype == room.dtype for one, room in zip(answer, outputs, strict=True)
        )
        if not same:
            return Kind.RESHAPED, pack_arrays(answer)
        for one, room in zip(answer, outputs, strict=True):
            room[...] = one
        return Kind.DONE, b""

    def _views(self) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        specs = (*self.backend.inputs, *self.backend.outputs)
        if self._tensors is None:
            self._tensors = views(mmap(self._memory_fd, room_for(specs)), specs)
        count = len(self.backend.inputs)
        return self._tensors[:count], self._tensors[count:]


class Kept(logging.Handler):
    """Keeps what is logged while a model is opened, for the parent to log."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[tuple[str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.lines) < MOST_LINES:
            self.lines.append((record.name, record.levelno, record.getMessage()))


def serve(channel: Channel, memory_fd: int) -> None:
    """Do what the parent asks for until it goes away."""
    served: Served | None = None
    try:
        while True:
            kind, payload = channel.receive()
            if kind is Kind.OPEN:
                if served is not None:
                    served.backend.close()
                served = _open(channel, payload.decode(), memory_fd)
            elif kind is Kind.INVOKE and served is not None:
                _answer(channel, served)
    finally:
        if served is not None:
            served.backend.close()


def _open(channel: Channel, order: str, memory_fd: int) -> Served | None:
    from edge_runtime.inference.opening import Order, open_here

    kept = Kept()
    logger = logging.getLogger("edge_runtime")
    logger.addHandler(kept)
    logger.setLevel(logging.INFO)
    backend: Backend | None = None
    try:
        backend = open_here(Order.from_json(order))
        said: dict[str, Any] = {
            "inputs": pack_specs(backend.inputs),
            "outputs": pack_specs(backend.outputs),
            "info": asdict(backend.describe()),
        }
        message = json.dumps(said | {"log": kept.lines}).encode()
    except Exception as exc:  # noqa: BLE001 (raised again in the parent)
        if backend is not None:
            backend.close()
        channel.send(Kind.FAILED, json.dumps(pack_error(exc) | {"log": kept.lines}).encode())
        return None
    finally:
        logger.removeHandler(kept)
    channel.send(Kind.READY, message)
    return Served(backend, memory_fd)


def _answer(channel: Channel, served: Served) -> None:
    try:
        kind, payload = served.invoke()
    except Exception as exc:  # noqa: BLE001 (raised again in the parent)
        kind, payload = Kind.FAILED, json.dumps(pack_error(exc)).encode()
    channel.send(kind, payload)
    if os.fstat(2).st_size > MOST_SAID_BYTES:  # the parent keeps stderr in memory
        os.ftruncate(2, 0)


def die_with_parent(lifeline: int) -> None:
    """Have the kernel kill this process when the other end of the pipe closes, which happens when the parent ends.

    Nothing is ever written to it. It works while native code hangs and holds the GIL; and unlike PR_SET_PDEATHSIG,
    which counts the end of the *thread* that started us as the parent's death, it lets any thread start a child.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):  # the parent lives
        os.read(lifeline, 1)
        os._exit(0)  # it ended before the kernel was told


def main(control: int, memory: int, lifeline: int) -> None:
    """Serve the parent behind these descriptors until it goes away."""
    die_with_parent(lifeline)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # systemd tells every process of a service to end; ours ends us in order
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected here and worth no space on a card
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(DIES_FIRST)
    channel = Channel(socket.socket(fileno=control))
    with contextlib.suppress(EOFError, OSError):
        serve(channel, memory)
    os._exit(0)  # what native libraries do at their end may hang, and is not needed


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
