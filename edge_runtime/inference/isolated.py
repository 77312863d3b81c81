"""Any backend in a child process: its hang, its crash or a poisonous model file costs the child and not us."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import BackendError, InvokeError
from edge_runtime.inference import BackendInfo, TensorSpec
from edge_runtime.inference.checks import check_tensors
from edge_runtime.inference.child_wire import (
    Kind,
    room_for,
    unpack_arrays,
    unpack_error,
    unpack_info,
    unpack_specs,
    views,
)
from edge_runtime.inference.isolated_deadline import Deadline
from edge_runtime.inference.isolated_failures import died, does_not_run, patience_with, took_too_long
from edge_runtime.inference.isolated_process import COMMAND, ChildProcess
from edge_runtime.inference.opening import Order

log = logging.getLogger(__name__)

WARMUP_RUNS = 3
WARMUP_BUDGET_S = 1.0
PROVEN_ANSWERS = 10
"""After so many answers in time the limit is right, and who misses it hangs."""


class IsolatedBackend:
    """A model opened in a child process. One thread at a time; only `close` and the attributes may be used beside.

    After an error of `invoke` it is of no more use: make another one.
    """

    def __init__(self, order: Order, *, deadline: Deadline | None = None, command: Sequence[str] = COMMAND) -> None:
        """Start the child; `open` has it open the model.

        Raises:
            BackendError: no process can be started.
        """
        self._order = order
        self._deadline = deadline or Deadline()
        self._lock = threading.Lock()
        self._is_closed = False
        self._answers = 0
        self.inputs: tuple[TensorSpec, ...] = ()
        self.outputs: tuple[TensorSpec, ...] = ()
        self._tensors: list[NDArray[Any]] = []
        self._process = ChildProcess(command)

    def open(self, within_s: float | None = None) -> IsolatedBackend:
        """Return this when the child has opened the model and invoked it once.

        Raises:
            ConfigError, ModelError, BackendError, ImportError: as the backend raised it in the child.
            ModelError: the child died of the file, or hung.
            BackendError: the child died of something else.
        """
        if within_s is None:
            within_s = patience_with(self._order)
        try:
            with self._lock:
                self._set_up(self._ask_to_open(within_s))
                if not self._deadline.is_known:
                    self._warm_up()
        except BaseException:
            self._process.kill()
            self.close()
            raise
        log.debug("child opened model=%s pid=%d limit_s=%.2f", self._order.model.name, self.pid, self._deadline.limit_s)
        return self

    def try_other(self, order: Order, within_s: float) -> None:
        """Have a child that is not yet open, or failed to open, try an order; nothing is set up to invoke it here.

        Raises:
            ConfigError, ModelError, BackendError, ImportError: see `open`; `has_ended` tells if the child lives on.
        """
        self._order = order
        try:
            self._ask_to_open(within_s)
        except InvokeError as exc:
            raise does_not_run(order, exc) from exc

    @property
    def has_ended(self) -> bool:
        """Whether the child is no more."""
        return not self._process.is_alive

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def describe(self) -> BackendInfo:
        return self._info

    def invoke(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return what the child's backend answers, in arrays of our own.

        Raises:
            InvokeError: the engine failed, the child died, or it did not answer within the deadline.
        """
        with self._lock:
            check_tensors(self._order.model.name, self.inputs, inputs, is_closed=self._is_closed)
            return self._invoke(inputs)

    def close(self) -> None:
        """End the child and free everything. An invoke that is under way in another thread fails."""
        if not self._lock.acquire(blocking=False):
            self._process.kill()
            self._lock.acquire()
        try:
            if not self._is_closed:
                self._is_closed = True
                self._tensors = []
                self._process.close()
        finally:
            self._lock.release()

    def _ask_to_open(self, within_s: float) -> dict[str, Any]:
        channel = self._process.channel
        try:
            channel.send(Kind.OPEN, self._order.to_json().encode())
            kind, payload = channel.receive(within_s)
            answer: dict[str, Any] = json.loads(payload)
            for name, level, line in answer["log"]:
                logging.getLogger(name).log(level, "%s", line)
        except TimeoutError:
            self._process.kill()
            self._process.ending()
            raise took_too_long(self._order, within_s) from None
        except (EOFError, OSError):
            raise died(self._order, self._process.ending(), self._process.last_words()) from None
        except (ValueError, KeyError, TypeError) as exc:
            raise BackendError(f"{self._subject}: the child answers nonsense ({type(exc).__name__}: {exc})") from exc
        if kind is Kind.FAILED:
            raise unpack_error(answer)
        return answer

    def _set_up(self, answer: dict[str, Any]) -> None:
        try:
            self.inputs, self.outputs = unpack_specs(answer["inputs"]), unpack_specs(answer["outputs"])
            self._info = unpack_info(answer["info"])
            specs = (*self.inputs, *self.outputs)
            self._tensors = views(self._process.share(room_for(specs)), specs)
        except (ValueError, KeyError, TypeError, OSError, OverflowError) as exc:
            raise BackendError(f"{self._subject}: its tensors cannot be shared with the child ({exc})") from exc

    def _warm_up(self) -> None:
        zeros = [np.zeros(spec.shape, spec.dtype) for spec in self.inputs]
        times_s: list[float] = []
        while len(times_s) < WARMUP_RUNS and sum(times_s) < WARMUP_BUDGET_S:
            start = time.perf_counter()
            self._invoke(zeros)
            times_s.append(time.perf_counter() - start)
        self._deadline.learn(times_s)

    def _invoke(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        # No error is kept in a variable here: its traceback would hold this frame, the frame the error, and both
        # together the shared memory, until Python looks for such circles.
        _fill(self._tensors, inputs)
        limit_s = self._deadline.limit_s
        try:
            self._process.channel.send(Kind.INVOKE)
            kind, payload = self._process.channel.receive(limit_s)
            self._answers += 1
            if kind is Kind.DONE:
                return [room.copy() for room in self._tensors[len(self.inputs) :]]
            if kind is Kind.RESHAPED:
                return self._checked(unpack_arrays(payload))
            said = str(unpack_error(json.loads(payload)))
        except TimeoutError:
            if self._answers < PROVEN_ANSWERS:
                self._deadline.relax()
            raise self._lost(f"{self._subject}: an invoke did not end within {limit_s:.1f} s") from None
        except (EOFError, OSError):
            raise self._lost(f"{self._subject}: the child died in an invoke ({self._last_sign()})") from None
        except (ValueError, KeyError, TypeError) as exc:
            raise self._lost(f"{self._subject}: the child answers nonsense ({type(exc).__name__}: {exc})") from exc
        raise self._lost(said)

    def _lost(self, said: str) -> InvokeError:
        """Return the error of an invoke; the child is of no more use, whatever happened to it."""
        self._process.kill()
        return InvokeError(said)

    def _checked(self, outputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return outputs of other shapes than declared; another number or type of them is a lie."""
        if [one.dtype for one in outputs] != [spec.dtype for spec in self.outputs]:
            found = ", ".join(str(one.dtype) for one in outputs)
            raise ValueError(f"outputs {found}, declared are {', '.join(str(spec.dtype) for spec in self.outputs)}")
        return outputs

    def _last_sign(self) -> str:
        words = self._process.last_words()
        return self._process.ending() + (f": {words}" if words else "")

    @property
    def _subject(self) -> str:
        return f"backend {self._order.backend}: {self._order.model.name}"


def _fill(rooms: Sequence[NDArray[Any]], tensors: Sequence[NDArray[Any]]) -> None:
    for tensor, room in zip(tensors, rooms, strict=False):  # the outputs have their room behind the inputs'
        room[...] = tensor
