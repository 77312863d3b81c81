"""Annotated pictures of what was found, as JPEG files in a folder."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from edge_runtime.clock import NS_PER_S
from edge_runtime.errors import OutputError
from edge_runtime.frame import Frame
from edge_runtime.outputs.disk import check_room
from edge_runtime.result import Result, StateChange
from edge_runtime.storage.names import snapshot_order
from edge_runtime.storage.recovery import Recovery, Tell
from edge_runtime.storage.store import Storage
from edge_runtime.wholefile import write_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

JPEG_QUALITY = 90


class SnapshotOutput:
    """Writes a drawn frame as ``20260131T120000.250Z-00000042.jpg``: UTC time of the capture, number of the frame.

    A camera or video gives at most one picture in `interval_s`, the first frame with a detection after that time.
    Of a folder of pictures each one counts by itself, because each is its own source. A file has its name only when
    it is complete, and nothing that exists is replaced. A folder that is deleted is made again.

    Args:
        folder: where to write; created with its parents.
        only_with_detections: False writes frames in which nothing was found, too.
        interval_s: seconds between two pictures of one source.
        storage: the disk budget that all outputs share; None has no limits.
    """

    name = "snapshots"
    needs_drawing = True

    def __init__(
        self,
        folder: Path,
        *,
        only_with_detections: bool = True,
        interval_s: float = 1.0,
        storage: Storage | None = None,
    ) -> None:
        self._folder = folder
        self._only_with_detections = only_with_detections
        self._interval_ns = int(interval_s * NS_PER_S)
        self._last: tuple[str, int] | None = None  # source and time of capture of the frame written last
        self._storage = storage or Storage()
        self._recovery = Recovery(f"output:{self.name}", clock=self._storage.clock,
                                  wall_clock=self._storage.wall_clock)  # fmt: skip

    @property
    def lost(self) -> int:
        """Pictures that were not written: the disk was full, or the day's budget."""
        return self._recovery.lost

    @property
    def is_failing(self) -> bool:
        """True while it cannot write and tries again."""
        return self._recovery.is_failing

    def watch(self, tell: Tell, *, keeps_trying: bool) -> None:
        """Tell of changes of state; keep trying where writing fails, instead of raising."""
        self._storage.watch(tell)
        if keeps_trying:
            self._recovery.watch(tell)

    def open(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            probe = self._folder / ".writable.partial"
            probe.write_bytes(b"")
            probe.unlink()
        except FileExistsError as exc:
            raise OutputError(f"{self._folder}: is a file; give the name of a folder") from exc
        except OSError as exc:
            raise OutputError(
                f"{self._folder}: cannot be written ({exc.strerror}); choose a place this user may write to"
            ) from exc
        check_room(self._folder, self._folder)
        if self._storage.limits.is_any:
            self._storage.own(self._folder, snapshot_order)

    def write(self, result: Result, drawn: NDArray[np.uint8] | None) -> None:
        assert drawn is not None
        if not self._is_due(result):
            return
        self._last = (result.frame.source, result.frame.captured_ns)
        if not self._recovery.is_due:
            self._recovery.lose()
            return
        path = free_path(self._folder, file_name(result.frame))
        data = encode(path, drawn)
        if not self._storage.takes(len(data)):
            self._recovery.lose()
            return
        try:
            self._put(path, data)
        except OutputError as exc:
            self._recovery.fail(exc)
            self._recovery.lose()
        else:
            self._storage.wrote(len(data))
            self._recovery.succeed()

    def write_state(self, change: StateChange) -> None:
        del change

    def close(self) -> None:
        self._last = None

    def _put(self, path: Path, data: bytes) -> None:
        """Write the picture; where the disk is full the oldest files make room if a budget allows it."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise OutputError(f"{self._folder}: cannot be made again ({exc.strerror or exc})") from exc
        try:
            check_room(path)
        except OutputError:
            if not self._storage.free_some():
                raise
            check_room(path)
        write_whole(path, data, is_synced=False)

    def _is_due(self, result: Result) -> bool:
        if self._only_with_detections and not len(result.detections):
            return False
        if self._last is None or result.frame.source != self._last[0]:
            return True
        return result.frame.captured_ns - self._last[1] >= self._interval_ns


def file_name(frame: Frame) -> str:
    """Return a name without its ending; by name is by time."""
    time = datetime.fromtimestamp(frame.wall_time, UTC)
    return f"{time:%Y%m%dT%H%M%S}.{time.microsecond // 1000:03d}Z-{frame.sequence:08d}"


def free_path(folder: Path, name: str) -> Path:
    """Return a path that no file has; a clock that was set back can bring a name twice."""
    path, copy = folder / f"{name}.jpg", 1
    while path.exists():
        path, copy = folder / f"{name}-{copy}.jpg", copy + 1
    return path


def encode(path: Path, drawn: NDArray[np.uint8]) -> bytes:
    """Return the picture as JPEG.

    Raises:
        OutputError: JPEG cannot hold it: its sides end at 65,500 pixels.
    """
    try:
        done, data = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    except cv2.error as exc:
        done, reason = False, exc.err
    else:
        reason = "the encoder refused it"
    if not done:
        height, width = drawn.shape[:2]
        raise OutputError(f"{path}: {width}x{height} cannot be written as JPEG ({reason})")
    return data.tobytes()
