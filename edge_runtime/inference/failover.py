"""A backend that may be lost: its CPU twin serves meanwhile, it is tried again in the background, and it comes back.

Its states are "ok", "fallback" (the twin serves), and "down" (nothing does). Each change is told once, with its cause.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, Protocol

from numpy.typing import NDArray

from edge_runtime.clock import NS_PER_S, now_ns
from edge_runtime.errors import BackendDownError, EdgeRuntimeError, InvokeError
from edge_runtime.inference import Backend, BackendInfo
from edge_runtime.inference.checks import check_tensors
from edge_runtime.inference.failover_match import mismatch
from edge_runtime.result import StateChange

log = logging.getLogger(__name__)

FIRST_DELAY_S, LONGEST_DELAY_S = 1.0, 60.0
JITTER = 0.25
"""Share of a delay by which it varies: several processes that lost the same device do not all come back at once."""
HEALTHY_INVOKES = 10
"""What fails sooner than that after it came back is tried with the next, longer delay."""
TWIN_PAUSE_NS = 5 * NS_PER_S
"""Between two tries to open a twin that failed: each of them makes the frame wait."""
JOIN_WITHIN_S = 3.0


class Candidate(Protocol):
    """A backend on its way: `close` from another thread makes `open` fail."""

    def open(self) -> Backend: ...

    def close(self) -> None: ...


def delays(chance: Callable[[], float] = random.random) -> Iterator[float]:
    """Yield the seconds before each try: none before the first, then 1 to 60, doubled each time, give or take."""
    yield 0.0
    delay_s = FIRST_DELAY_S
    while True:
        yield min(LONGEST_DELAY_S, delay_s * (1 + JITTER * (2 * chance() - 1)))
        delay_s = min(LONGEST_DELAY_S, 2 * delay_s)


class FailoverBackend:
    """The backend asked for, and what serves in its place. One thread at a time; `close` and properties beside."""

    def __init__(
        self,
        name: str,
        start: Callable[[], Candidate],
        start_twin: Callable[[], Candidate] | None,
        *,
        primary: Backend | None,
        lost: EdgeRuntimeError | None = None,
        wait: Callable[[float], bool] | None = None,
        clock: Callable[[], int] = now_ns,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Take a backend that is open, or None and why it is not: the twin is opened then.

        Args:
            name: of the backend, for messages.
            start: begins to open the backend anew.
            start_twin: begins to open what serves meanwhile; None where there is no such thing.
            primary: the backend, open; None where it could not be opened.
            lost: why not.
            wait: waits so many seconds and returns whether this is being closed; None is a real wait.
            clock: monotonic nanoseconds.
            wall_clock: seconds since 1970.

        Raises:
            EdgeRuntimeError: the twin does not open either, at the start.
        """
        self._name = name
        self._start, self._start_twin = start, start_twin
        self._primary = primary
        self._twin: Backend | None = None
        self._closing = threading.Event()
        self._wait = wait or self._closing.wait
        self._wall_clock = wall_clock
        self._clock = clock
        self._delays = delays()
        self._answered = 0  # invokes since it came, at most so many as matter
        self._next_twin_ns = 0
        self._lock = threading.RLock()  # of the state, the candidates and who is told
        self._turn = threading.Lock()  # a loss is told before the return, however long the twin takes
        self._state = "ok" if primary else "starting"
        self._tell: Callable[[StateChange], object] | None = None
        self._untold: list[StateChange] = []
        self._candidates: list[Candidate] = []
        self._thread: threading.Thread | None = None
        shape = primary
        if primary is None:
            assert start_twin is not None, "something has to serve"
            shape = self._twin = start_twin().open()
            self._becomes("fallback", str(lost))
            self._try_again()
        assert shape is not None
        self.inputs, self.outputs, self._info = shape.inputs, shape.outputs, shape.describe()

    @property
    def state(self) -> str:
        return self._state

    def describe(self) -> BackendInfo:
        """Return what serves now; while nothing does, what served last."""
        serving = self._primary or self._twin
        if serving is not None:
            self._info = serving.describe()
        return self._info

    def watch(self, tell: Callable[[StateChange], object]) -> None:
        with self._lock:
            self._tell = tell
            for change in self._untold:
                tell(change)
            self._untold.clear()

    def invoke(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the answer of the backend, or of its twin while it is away.

        Raises:
            InvokeError: the inputs are not what the model takes.
            BackendDownError: nothing serves at the moment; its cause is the error of this invoke, where one was made.
        """
        check_tensors(self._name, self.inputs, inputs, is_closed=False)
        primary = self._primary
        if primary is None:
            return self._by_twin(inputs, None)
        try:
            answer = primary.invoke(inputs)
            self._answered += 1
            return answer
        except InvokeError as exc:
            with self._turn:
                self._lose(primary)
                return self._by_twin(inputs, exc)

    def close(self) -> None:
        """End everything, also a try that is under way."""
        self._closing.set()
        with self._lock:
            candidates = list(self._candidates)
        for candidate in candidates:
            candidate.close()
        for backend in (self._primary, self._twin):
            if backend is not None:
                backend.close()
        self._primary = self._twin = None
        if self._thread is not None:
            self._thread.join(JOIN_WITHIN_S)

    def _lose(self, primary: Backend) -> None:
        self.describe()  # it is kept for the time in which nothing serves
        self._primary = None
        primary.close()
        if self._answered >= HEALTHY_INVOKES:
            self._delays = delays()
        self._answered = 0
        self._try_again()

    def _by_twin(self, inputs: Sequence[NDArray[Any]], failure: InvokeError | None) -> list[NDArray[Any]]:
        why = str(failure) if failure else ""
        try:
            twin = self._twin or self._open_twin()
            if twin is not None:
                answer = twin.invoke(inputs)
                self._becomes("fallback", why)
                return answer
        except EdgeRuntimeError as exc:
            self._next_twin_ns = self._clock() + TWIN_PAUSE_NS
            if self._twin is not None:
                self._twin.close()
                self._twin = None
            why = f"{why}; its CPU twin: {exc}" if why else f"its CPU twin: {exc}"
        self._becomes("down", why)
        cause = f" ({why})" if why else ""
        raise BackendDownError(f"backend {self._name}: is down, tried again in the background{cause}") from failure

    def _open_twin(self) -> Backend | None:
        """Return the twin, opened now; None where there is none, or where it has just failed."""
        if self._start_twin is None or self._closing.is_set() or self._clock() < self._next_twin_ns:
            return None
        candidate = self._start_twin()
        twin = self._open(candidate)
        difference = mismatch(self, twin)
        if difference:
            twin.close()
            self._start_twin = None
            log.warning("backend: the CPU twin is refused, its tensors differ reason=%s", difference)
            return None
        self._twin = twin
        return twin

    def _open(self, candidate: Candidate) -> Backend:
        """Return a candidate opened, known to `close` meanwhile."""
        with self._lock:
            self._candidates.append(candidate)
        try:
            if self._closing.is_set():
                candidate.close()
            return candidate.open()
        finally:
            with self._lock:
                self._candidates.remove(candidate)

    def _try_again(self) -> None:
        self._thread = threading.Thread(target=self._recover, name="backend-recovery", daemon=True)
        self._thread.start()

    def _recover(self) -> None:
        """Open the backend again and again until it is back; in a thread of its own."""
        for tries in count(1):
            if self._wait(next(self._delays)) or self._closing.is_set():
                return
            try:
                primary = self._open(self._start())
            except (EdgeRuntimeError, ImportError, OSError, MemoryError) as exc:
                log.debug("backend not back yet backend=%s tries=%d reason=%s", self._name, tries, exc)
                continue
            difference = mismatch(self, primary)
            if difference:
                log.debug("backend came back with other tensors backend=%s reason=%s", self._name, difference)
            with self._turn, self._lock:
                if not difference and not self._closing.is_set():
                    self._primary = primary
                    self._becomes("ok", f"backend {self._name} is back after {tries} tr{'y' if tries == 1 else 'ies'}")
                    return
            primary.close()

    def _becomes(self, state: str, reason: str) -> None:
        with self._lock:
            if state != "ok" and self._primary is not None:  # it came back meanwhile
                return
            before, self._state = self._state, state
            if before == state or self._closing.is_set():
                return
            log.warning("backend %s, was %s reason=%s", state, before, reason)
            change = StateChange("backend", before, state, reason, self._wall_clock())
            if self._tell is None:
                self._untold.append(change)
            else:
                self._tell(change)
