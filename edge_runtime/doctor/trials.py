"""What can only be known by trying it, tried in a child process: it may crash, hang or never come back.

The child works through a list and says each result as it has it. Where it dies or hangs, that one trial is to blame,
and another child goes on with the rest.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge_runtime.clock import NS_PER_S, now_ns

DONE, FAILED, DIED, HUNG, UNTRIED = "done", "failed", "died", "hung", "untried"
COMMAND = (sys.executable, "-P", "-B", "-m", "edge_runtime.doctor.child")
_SHORTEST_S = 0.5
"""A child needs some time to start; with less than this left there is no use in another."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How one trial went."""

    state: str  # DONE, FAILED (it said why), DIED (of a signal), HUNG or UNTRIED (there was no time left)
    said: str = ""  # the reason, in one line
    kind: str = ""  # of error, of FAILED: "ModelError"
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to try: a name to find the result by, what to do, and with what."""

    name: str
    kind: str  # "import", "library", "engine", "model" or "display"
    argument: Any = None


class Trials:
    """Trials that begin at once, in a thread of their own; `results` waits for them."""

    def __init__(self, tasks: Sequence[Task], timeout_s: float, *, command: Sequence[str] = COMMAND) -> None:
        self._names = [one.name for one in tasks]
        self._end_ns = now_ns() + int(timeout_s * NS_PER_S)
        self._found: dict[str, Trial] = {}
        # A child that sleeps in a driver cannot be killed; nobody waits for its thread then.
        self._thread = threading.Thread(
            target=lambda: self._found.update(try_all(tasks, timeout_s, command=command)),
            name="doctor-trials",
            daemon=True,
        )
        self._thread.start()

    def results(self) -> Mapping[str, Trial]:
        """Return the trial of each name, at the latest when their time is over."""
        self._thread.join(max(0.0, (self._end_ns - now_ns()) / NS_PER_S) + _SHORTEST_S)
        missing = Trial(HUNG, "the child process does not end")
        return {name: self._found.get(name, missing) for name in self._names}


def try_all(
    tasks: Sequence[Task],
    timeout_s: float,
    *,
    command: Sequence[str] = COMMAND,
    clock: Callable[[], int] = now_ns,
) -> dict[str, Trial]:
    """Return the trial of each task, after at most `timeout_s` seconds.

    Args:
        tasks: in this order.
        timeout_s: for all of them.
        command: starts the child; the tasks as JSON and the seconds are appended.
        clock: monotonic nanoseconds.
    """
    end_ns = clock() + int(timeout_s * NS_PER_S)
    found: dict[str, Trial] = {}
    left = list(tasks)
    while left:
        left_s = (end_ns - clock()) / NS_PER_S
        if left_s < _SHORTEST_S:
            return found | {
                one.name: Trial(UNTRIED, "there was no time left to try it; --max-secs 60 gives more") for one in left
            }
        said, ending = _run_child(left, left_s, command)
        found |= said
        left = [one for one in left if one.name not in said]
        if left and ending is not None:
            found[left.pop(0).name] = ending
        elif left:
            return found | {one.name: Trial(UNTRIED, "the child process ended early") for one in left}
    return found


def _run_child(tasks: Sequence[Task], left_s: float, command: Sequence[str]) -> tuple[dict[str, Trial], Trial | None]:
    """Return what the child said, and what became of the task it was at when it ended; None if it ended in order."""
    listed = json.dumps([{"name": one.name, "kind": one.kind, "argument": one.argument} for one in tasks])
    try:
        done = subprocess.run(  # noqa: S603 (our own module, no shell)
            [*command, listed, str(math.ceil(left_s))],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=left_s,
            check=False,
            env=_environment(),
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as exc:
        return _said(exc.stdout or b""), Trial(HUNG, f"no answer within {left_s:.0f} s")
    except OSError as exc:
        return {}, Trial(FAILED, f"a child process cannot be started: {exc.strerror}", "OSError")
    said = _said(done.stdout)
    if done.returncode < 0:
        return said, Trial(DIED, _signal_name(-done.returncode))
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {done.returncode}"]
        return said, Trial(FAILED, lines[-1], "child")
    return said, None


def _said(output: bytes) -> dict[str, Trial]:
    """Return the results among the lines; native code may write there too, and the last line may be torn."""
    found = {}
    for line in output.decode(errors="replace").splitlines():
        try:
            record = json.loads(line)
            found[str(record["name"])] = Trial(record["state"], record["said"], record["kind"], record["facts"])
        except (ValueError, TypeError, KeyError):
            continue
    return found


def _signal_name(number: int) -> str:
    names = {one.value: one.name for one in signal.Signals}
    return names.get(number, f"signal {number}")


def _environment() -> dict[str, str]:
    """Return our own environment and import path, and no place to keep measurements in: the doctor writes nothing."""
    path = os.pathsep.join(str(entry) or "." for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path, "CACHE_DIRECTORY": os.devnull}
