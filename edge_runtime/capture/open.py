"""Which source a text on the command line means."""

from __future__ import annotations

import glob
import logging
import os
import re
import stat
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_runtime.capture import PICTURES, SOURCES, FrameSource
from edge_runtime.capture.redact import redact
from edge_runtime.errors import ConfigError

__all__ = ["PICTURES", "open_source", "redact"]

log = logging.getLogger(__name__)


_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_V4L_MAJOR = 81  # of every video4linux device. Source: Documentation/admin-guide/devices.txt of Linux
_NETWORK = ("rtsp", "rtsps", "http", "https")
_CHOICES = (
    "a source is a camera (0, /dev/video2, /dev/v4l/by-id/...), picamera, an address (rtsp://, http://), "
    "a video file, a picture, a folder of pictures, a pattern ('shots/*.png'), or scene"
)


def open_source(
    text: str,
    *,
    size_wh: tuple[int, int] | None = None,
    fps: float | None = None,
    frame_timeout_s: float = 5.0,
    realtime: bool = False,
    seed: int = 0,
) -> FrameSource:
    """Return the source the text means, not yet entered; only then a device is opened.

    Args:
        text: ``0`` or ``/dev/...`` a camera; ``picamera`` or ``picamera:1`` one at the Pi's connector; an rtsp or
            http address; ``scene`` or ``scene:SEED`` a drawn one; else a video, a picture, a folder or a pattern.
        size_wh: width and height to ask for; cameras and the scene only.
        fps: frames per second to ask for; for files the pace of `realtime`.
        frame_timeout_s: seconds without a frame after which a live source counts as silent.
        realtime: play a file at its pace, dropping what is not taken in time, as if it were a camera.
        seed: what the scene is drawn from.

    Raises:
        ConfigError: the text means no source; the message lists what one may be.
    """
    kind, argument = _kind(text.strip())
    if kind in ("camera", "picamera"):
        camera = _class(kind)(argument, size_wh=size_wh, fps=fps, frame_timeout_s=frame_timeout_s)
        return _source(camera)
    if kind == "scene":
        drawn = _class(kind)(
            size_wh=size_wh or (640, 480), fps=fps or 30.0, seed=seed if argument is None else argument
        )
        return _paced(drawn)
    if size_wh is not None:
        log.warning("size has no effect source=%s", redact(text))
    if kind == "network":
        return _source(_class(kind)(argument, frame_timeout_s=frame_timeout_s))
    finite = _class(kind)(argument)
    return _paced(finite, fps) if realtime else _source(finite)


def _kind(text: str) -> tuple[str, Any]:
    """Return the key in the table of sources, and what that source is to open."""
    if re.fullmatch(r"\d{1,3}", text):
        return "camera", int(text)
    if text.startswith("/dev/") and not glob.has_magic(text):
        return _kind_of_device(text)
    if found := re.fullmatch(r"picamera(?::(\d+))?", text):
        return "picamera", int(found[1] or 0)
    if found := re.fullmatch(r"scene(?::(\d+))?", text):
        return "scene", None if found[1] is None else int(found[1])
    if found := _URL.match(text):
        if found[1].lower() in _NETWORK:
            return "network", text
        raise ConfigError(f"--source: {redact(text)!r} has an unknown scheme {found[1]!r}; {_CHOICES}")
    return _kind_of_path(text)


def _kind_of_device(text: str) -> tuple[str, str]:
    """Return camera also for what is not there, which may be plugged in later; /dev/shm has plain files."""
    try:
        status = Path(text).stat()
    except OSError:
        return "camera", text
    if not stat.S_ISCHR(status.st_mode):
        return _kind_of_path(text)
    if os.major(status.st_rdev) != _V4L_MAJOR:
        raise ConfigError(f"--source: {text} is a device, but no camera; {_CHOICES}")
    return "camera", text


def _kind_of_path(text: str) -> tuple[str, str]:
    path = Path(text).expanduser()
    if not text:
        raise ConfigError(f"--source: empty; {_CHOICES}")
    if path.is_dir():
        return "images", str(path)
    if path.exists():
        return ("images" if path.suffix.lower() in PICTURES else "video"), str(path)
    if glob.has_magic(text):
        if not any(glob.iglob(str(path), recursive=True)):  # noqa: PTH207 - Path.glob takes no absolute pattern
            raise ConfigError(f"--source: no file fits the pattern {text!r}; {_CHOICES}")
        return "images", str(path)
    raise ConfigError(f"--source: {redact(text)!r} is no file and no folder; {_CHOICES}")


def _class(kind: str) -> Any:
    module, name = SOURCES[kind].split(":")
    return getattr(import_module(module), name)


def _source(source: Any) -> FrameSource:
    checked: FrameSource = source
    return checked


def _paced(source: Any, fps: float | None = None) -> FrameSource:
    from edge_runtime.capture.paced import PacedSource

    return PacedSource(source, fps=fps)
