"""How soon a run notices that a camera fails, and how soon it has pictures again, over real connections.

    python benchmarks/camera_faults.py [--rounds 3]

Cameras are the servers of the tests at 127.0.0.1; the run is the pipeline with its own delays and a model that answers
at once. Also prints what it costs to look whether a picture can be believed.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import threading
import time
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from edge_runtime.capture.doubt import PictureCheck  # noqa: E402
from edge_runtime.capture.open import open_source  # noqa: E402
from edge_runtime.pipeline import Pipeline  # noqa: E402
from edge_runtime.result import Result, StateChange  # noqa: E402
from tests.capture.servers import MjpegServer, RtspServer, Wire  # noqa: E402
from tests.test_pipeline import detector  # noqa: E402

AWAY_S = 2.0


class Times:
    """An output that keeps when the camera went into which state."""

    name = "times"
    needs_drawing = False

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.states: list[tuple[str, float]] = []

    def open(self) -> None: ...

    def close(self) -> None: ...

    def write(self, result: Result, drawn: Any) -> None: ...

    def write_state(self, change: StateChange) -> None:
        with self.changed:
            self.states.append((change.after, time.monotonic()))
            self.changed.notify_all()

    def wait_for(self, state: str) -> float:
        """Return when the camera came into this state; it is waited for a minute."""
        with self.changed:
            if not self.changed.wait_for(lambda: bool(self.states) and self.states[-1][0] == state, 60):
                raise SystemExit(f"no {state} within a minute")
            return self.states[-1][1]


def measure(url: str, injure: Callable[[], None], heal: Callable[[], None]) -> tuple[float, float]:
    """Return the seconds from a fault to the state "lost", and from its end to the state "ok"."""
    times = Times()
    pipeline = Pipeline(open_source(url), detector(), [times])
    run = threading.Thread(target=pipeline.run)
    run.start()
    try:
        times.wait_for("ok")
        time.sleep(0.5)
        began = time.monotonic()
        injure()
        noticed = times.wait_for("lost") - began
        time.sleep(AWAY_S)
        ended = time.monotonic()
        heal()
        return noticed, times.wait_for("ok") - ended
    finally:
        pipeline.stop()
        run.join()


def faults(kind: type[MjpegServer] | type[RtspServer]) -> dict[str, Callable[[], tuple[float, float]]]:
    """Return what injects each fault once and measures it."""

    def restart() -> tuple[float, float]:
        server = kind()
        try:
            return measure(server.url(), server.kill, server.listen)
        finally:
            server.kill()

    def stall() -> tuple[float, float]:
        server = kind()

        def heal() -> None:
            server.kill()
            server.listen()

        try:
            return measure(server.url(), server.stall, heal)
        finally:
            server.kill()

    def cut() -> tuple[float, float]:
        server = kind()
        wire = Wire(server.port)
        url = server.url().replace(str(server.port), str(wire.port))
        try:
            return measure(url, wire.is_cut.set, wire.is_cut.clear)
        finally:
            wire.kill()
            server.kill()

    return {"server stops, restarts": restart, "stalls, restarts": stall, "cable cut, mended": cut}


def cost_us(size_wh: tuple[int, int]) -> float:
    """Return the microseconds that one look at a frame takes, the best of many."""
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 256, (size_wh[1], size_wh[0], 3), dtype=np.uint8) for _ in range(8)]
    check = PictureCheck()
    numbers = iter(range(1_000_000))

    def look() -> None:
        number = next(numbers)
        check.cause(images[number % 8], number * 33_000_000)

    return min(timeit.repeat(look, number=200, repeat=15)) / 200 * 1e6


def main() -> None:
    """Print one line for each fault and size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    logging.disable(logging.CRITICAL)
    for kind in (RtspServer, MjpegServer):
        for name, inject in faults(kind).items():
            noticed, back = zip(*(inject() for _ in range(rounds)), strict=True)
            print(f"{kind.__name__:12} {name:24} lost after {statistics.median(noticed):5.2f} s, at most "
                  f"{max(noticed):5.2f}; back after {statistics.median(back):5.2f} s, at most {max(back):5.2f}",
                  flush=True)  # fmt: skip
    for size_wh in ((640, 480), (1280, 720), (1920, 1080)):
        print(f"look at {size_wh[0]}x{size_wh[1]}: {cost_us(size_wh):.0f} us a frame")


if __name__ == "__main__":
    main()
