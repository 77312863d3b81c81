"""Asks a child process about a model, and turns every way it may end into an answer or one error."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_runtime.errors import BackendError, ModelError

COMMAND = (sys.executable, "-P", "-m", "edge_runtime.compare.child")
START_S = 60.0
"""Until a slow board has started Python, loaded an engine and opened the model."""


def ask(
    task: str, model: Path, *, patience_s: float, command: Sequence[str] = COMMAND, **arguments: Any
) -> dict[str, Any]:
    """Return what the child found out about a model.

    The child has a session of its own: a Ctrl-C reaches us alone.

    Args:
        task: key of `edge_runtime.compare.child.TASKS`.
        model: the file.
        patience_s: what the task itself may take; the start of the child comes on top.
        command: starts the child.
        arguments: of the task.

    Raises:
        ModelError: the child died of the model, hung, or said why it cannot do what was asked.
        BackendError: the child does not start, or falls over before it comes to the model.
    """
    limit_s = START_S + patience_s
    request = json.dumps({"task": task, "arguments": {"model": str(model), **arguments}})
    try:
        child = subprocess.run(  # noqa: S603 - the command is ours, the request an argument and no shell there
            [*command, request, str(math.ceil(limit_s) + 5)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit_s,
            check=False,
            text=True,
            errors="replace",
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(entry or "." for entry in sys.path)},
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{model.name}: gave no answer within {limit_s:g} s") from None
    except OSError as exc:
        raise BackendError(f"a process that measures the model cannot be started: {exc}") from exc
    if child.returncode:
        raise _death(model, child)
    answer: dict[str, Any] = json.loads(child.stdout.rstrip().rpartition("\n")[2])
    if "error" in answer:
        raise ModelError(str(answer["error"]))
    return answer


def _death(model: Path, child: subprocess.CompletedProcess[str]) -> ModelError | BackendError:
    if child.returncode == -signal.SIGKILL:
        return ModelError(f"{model.name}: was killed (SIGKILL), most likely for lack of memory")
    if child.returncode < 0:
        names = {one.value: one.name for one in signal.Signals}
        return ModelError(f"{model.name}: crashes the engine ({names.get(-child.returncode, -child.returncode)})")
    said = child.stderr.strip().splitlines() or [f"exit status {child.returncode}"]
    return BackendError(f"{model.name}: the process that measures it failed: {said[-1]}")
