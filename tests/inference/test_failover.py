"""What serves while a backend is away, and its way back; with a clock that does not run."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from edge_runtime.errors import BackendDownError, BackendMissingError, InvokeError
from edge_runtime.inference import BackendInfo, Quantization, TensorSpec
from edge_runtime.inference.failover import (
    HEALTHY_INVOKES,
    LONGEST_DELAY_S,
    TWIN_PAUSE_NS,
    FailoverBackend,
    delays,
)
from edge_runtime.inference.failover_match import mismatch
from edge_runtime.inference.fake import FakeBackend
from edge_runtime.inference.isolated import IsolatedBackend
from edge_runtime.inference.isolated_deadline import Deadline
from edge_runtime.inference.opening import Order
from edge_runtime.result import StateChange
from tests.inference import misbehaving

SPEC = TensorSpec("x", (1, 2), np.dtype("int8"), Quantization(0.5, 0))
INPUT = [np.array([[1, 2]], np.int8)]


class Device:
    """A device that can be unplugged, and what runs on it."""

    def __init__(self, name: str, spec: TensorSpec = SPEC) -> None:
        self.name = name
        self.spec = spec
        self.is_there = True
        self.opened: list[Opened] = []
        self.tries = 0

    def start(self) -> Device:
        return self

    def open(self) -> Opened:
        self.tries += 1
        if not self.is_there:
            raise BackendMissingError(f"{self.name} is not there")
        self.opened.append(Opened(self))
        return self.opened[-1]

    def close(self) -> None:
        """Nothing is under way in these tests when this is called."""


class Opened(FakeBackend):
    def __init__(self, device: Device) -> None:
        super().__init__([device.spec], [device.spec], self._answer)
        self._device = device

    def _answer(self, inputs: Sequence[Any]) -> Sequence[Any]:
        if not self._device.is_there:
            raise InvokeError(f"{self._device.name} does not answer")
        return inputs

    def describe(self) -> BackendInfo:
        return BackendInfo(self._device.name, "fake", "0", 1, None, 0, 0)


class Clock:
    """Waits end when the test says so; what was waited for is kept."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.now_ns = 0
        self._go = threading.Semaphore(0)
        self._waits_now = threading.Semaphore(0)
        self._has_ended = False

    def end(self) -> None:
        """Let every thread that waits end."""
        self._has_ended = True
        self._go.release(1000)

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self._waits_now.release()
        self._go.acquire()
        return self._has_ended

    def let_one_pass(self) -> None:
        """Let the thread that recovers make its next try, once it is waiting for it."""
        assert self._waits_now.acquire(timeout=30)
        self._go.release()

    def until_it_waits(self) -> None:
        assert self._waits_now.acquire(timeout=30)
        self._waits_now.release()


@pytest.fixture
def clock() -> Iterator[Clock]:
    made = Clock()
    yield made
    made.end()


def build(
    tpu: Device, cpu: Device | None, clock: Clock, primary: Any = "open"
) -> tuple[FailoverBackend, list[StateChange]]:
    backend = FailoverBackend(
        tpu.name,
        tpu.start,
        cpu.start if cpu else None,
        primary=tpu.open() if primary == "open" else None,
        lost=BackendMissingError("usb:0 is not plugged in"),
        wait=clock.wait,
        clock=lambda: clock.now_ns,
        wall_clock=lambda: 7.0,
    )
    changes: list[StateChange] = []
    backend.watch(changes.append)
    return backend, changes


def steps(changes: Sequence[StateChange]) -> list[tuple[str, str]]:
    return [(change.before, change.after) for change in changes]


def joined(backend: FailoverBackend) -> FailoverBackend:
    """Wait for the end of the thread that recovers."""
    assert backend._thread is not None
    backend._thread.join(30)
    assert not backend._thread.is_alive()
    return backend


def test_while_all_is_well_the_backend_serves_and_nothing_else_is_opened(clock: Clock) -> None:
    tpu, cpu = Device("edgetpu"), Device("cpu")
    backend, changes = build(tpu, cpu, clock)
    assert backend.invoke(INPUT)[0].tolist() == [[1, 2]]
    assert (cpu.tries, changes, backend.state) == (0, [], "ok")
    assert backend.describe().backend == "edgetpu"


def test_the_frame_that_loses_the_backend_is_answered_by_the_twin(clock: Clock) -> None:
    """A file loses no frame; and the change is told once, with its cause."""
    tpu, cpu = Device("edgetpu"), Device("cpu")
    backend, changes = build(tpu, cpu, clock)
    tpu.is_there = False
    for _ in range(5):
        assert backend.invoke(INPUT)[0].tolist() == [[1, 2]]
    assert changes == [StateChange("backend", "ok", "fallback", "edgetpu does not answer", 7.0)]
    assert (backend.describe().backend, cpu.tries) == ("cpu", 1)
    assert tpu.opened[0].is_closed


def test_it_goes_back_when_the_device_returns(clock: Clock) -> None:
    tpu, cpu = Device("edgetpu"), Device("cpu")
    backend, changes = build(tpu, cpu, clock)
    tpu.is_there = False
    backend.invoke(INPUT)
    clock.let_one_pass()
    clock.let_one_pass()
    clock.until_it_waits()
    tpu.is_there = True
    clock.let_one_pass()
    joined(backend).invoke(INPUT)
    assert steps(changes) == [("ok", "fallback"), ("fallback", "ok")]
    assert changes[-1].reason == "backend edgetpu is back after 3 tries"
    assert tpu.opened[-1].invokes == 1
    assert backend.describe().backend == "edgetpu"


def test_the_first_try_comes_at_once_and_the_next_ones_ever_later() -> None:
    """A child that died is replaced without a wait; a device that stays away is not asked every second for months."""
    steady = list(itertools.islice(delays(lambda: 0.5), 9))
    assert steady == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    early, late = (list(itertools.islice(delays(one), 9)) for one in (lambda: 0.0, lambda: 1.0))
    assert early == [0, 0.75, 1.5, 3, 6, 12, 24, 45, 45]
    assert late == [0, 1.25, 2.5, 5, 10, 20, 40, 60, 60]
    assert max(late) == LONGEST_DELAY_S


@pytest.mark.parametrize(
    ("invokes", "least", "most"), [(1, [0, 0.75, 1.5], [0, 1.25, 2.5]), (HEALTHY_INVOKES, [0, 0, 0], [0, 0, 0])]
)
def test_what_fails_soon_after_its_return_waits_longer_each_time_and_what_served_well_does_not(
    clock: Clock, invokes: int, least: list[float], most: list[float]
) -> None:
    """What answers once and hangs would cost a child, and an event, every second; a crash a day is mended at once."""
    tpu = Device("edgetpu")
    backend, _ = build(tpu, None, clock)
    for _ in range(3):
        for _ in range(invokes):
            backend.invoke(INPUT)
        tpu.is_there = False
        with pytest.raises(BackendDownError):
            backend.invoke(INPUT)
        tpu.is_there = True
        clock.let_one_pass()
        joined(backend)
    assert len(clock.waits) == 3
    assert all(low <= waited <= high for low, waited, high in zip(least, clock.waits, most, strict=True))


def test_without_a_twin_it_is_down_until_it_is_back(clock: Clock) -> None:
    """Never stale boxes, never an end of the run: an error that says there is nothing at the moment."""
    tpu = Device("edgetpu")
    backend, changes = build(tpu, None, clock)
    tpu.is_there = False
    with pytest.raises(BackendDownError, match="backend edgetpu: is down") as lost:
        backend.invoke(INPUT)
    with pytest.raises(BackendDownError) as still_down:
        backend.invoke(INPUT)
    assert isinstance(lost.value.__cause__, InvokeError)
    assert still_down.value.__cause__ is None
    assert backend.describe().backend == "edgetpu"
    tpu.is_there = True
    clock.let_one_pass()
    assert joined(backend).invoke(INPUT)[0].tolist() == [[1, 2]]
    assert steps(changes) == [("ok", "down"), ("down", "ok")]
    assert changes[0].reason == "edgetpu does not answer"


def test_a_twin_that_fails_too_is_down_and_is_not_asked_at_every_frame(clock: Clock) -> None:
    tpu, cpu = Device("edgetpu"), Device("cpu")
    backend, changes = build(tpu, cpu, clock)
    tpu.is_there = cpu.is_there = False
    for _ in range(5):
        with pytest.raises(BackendDownError):
            backend.invoke(INPUT)
    assert cpu.tries == 1
    assert [change.reason for change in changes] == ["edgetpu does not answer; its CPU twin: cpu is not there"]
    cpu.is_there = True
    clock.now_ns += TWIN_PAUSE_NS
    backend.invoke(INPUT)
    assert steps(changes) == [("ok", "down"), ("down", "fallback")]


def test_a_twin_that_dies_while_it_serves_is_told(clock: Clock) -> None:
    tpu, cpu = Device("edgetpu"), Device("cpu")
    backend, changes = build(tpu, cpu, clock)
    tpu.is_there = False
    backend.invoke(INPUT)
    cpu.is_there = False
    with pytest.raises(BackendDownError):
        backend.invoke(INPUT)
    assert steps(changes) == [("ok", "fallback"), ("fallback", "down")]
    assert changes[-1].reason == "its CPU twin: cpu does not answer"
    assert cpu.opened[0].is_closed


def test_a_twin_with_other_tensors_is_refused_with_a_line(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Its boxes would be decoded with the scales of the other model."""
    tpu, cpu = Device("edgetpu"), Device("cpu", TensorSpec("x", (1, 2), np.dtype("int8"), Quantization(0.25, 0)))
    backend, changes = build(tpu, cpu, clock)
    tpu.is_there = False
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            with pytest.raises(BackendDownError):
                backend.invoke(INPUT)
    refusals = [line for line in caplog.messages if "twin is refused" in line]
    assert len(refusals) == 1
    assert "input x is int8 (1, 2) scale 0.25 zero 0 instead of int8 (1, 2) scale 0.5 zero 0" in refusals[0]
    assert (cpu.tries, cpu.opened[0].is_closed, steps(changes)) == (1, True, [("ok", "down")])


def test_a_model_that_changed_meanwhile_does_not_come_back(clock: Clock) -> None:
    """The file was replaced by another one while the device was away."""
    tpu = Device("edgetpu")
    backend, changes = build(tpu, None, clock)
    tpu.is_there = False
    with pytest.raises(BackendDownError):
        backend.invoke(INPUT)
    tpu.spec, tpu.is_there = TensorSpec("x", (1, 3), np.dtype("int8")), True
    clock.let_one_pass()
    clock.until_it_waits()
    assert tpu.opened[-1].is_closed
    assert steps(changes) == [("ok", "down")]


def test_a_start_without_the_device_serves_by_the_twin_and_is_told_later(clock: Clock) -> None:
    """Whoever watches comes after the opening and learns it all the same."""
    tpu, cpu = Device("edgetpu"), Device("cpu")
    tpu.is_there = False
    backend, changes = build(tpu, cpu, clock, primary=None)
    assert changes == [StateChange("backend", "starting", "fallback", "usb:0 is not plugged in", 7.0)]
    assert backend.invoke(INPUT)[0].tolist() == [[1, 2]]
    clock.until_it_waits()
    tpu.is_there = True
    clock.let_one_pass()
    joined(backend).invoke(INPUT)
    assert steps(changes)[-1] == ("fallback", "ok")
    assert tpu.opened[0].invokes == 1


def test_wrong_inputs_lose_nothing(clock: Clock) -> None:
    tpu = Device("edgetpu")
    backend, changes = build(tpu, None, clock)
    with pytest.raises(InvokeError, match="got 0 inputs"):
        backend.invoke([])
    assert (backend.state, changes, tpu.opened[0].is_closed) == ("ok", [], False)


def test_close_frees_both_and_ends_the_recovery() -> None:
    tpu, cpu = Device("edgetpu"), Device("cpu")
    backend = FailoverBackend("edgetpu", tpu.start, cpu.start, primary=tpu.open())
    tpu.is_there = False
    backend.invoke(INPUT)
    backend.close()
    joined(backend)
    assert [one.is_closed for one in (*tpu.opened, *cpu.opened)] == [True, True]
    with pytest.raises(BackendDownError):
        backend.invoke(INPUT)
    assert cpu.tries == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ([SPEC], [SPEC], None),
        ([SPEC], [], "0 inputs instead of 1"),
        ([SPEC], [TensorSpec("y", (1, 2), np.dtype("int8"), Quantization(0.5, 0))], None),
        ([SPEC], [TensorSpec("y", (1, 2), np.dtype("uint8"))], "input y is uint8 (1, 2) instead of int8 (1, 2) scale"),
    ],
)
def test_names_may_differ_and_nothing_else(ours: Any, theirs: Any, said: str | None) -> None:
    found = mismatch(*(FakeBackend(specs, specs, lambda inputs: inputs) for specs in (ours, theirs)))
    assert found == said if said is None else str(found).startswith(said)


def isolated(opener: str, device: str = "", limit_s: float = 20) -> Callable[[], IsolatedBackend]:
    order = Order(Path("m.tflite"), "edgetpu", device, opener=f"{misbehaving.__name__}:{opener}")
    return lambda: IsolatedBackend(order, deadline=Deadline(limit_s))


@pytest.mark.parametrize("what", [misbehaving.HANG, misbehaving.CRASH])
def test_with_real_children_a_lost_one_is_replaced_and_none_is_left(what: int) -> None:
    """The whole of it at once: a hang or a crash, the twin's answer, the way back, the end."""
    before = psutil.Process().children()
    start = isolated("open_well", limit_s=0.3)
    backend = FailoverBackend("edgetpu", start, isolated("open_well", limit_s=0.3), primary=start().open())
    changes: list[StateChange] = []
    is_back = threading.Event()
    backend.watch(lambda change: (changes.append(change), is_back.set() if change.after == "ok" else None))
    with pytest.raises(BackendDownError):  # the twin obeys, too
        backend.invoke([np.array([[what, 0, 0, 0]], np.uint8)])
    assert is_back.wait(60)
    assert backend.invoke([np.array([[0, 5, 6, 7]], np.uint8)])[0].tolist() == [[0, 5, 6, 7]]
    assert steps(changes) == [("ok", "down"), ("down", "ok")]
    assert ("did not end within 0.3 s" if what == misbehaving.HANG else "SIGSEGV") in changes[0].reason
    backend.close()
    assert psutil.Process().children() == before


def test_close_ends_a_try_that_hangs_while_it_opens() -> None:
    """A device that hangs on opening must not hold up the end of the run for a minute."""
    before = psutil.Process().children()
    backend = FailoverBackend("edgetpu", isolated("open_hanging"), None, primary=isolated("open_well")().open())
    with pytest.raises(BackendDownError):
        backend.invoke([np.array([[misbehaving.CRASH, 0, 0, 0]], np.uint8)])
    while not backend._candidates:
        threading.Event().wait(0.001)
    backend.close()
    joined(backend)
    assert psutil.Process().children() == before
