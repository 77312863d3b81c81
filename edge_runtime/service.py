"""The process around the pipeline: its parts put together, signals, systemd, the order of the end."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from edge_runtime.bundled import bundled_model
from edge_runtime.capture import FrameSource
from edge_runtime.capture.open import open_source, redact
from edge_runtime.capture.v4l import Nodes
from edge_runtime.config import STDOUT, Config
from edge_runtime.detector import Detector
from edge_runtime.errors import CaptureError, ConfigError, OutputError
from edge_runtime.model.store import find_model
from edge_runtime.notify import Heartbeat
from edge_runtime.outputs import Output
from edge_runtime.pipeline import Pipeline, Summary
from edge_runtime.result import Result, StateChange
from edge_runtime.storage.limits import Limits
from edge_runtime.storage.store import Storage
from edge_runtime.telemetry.exporters import TelemetryFile
from edge_runtime.telemetry.report import Telemetry
from edge_runtime.telemetry.summary import status_line, summary_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.outputs.jsonl import JsonLinesOutput

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went, and whether Ctrl-C ended it; everything accepted has been written then, too."""

    summary: Summary
    was_interrupted: bool


def serve(config: Config, environment: Mapping[str, str] = os.environ) -> Outcome:
    """Run until the source ends, a limit is reached or a signal comes; return how it went.

    Raises:
        EdgeRuntimeError: see `Pipeline.run`, `Detector` and `open_source`.
        KeyboardInterrupt: Ctrl-C was pressed before the run began.
    """
    opened = partial(open_source, size_wh=config.size, fps=config.fps, realtime=config.realtime)
    named = None if config.source is None else opened(config.source)  # what is no source is said first, and alone
    config = with_defaults(config)
    assert config.source is not None, "the defaults name one"
    source = opened(config.source) if named is None else named

    def on_reader_gone() -> None:
        if len(outputs) > 1:
            log.warning("nobody reads stdout any more, the other outputs go on")
        else:
            pipeline.stop()

    heartbeat = Heartbeat(environment)
    storage = build_storage(config)
    outputs = build_outputs(
        config,
        storage=storage,
        source_fps=lambda: source.fps,
        is_live=source.is_live,
        environment=environment,
        on_reader_gone=on_reader_gone,
    )
    with build_detector(config) as detector, storage, _telemetry_file(config, storage) as write_telemetry:
        pipeline = Pipeline(
            source,
            detector,
            outputs,
            telemetry=Telemetry(),
            max_frames=config.max_frames,
            duration_s=config.duration,
            exit_on_source_loss=config.exit_on_source_loss or config.realtime,
            report_interval_s=config.telemetry_interval,
            on_report=Reports(write_telemetry, heartbeat),
            on_tick=heartbeat.tick,
        )
        log.info("run started model=%s source=%s outputs=%s", config.model, source.name,
                 ",".join(output.name for output in outputs))  # fmt: skip
        with _signals_stop(pipeline) as interrupted:
            try:
                summary = pipeline.run()
            finally:
                heartbeat.stopping()
                write_telemetry(pipeline.telemetry.final())
    return Outcome(summary, bool(interrupted))


def with_defaults(config: Config, find_camera: Callable[[], tuple[str | None, str]] | None = None) -> Config:
    """Return the settings with a model and a source; what was not named is chosen here, and one line says so.

    A user who named one of the two wants a certain thing, and a camera that is absent is then waited for. Where
    neither is named something is to be seen at once: the first camera that opens, else drawn shapes.

    Raises:
        ModelError: no model was named and the bundled one is not there.
    """
    model, source, why = require_model(config), config.source, "as asked for"
    if source is None and config.model is not None:
        source, why = "0", "the default"
    elif source is None:
        camera, why = (find_camera or first_camera)()
        source = camera or "scene"
    if config.model is None:
        log.info(
            "no model was named, so model=%s (bundled, finds drawn shapes) source=%s (%s)",
            model.name, redact(source), why,
        )  # fmt: skip
    return replace(config, model=model, source=source)


def first_camera(
    nodes: Nodes | None = None, opener: Callable[..., FrameSource] = open_source
) -> tuple[str | None, str]:
    """Return the first camera that opens and gives a picture, None if there is none, and why."""
    nodes = nodes or Nodes()
    reasons = []
    names = dict.fromkeys("picamera" if nodes.is_csi(path) else path for path in nodes.names())
    for name in names:
        try:
            with opener(name, frame_timeout_s=2.0):
                return name, "the first camera that opens"
        except (CaptureError, ConfigError) as exc:
            reasons.append(str(exc))
    return None, f"no camera opens: {' / '.join(reasons) or nodes.cameras()}"


def require_model(config: Config) -> Path:
    """Return the model that was named, by its path or as one that was pulled, else the bundled one.

    Raises:
        ModelError: none was named and the bundled one is not there, or the one named waits to be pulled.
    """
    return bundled_model() if config.model is None else find_model(config.model)


def build_detector(config: Config) -> Detector:
    """Return the detector these settings ask for."""
    return Detector(
        require_model(config),
        labels=config.labels,
        backend=config.backend,
        engine=config.engine,
        num_threads=config.num_threads,
        score_threshold=config.threshold,
        iou_threshold=config.iou,
        max_detections=config.max_detections,
        classes=config.classes,
        task=config.task,
        isolation=config.isolation,
        fallback=config.fallback,
        invoke_timeout_s=config.invoke_timeout,
        explain=config.explain,
    )


def build_storage(config: Config) -> Storage:
    """Return the disk budget these settings ask for, and how lines get to the disk."""
    limits = Limits(
        max_bytes=config.storage_max_bytes,
        max_bytes_per_day=config.storage_max_bytes_per_day,
        min_free_bytes=config.storage_min_free_bytes,
        keep_days=config.storage_keep_days,
    )
    syncs = {"never": None, "always": 0.0}
    sync_s = syncs[config.storage_fsync] if isinstance(config.storage_fsync, str) else config.storage_fsync
    return Storage(limits, flush_s=config.storage_flush_seconds, sync_s=sync_s)


def build_outputs(
    config: Config,
    *,
    storage: Storage | None = None,
    source_fps: Callable[[], float | None],
    is_live: bool,
    environment: Mapping[str, str],
    on_reader_gone: Callable[[], None],
) -> list[Output]:
    """Return the outputs these settings ask for, not yet open.

    Where none is named there is a window on a desktop and JSON lines on stdout elsewhere.
    """
    outputs: list[Output] = []
    log_to = config.log
    if _wants_window(config, environment):
        from edge_runtime.outputs.window import WindowOutput

        outputs.append(WindowOutput("edge-runtime"))
    elif log_to is None and config.output is None and config.snapshots is None:
        log_to = STDOUT
    if log_to is not None:
        from edge_runtime.outputs.jsonl import JsonLinesOutput

        if log_to == STDOUT:
            outputs.append(PipedLines(JsonLinesOutput(None), on_reader_gone))
        else:
            outputs.append(JsonLinesOutput(log_to, append=config.append, overwrite=config.overwrite, storage=storage))
    if config.output is not None:
        from edge_runtime.outputs.video import VideoOutput

        outputs.append(
            VideoOutput(config.output, source_fps, keep_time=is_live, overwrite=config.overwrite, storage=storage)
        )
    if config.snapshots is not None:
        from edge_runtime.outputs.snapshots import SnapshotOutput

        outputs.append(SnapshotOutput(config.snapshots, storage=storage))
    return outputs


class PipedLines:
    """JSON lines on stdout. A reader that leaves, such as ``head``, is no failure: it has what it wanted."""

    name = "jsonl"
    needs_drawing = False

    def __init__(self, lines: JsonLinesOutput, on_reader_gone: Callable[[], None]) -> None:
        self._lines = lines
        self._on_reader_gone = on_reader_gone
        self._is_read = True

    def open(self) -> None:
        self._lines.open()

    def write(self, result: Result, drawn: NDArray[np.uint8] | None) -> None:
        self._while_read(lambda: self._lines.write(result, drawn))

    def write_state(self, change: StateChange) -> None:
        self._while_read(lambda: self._lines.write_state(change))

    def close(self) -> None:
        self._lines.close()

    def _while_read(self, action: Callable[[], None]) -> None:
        if not self._is_read:
            return
        try:
            action()
        except OutputError as exc:
            if not isinstance(exc.__cause__, BrokenPipeError):
                raise
            self._is_read = False
            self._on_reader_gone()


def _wants_window(config: Config, environment: Mapping[str, str]) -> bool:
    if config.display or config.headless:
        return config.display
    names_an_output = any((config.log, config.output, config.snapshots))
    if names_an_output or not any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")):
        return False
    from edge_runtime.outputs.window import has_gui

    if not has_gui():
        log.info(
            "no window: this OpenCV is the headless build; JSON lines go to stdout, --display says what to install"
        )
        return False
    return True


@contextmanager
def _telemetry_file(config: Config, storage: Storage) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Give the function that writes a telemetry record; a file that fails is told once and tried again."""
    if config.telemetry is None:
        yield lambda _record: None
        return
    file = TelemetryFile(config.telemetry, append=config.append, overwrite=config.overwrite, storage=storage)
    file.open()
    file.watch(lambda _change: None)  # it says in the log what becomes of it
    try:
        yield lambda record: file.write({**record, "written_bytes_today": storage.written_today})
    finally:
        file.close()


class Reports:
    """Takes the record of each period: to the log, to systemd's status and to the telemetry file.

    Of periods without a frame the first alone is news to the log: a camera may be away for months.
    """

    def __init__(self, write: Callable[[dict[str, Any]], None], heartbeat: Heartbeat) -> None:
        self._write = write
        self._heartbeat = heartbeat
        self._was_empty = False

    def __call__(self, record: dict[str, Any]) -> None:
        frames = record["frames"]
        is_empty = not frames["captured"] and not frames["processed"]
        log.log(logging.DEBUG if is_empty and self._was_empty else logging.INFO, "%s", summary_line(record))
        self._was_empty = is_empty
        self._heartbeat.say(status_line(record))
        self._write(record)


@contextmanager
def _signals_stop(pipeline: Pipeline) -> Iterator[list[int]]:
    """Make SIGINT, SIGTERM and SIGHUP end the run in order, and a second one at once. Gives the interrupts received.

    After the first one the second still counts when the run is over: the process is about to end then.
    """
    received: list[int] = []
    interrupts: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        del frame
        if received:
            os._exit(128 + number)
        received.append(number)
        if number == signal.SIGINT:
            interrupts.append(number)
        pipeline.stop()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # a closed terminal hangs up
    before = [signal.signal(number, on_signal) for number in numbers]
    try:
        yield interrupts
    finally:
        if not received:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)
