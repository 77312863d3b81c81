"""Opens a model in a child process first, where the engine may die of a damaged file without taking us along.

tflite-runtime dies of one damaged file in six; LiteRT raises.
``python -m edge_runtime.inference.probe MODEL ENGINE SECONDS`` is the child.
"""

from __future__ import annotations

import logging
import math
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.errors import BackendError, EdgeRuntimeError, InvokeError, ModelError
from edge_runtime.inference.threads import available_cores
from edge_runtime.inference.verdicts import model_key, recall, remember

if TYPE_CHECKING:
    from edge_runtime.inference.engine import Engine

log = logging.getLogger(__name__)

TIMEOUT_S = 60.0
COMMAND = (sys.executable, "-P", "-m", "edge_runtime.inference.probe")


def probe_once(model: Path, engine: Engine, folder: Path | None, *, command: Sequence[str] = COMMAND) -> None:
    """Probe a model that this engine has not met; a file that passed once is not tried again.

    That a file failed is not remembered: it may have been the board's memory or another passing trouble.

    Raises:
        ModelError, BackendError: see `probe`.
    """
    key = model_key(model, engine, available_cores())
    if not recall(folder, key).get("opens"):
        probe(model, engine.name, command=command)
        remember(folder, key, {"opens": True})


def probe(model: Path, engine: str, *, timeout_s: float = TIMEOUT_S, command: Sequence[str] = COMMAND) -> None:
    """Return when a child opened the model on the CPU and invoked it once.

    The child has a session of its own: a Ctrl-C reaches us alone, and no signal for us is mistaken for a crash.

    Args:
        model: the file.
        engine: key of ENGINES.
        timeout_s: after which the child is killed.
        command: starts the child; model, engine and seconds are appended.

    Raises:
        ModelError: the child died of it, hung, or the engine refuses the file.
        BackendError: the child does not start, or falls over before it comes to the model.
    """
    try:
        child = subprocess.run(  # noqa: S603 - the command is ours, the file's name an argument and no shell there
            [*command, str(model), engine, str(math.ceil(timeout_s))],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONPATH": _import_path()},
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(
            f"{model}: opening it took more than {timeout_s:g} s on {engine}; it is damaged or too large, "
            "copy or convert it again"
        ) from None
    except OSError as exc:
        raise BackendError(f"engine {engine}: cannot start a process that tries the model first: {exc}") from exc
    if child.returncode:
        raise _failure(model, engine, child)
    log.debug("model probed model=%s engine=%s", model.name, engine)


def does_not_run(model: Path, error: InvokeError) -> ModelError:
    """Return the error for a model that the CPU opens and cannot invoke: no restart would mend that."""
    return ModelError(f"{model}: opens but does not run ({error}); convert it again, or try another --engine")


def _import_path() -> str:
    """Return our own import path, so that the child finds what we have found."""
    return os.pathsep.join(str(entry) or "." for entry in sys.path)


def _failure(model: Path, engine: str, child: subprocess.CompletedProcess[str]) -> ModelError | BackendError:
    reasons = child.stdout.strip().splitlines()
    if child.returncode == ModelError.exit_code and reasons:
        return ModelError(reasons[-1])
    if child.returncode == -signal.SIGKILL:
        return ModelError(
            f"{model}: opening it on {engine} was killed (SIGKILL), most likely for lack of memory; "
            "free some, or give a smaller model"
        )
    if child.returncode < 0:
        names = {one.value: one.name for one in signal.Signals}
        name = names.get(-child.returncode, f"signal {-child.returncode}")
        return ModelError(
            f"{model}: crashes the engine {engine} ({name}); the file is damaged, copy or convert it again"
        )
    said = child.stderr.strip().splitlines() or [f"exit status {child.returncode}"]
    return BackendError(f"engine {engine}: the process that tries the model first failed: {said[-1]}")


def _child(model: Path, engine: str) -> int:
    import numpy as np

    from edge_runtime.inference.tflite import open_cpu

    try:
        backend = open_cpu(model, engine=engine)
        backend.invoke([np.zeros(spec.shape, spec.dtype) for spec in backend.inputs])
    except (ModelError, InvokeError) as exc:
        reason = does_not_run(model, exc) if isinstance(exc, InvokeError) else exc
        sys.stdout.write(f"{reason}\n")  # and not to stderr, where native code writes too
        return ModelError.exit_code
    except EdgeRuntimeError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.exit_code
    return 0


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected here and worth no space on a card
    signal.alarm(int(sys.argv[3]) + 5)  # should nobody be left to kill us
    sys.exit(_child(Path(sys.argv[1]), sys.argv[2]))
