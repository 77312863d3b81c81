"""One model, opened and measured in a process of its own: its memory is its own, and a crash takes nobody along.

``python -m edge_runtime.compare.child REQUEST`` is the child; request and answer are JSON, the answer the last line of
stdout. What it is asked is one of the functions below.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.errors import EdgeRuntimeError, InvokeError, ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.inference import Backend, TensorSpec

WARMUP_RUNS = 3
SCENE_WH = (640, 480)
REPLAYED_IMAGES = 4


def invoke_times(model: str, *, engine: str, threads: Sequence[int], num_runs: int, max_secs: float) -> dict[str, Any]:
    """Return memory after the first invoke, and times of the model alone for each number of threads.

    The memory is that of Python, engine and model with the first number of threads; nothing else is loaded yet.
    """
    from edge_runtime.telemetry.process import ProcessProbe

    found: dict[str, Any] = {"times": {}}
    for count in threads:
        backend = _open(model, "auto", engine, count)
        tensors = inputs_of(backend.inputs)
        backend.invoke(tensors)
        found.setdefault("rss_bytes", ProcessProbe().read().rss_bytes)
        found.setdefault("backend", str(backend.describe()))
        found["times"][str(count)] = _time(backend, tensors, num_runs, max_secs)
        backend.close()
    return found


def _time(backend: Backend, tensors: list[NDArray[Any]], num_runs: int, max_secs: float) -> dict[str, Any]:
    from edge_runtime.bench.measure import repeat, timing

    times_ns = repeat(lambda: backend.invoke(tensors), warmup_runs=WARMUP_RUNS, num_runs=num_runs, max_secs=max_secs)
    figures = timing(times_ns)
    return {"runs": len(times_ns), "median_ms": figures["median_ms"], "p90_ms": figures["p90_ms"]}


def pipeline_rate(
    model: str, *, engine: str, backend: str, num_threads: int, labels: str | None, max_frames: int, max_secs: float
) -> dict[str, Any]:
    """Return frames per second of the whole pipeline on drawn scenes, and the most memory the process had."""
    from edge_runtime.bench.measure import measure_pipeline
    from edge_runtime.capture.replay import ReplaySource
    from edge_runtime.capture.scene import SceneSource
    from edge_runtime.detector import Detector
    from edge_runtime.telemetry.process import ProcessProbe

    with SceneSource(SCENE_WH, frames=REPLAYED_IMAGES) as scenes:
        images = [frame.image for frame in scenes]
    with Detector(model, labels=labels, backend=backend, engine=engine, num_threads=num_threads) as detector:
        for image in images[:2]:
            detector.detect(image)
        found = measure_pipeline(ReplaySource(images, max_frames), detector, max_frames=max_frames, max_secs=max_secs)
        described = str(detector.describe())
    if found["frames"] < 2:
        raise ModelError(f"{model}: takes more than {max_secs / 2:g} s for a frame; it is too slow to measure")
    facts = ProcessProbe().read()
    return {"fps": found["fps"], "rss_bytes": facts.peak_rss_bytes or facts.rss_bytes, "backend": described}


def write_outputs(model: str, *, engine: str, low: float, high: float, count: int, path: str) -> dict[str, Any]:
    """Write what the model answers to drawn scenes, as real numbers, to an .npz file: one array for each output."""
    import numpy as np

    from edge_runtime.compare.output_error import real_outputs, scene_inputs

    backend = _open(model, "auto", engine, 1)
    answers = [
        real_outputs(backend.invoke(tensors), backend.outputs)
        for tensors in scene_inputs(backend.inputs, low=low, high=high, count=count)
    ]
    backend.close()
    with Path(path).open("wb") as file:
        np.savez(file, *(np.stack(arrays) for arrays in zip(*answers, strict=True)))
    return {"outputs": len(answers[0])}


def _open(model: str, request: str, engine: str, num_threads: int) -> Backend:
    from edge_runtime.inference.select import open_backend
    from edge_runtime.model.flatbuffer import read_model

    path = Path(model)
    is_edgetpu = read_model(path).is_edgetpu
    return open_backend(path, request, is_edgetpu=is_edgetpu, engine=engine, num_threads=num_threads)


def inputs_of(specs: Sequence[TensorSpec]) -> list[NDArray[Any]]:
    """Return the same noise for each input at every call, over the whole range of its type; floats from 0 to 1."""
    import numpy as np

    random = np.random.default_rng(0)
    made: list[NDArray[Any]] = []
    for spec in specs:
        if np.issubdtype(spec.dtype, np.floating):
            made.append(random.random(spec.shape).astype(spec.dtype))
        elif np.issubdtype(spec.dtype, np.integer):
            limits = np.iinfo(spec.dtype)
            made.append(random.integers(limits.min, limits.max, spec.shape, spec.dtype, endpoint=True))
        else:
            made.append(np.zeros(spec.shape, spec.dtype))
    return made


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "invoke_times": invoke_times,
    "pipeline_rate": pipeline_rate,
    "write_outputs": write_outputs,
}


def main(request: str) -> int:
    """Do what the request says; return the exit code. A reason to fail goes to stdout, too: stderr is the engine's."""
    asked = json.loads(request)
    try:
        answer = TASKS[asked["task"]](**asked["arguments"])
    except InvokeError as exc:
        answer = {"error": f"opens but does not run ({exc}); convert it again, or try another --engine"}
    except EdgeRuntimeError as exc:
        answer = {"error": str(exc)}
    except MemoryError:
        answer = {"error": "needs more memory than this board has free"}
    sys.stdout.write(f"\n{json.dumps(answer)}\n")
    return 0


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is a result here and worth no space on a card
    signal.alarm(int(sys.argv[2]))  # should nobody be left to kill us
    sys.exit(main(sys.argv[1]))
