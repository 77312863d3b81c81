"""The process around the pipeline: its parts put together, signals, systemd, the order of the end."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

from edge_runtime.capture.open import open_source
from edge_runtime.config import STDOUT, Config
from edge_runtime.detector import Detector
from edge_runtime.errors import ConfigError, OutputError
from edge_runtime.outputs import Output
from edge_runtime.pipeline import Pipeline, Summary
from edge_runtime.telemetry.exporters import TelemetryFile
from edge_runtime.telemetry.report import Telemetry, summary_line

log = logging.getLogger(__name__)


def serve(config: Config, environment: Mapping[str, str] = os.environ) -> Summary:
    """Run until the source ends, a limit is reached or a signal comes; return how it went.

    Raises:
        EdgeRuntimeError: see `Pipeline.run`, `Detector` and `open_source`.
        KeyboardInterrupt: the user pressed Ctrl-C; everything accepted has been written.
    """
    if config.model is None:
        raise ConfigError("model: none was given; use --model FILE.tflite")
    source = open_source(config.source, size_wh=config.size, fps=config.fps, realtime=config.realtime)
    outputs = build_outputs(config, source_fps=lambda: source.fps, is_live=source.is_live, environment=environment)
    with _telemetry_file(config) as write_telemetry, build_detector(config) as detector:
        pipeline = Pipeline(
            source,
            detector,
            outputs,
            telemetry=Telemetry(),
            max_frames=config.max_frames,
            duration_s=config.duration,
            exit_on_source_loss=config.exit_on_source_loss or config.realtime,
            report_interval_s=config.telemetry_interval,
            on_report=lambda record: _report(record, write_telemetry),
            on_first_result=partial(notify_systemd, "READY=1", environment),
        )
        log.info("run started model=%s source=%s outputs=%s", config.model, source.name,
                 ",".join(output.name for output in outputs))  # fmt: skip
        with _signals_stop(pipeline) as interrupted:
            summary = pipeline.run()
        notify_systemd("STOPPING=1", environment)
        write_telemetry(summary.record)
    if interrupted:
        raise KeyboardInterrupt
    return summary


def build_detector(config: Config) -> Detector:
    """Return the detector these settings ask for."""
    assert config.model is not None
    return Detector(
        config.model,
        labels=config.labels,
        backend=config.backend,
        engine=config.engine,
        num_threads=config.num_threads,
        score_threshold=config.threshold,
        iou_threshold=config.iou,
        max_detections=config.max_detections,
        classes=config.classes,
    )


def build_outputs(
    config: Config, *, source_fps: Callable[[], float | None], is_live: bool, environment: Mapping[str, str]
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

        file = None if log_to == STDOUT else log_to
        outputs.append(JsonLinesOutput(file, append=config.append, overwrite=config.overwrite))
    if config.output is not None:
        from edge_runtime.outputs.video import VideoOutput

        outputs.append(VideoOutput(config.output, source_fps, keep_time=is_live, overwrite=config.overwrite))
    if config.snapshots is not None:
        from edge_runtime.outputs.snapshots import SnapshotOutput

        outputs.append(SnapshotOutput(config.snapshots))
    return outputs


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
def _telemetry_file(config: Config) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Give the function that writes a telemetry record; a file that fails is told once and left."""
    if config.telemetry is None:
        yield lambda _record: None
        return
    file = TelemetryFile(config.telemetry, append=config.append, overwrite=config.overwrite)
    file.open()
    has_failed = threading.Event()

    def write(record: dict[str, Any]) -> None:
        if has_failed.is_set():
            return
        try:
            file.write(record)
        except OutputError as exc:
            has_failed.set()
            log.error("output failed, the others go on output=telemetry reason=%s", exc)

    try:
        yield write
    finally:
        file.close()


def _report(record: dict[str, Any], write: Callable[[dict[str, Any]], None]) -> None:
    log.info("%s", summary_line(record))
    write(record)


@contextmanager
def _signals_stop(pipeline: Pipeline) -> Iterator[list[int]]:
    """Make SIGINT and SIGTERM end the run in order, and a second one at once. Gives the interrupts received."""
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

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, on_signal) for number in numbers]
    try:
        yield interrupts
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def notify_systemd(message: str, environment: Mapping[str, str]) -> bool:
    """Tell systemd something by its notify protocol; return False where nobody listens.

    Source: sd_notify(3): one datagram to the socket named by NOTIFY_SOCKET, "@" standing for the abstract namespace.
    """
    address = environment.get("NOTIFY_SOCKET")
    if not address:
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.connect("\0" + address[1:] if address.startswith("@") else address)
            sender.sendall(message.encode())
    except OSError as exc:
        log.warning("systemd could not be told message=%s reason=%s", message, exc)
        return False
    return True


def leave(code: int, left_threads: tuple[str, ...]) -> int:
    """Return the exit code, or end the process here where a thread still sits in a driver.

    Such a thread would wake while Python takes itself down, and crash.
    """
    if left_threads:
        sys.stdout.flush()
        sys.stderr.flush()
        logging.shutdown()
        os._exit(code)
    return code
