"""Backends that a child process opens in tests: at the boundary of a vendor's library, they do what libraries do."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import BackendMissingError, InvokeError
from edge_runtime.inference import BackendInfo, Quantization, TensorSpec

SPEC = TensorSpec("x", (1, 4), np.dtype("uint8"), Quantization(0.5, 3), "signature")
ECHO, HANG, CRASH, FAIL, LIE, RESHAPE, BABBLE, LEAVE, DEFECT, SLOW = range(10)
"""What the first value of the input asks for."""


class Misbehaving:
    """Answers with its input, unless the first value of it asks for something else."""

    def __init__(self, device: str = "", num_threads: int = 1) -> None:
        self._device = device
        self._num_threads = num_threads

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return (SPEC,)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return (SPEC,)

    def invoke(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        asked = int(inputs[0].flat[0])
        if asked == HANG:
            hold_the_gil()
        if asked == CRASH:
            sys.stderr.write("native code speaks\nfree(): invalid pointer\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGSEGV)
        if asked == FAIL:
            raise InvokeError("m.tflite: invoke failed on fake: no")
        if asked == LIE:
            return [np.zeros((2, 4), np.float32)]
        if asked == RESHAPE:
            return [np.arange(10, dtype=np.uint8).reshape(5, 2)]
        if asked == BABBLE:
            socket.socket(fileno=os.dup(int(sys.argv[1]))).sendall(b"\xff" * 64)
        if asked == LEAVE:
            sys.stderr.write("out of patience\n")
            sys.exit(3)
        if asked == DEFECT:
            raise KeyError("nobody thought of it")
        if asked == SLOW:
            time.sleep(0.05)
        return [inputs[0].copy()]

    def describe(self) -> BackendInfo:
        return BackendInfo("cpu", "fake", "1", self._num_threads, f"of {self._device}", nodes=2, delegated_nodes=1)

    def close(self) -> None:
        if self._device.startswith("/"):
            Path(self._device).write_text("closed")


def hold_the_gil() -> None:
    """Hang as native code does that lets nobody else run: no signal handler and no thread of Python's is heard."""
    ctypes.PyDLL(None).sleep(3600)


def open_well(model: Path, *, engine: str, num_threads: int, device: str) -> Misbehaving:
    return Misbehaving(device, num_threads)


def open_hanging(model: Path, *, engine: str, num_threads: int, device: str) -> Misbehaving:
    hold_the_gil()
    return Misbehaving()


def open_crashing(model: Path, *, engine: str, num_threads: int, device: str) -> Misbehaving:
    os.kill(os.getpid(), int(device or signal.SIGSEGV))
    return Misbehaving()


def open_leaving(model: Path, *, engine: str, num_threads: int, device: str) -> Misbehaving:
    sys.stderr.write("no such thing\n")
    sys.exit(7)


def open_refusing(model: Path, *, engine: str, num_threads: int, device: str) -> Misbehaving:
    raise BackendMissingError(f"backend {device}: no such device; plug one in")


def open_unimportable(model: Path, *, engine: str, num_threads: int, device: str) -> Misbehaving:
    import tritonclient_is_not_here  # type: ignore[import-not-found]  # noqa: F401

    return Misbehaving()


def open_unlike(model: Path, *, engine: str, num_threads: int, device: str) -> Any:
    class Unlike(Misbehaving):
        @property
        def outputs(self) -> tuple[TensorSpec, ...]:
            return (TensorSpec("x", (1, 4), np.dtype("uint8"), Quantization(0.25, 3)),)

    return Unlike()


def open_where_allowed(model: Path, *, engine: str, num_threads: int, device: str) -> Misbehaving:
    """Open while a file of this name is there, as a device that may be unplugged."""
    if not Path(device).exists():
        raise BackendMissingError(f"backend edgetpu: {device} is not plugged in")
    return Misbehaving("usb", num_threads)
