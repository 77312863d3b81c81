"""The program in a folder of its own, with a small model, a video and pictures."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.cli.program import LABELS, LONG_FRAMES, PATIENCE_S, PROGRAM, ROOT, VIDEO_FRAMES, Done, write_video
from tests.factory.metadata import embedded_metadata
from tests.factory.models import write_postprocess_ssd


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return this environment without what would change the program: settings, displays, the user's cache."""
    foreign = ("EDGE_RUNTIME_", "DISPLAY", "WAYLAND_DISPLAY", "JOURNAL_STREAM", "NOTIFY_SOCKET", "CACHE_DIRECTORY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    path = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH")]))
    cache = tmp_path_factory.mktemp("cache")
    return {**kept, "PYTHONPATH": path, "XDG_CACHE_HOME": str(cache), "COLUMNS": "80"}


@pytest.fixture
def edge(tmp_path: Path, environment: dict[str, str]) -> Callable[..., Done]:
    """Return a function that runs the program with these arguments in `tmp_path` and returns how it ended."""

    def run(*args: object, variables: Mapping[str, str] | None = None, program: Sequence[str] = PROGRAM) -> Done:
        done = subprocess.run(
            [*program, *map(str, args)],
            cwd=tmp_path, env={**environment, **(variables or {})}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a function that starts the program and leaves it running, its stdout and stderr in pipes."""
    started: list[subprocess.Popen[str]] = []

    def run(*args: object) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        command = [*PROGRAM, *map(str, args)]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model that finds a person (0.9) and a car (0.6) in every picture and names them itself."""
    return write_postprocess_ssd(
        tmp_path_factory.mktemp("model") / "finder.tflite",
        boxes=[(0.1, 0.2, 0.5, 0.6), (0.5, 0.5, 0.9, 0.9)], classes=[0, 2], scores=[0.9, 0.6],
        num_classes=len(LABELS), metadata=embedded_metadata(), packed={"labelmap.txt": "\n".join(LABELS)},
    )  # fmt: skip


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "street.mp4", VIDEO_FRAMES)


@pytest.fixture(scope="session")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("long") / "long.mp4", LONG_FRAMES)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of pictures whose names sort differently as text and as numbers, and a file that is none."""
    folder = tmp_path_factory.mktemp("images")
    for number in (10, 9, 2, 1):
        cv2.imwrite(str(folder / f"shot{number}.png"), np.full((40 + number, 60, 3), number * 20, np.uint8))
    (folder / "notes.txt").write_text("no picture\n")
    return folder
