"""An annotated video file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import cv2

from edge_runtime.errors import ConfigError, OutputError
from edge_runtime.filelock import lock
from edge_runtime.outputs.beat import Beat, live_fps, playable_fps
from edge_runtime.outputs.disk import check_room
from edge_runtime.result import Result, StateChange
from edge_runtime.storage.store import Storage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

CODECS = {".mp4": ("mp4v", "avc1"), ".avi": ("MJPG",)}
"""The codecs to try, by the ending of the name. mp4v comes first: it is in every build of OpenCV with FFmpeg."""
PICTURES_FPS = 1.0
"""Pictures of a folder have no rate of their own: one a second can be looked at."""
MEASURED_FRAMES = 4
COUNTED_PICTURES = 16
"""Pictures between two looks at the size of the file."""
SMALLEST_SIDE_PX = 16
"""FFmpeg ends the whole process over an MPEG-4 picture of 3 x 3."""


class VideoOutput:
    """Writes the drawn frames to a video that has its name only when it is complete.

    Until then it is called ``.NAME.partial.mp4``, so that a crash neither harms a video that was there nor passes
    off half a file as one. A video that a full disk cut short is kept as ``NAME.incomplete.mp4``. The first frame sets
    the size; frames of another size are fitted into it, which is said once.

    Args:
        path: ends in .mp4 or .avi.
        fps: frames per second of the source, or what returns it once the source is open; None if it has no rate.
        keep_time: True for live sources: one second of video is one second of the world. A frame that inference had
            no time for is filled by the one before, but no gap of more than a second. The rate is what the first
            frames show, at most `fps`. False writes every frame once.
        overwrite: replace a file that exists.
        storage: counts the bytes of the day. A video is neither deleted nor paused: it is one file, asked for by name.

    Raises:
        ConfigError: the name ends in something else.
    """

    name = "video"
    needs_drawing = True

    def __init__(
        self,
        path: Path,
        fps: float | Callable[[], float | None] | None,
        *,
        keep_time: bool = False,
        overwrite: bool = False,
        storage: Storage | None = None,
    ) -> None:
        if path.suffix.lower() not in CODECS:
            raise ConfigError(f"{path}: cannot be told as a video by its ending; use {' or '.join(CODECS)}")
        self._path = path
        self._partial = path.with_name(f".{path.stem}.partial{path.suffix}")
        self._source_fps = fps if callable(fps) else lambda: fps
        self._keep_time = keep_time
        self._overwrite = overwrite
        self._early: list[tuple[NDArray[np.uint8], int]] = []  # frames of a live source before its rate is known
        self._writer: cv2.VideoWriter | None = None
        self._beat: Beat | None = None
        self._last: NDArray[np.uint8] | None = None
        self._size_wh = (0, 0)
        self._first_wh: tuple[int, int] | None = None  # None once another size has been spoken of
        self._pictures = 0  # written to the file
        self._is_cut = False
        self._storage = storage or Storage()
        self._counted_bytes = 0  # of the partial file
        self._lock: BinaryIO | None = None  # the partial file, locked while the video is open

    def open(self) -> None:
        self._refuse_existing()
        if not self._path.parent.is_dir():
            raise OutputError(f"{self._path}: the folder {self._path.parent} does not exist; create it first")
        check_room(self._path)
        is_left_over = self._partial.exists()
        try:
            self._lock = self._partial.open("ab")
            lock(self._lock)
        except BlockingIOError as exc:
            self._free()
            raise OutputError(f"{self._path}: another run is writing it; give another name") from exc
        except OSError as exc:
            raise OutputError(
                f"{self._path}: cannot be written ({exc.strerror}); choose a place this user may write to"
            ) from exc
        if is_left_over:
            log.warning("a video that was never finished is replaced path=%s", self._partial)

    def write(self, result: Result, drawn: NDArray[np.uint8] | None) -> None:
        assert drawn is not None
        if self._lock is None:
            raise OutputError(f"{self._path}: is not open")
        try:
            check_room(self._path)
            self._take(drawn, result.frame.captured_ns)
        except OutputError as exc:
            self._is_cut = True
            kept = self._close()  # what there is fits, and is worth keeping
            raise OutputError(f"{exc}; what there is stays in {kept}" if kept else str(exc)) from exc
        except BaseException:
            self._is_cut = True
            raise

    def _take(self, drawn: NDArray[np.uint8], captured_ns: int) -> None:
        if self._writer is None and self._keep_time:
            self._early.append((drawn, captured_ns))
            if len(self._early) == MEASURED_FRAMES:
                self._begin_measured()
            return
        if self._writer is None:
            self._begin(drawn, playable_fps(self._source_fps() or PICTURES_FPS))
        self._put(drawn, captured_ns)

    def write_state(self, change: StateChange) -> None:
        del change

    def close(self) -> None:
        """Finish the file and give it its name; a video without a frame is left out.

        Raises:
            OutputError: the video cannot be finished, or a file took its name meanwhile; what there is stays beside.
        """
        self._close()

    def _close(self) -> Path | None:
        """Do what `close` says; return the finished file, None where there is none."""
        if self._lock is None:
            return None
        if self._early:
            self._begin_measured()
        with self._lock:
            self._lock = None
            return self._finish()

    def _finish(self) -> Path | None:
        if self._writer is None:
            self._partial.unlink(missing_ok=True)
            log.warning("no video, there was no frame path=%s", self._path)
            return None
        self._writer.release()
        self._writer = None
        try:
            self._count_bytes()
            if not self._is_cut:
                self._refuse_existing()
            missing = missing_pictures(self._partial, self._pictures)
            if missing:
                raise OutputError(
                    f"{self._path}: could not be finished, {missing} of {self._pictures} pictures are missing in it"
                )
            path = incomplete(self._path) if self._is_cut else self._path
            self._partial.replace(path)
        except OSError as exc:  # OutputError is one
            raise OutputError(f"{exc}; what there is stays in {self._partial}") from exc
        return path

    def _refuse_existing(self) -> None:
        if self._path.is_dir():
            raise OutputError(f"{self._path}: is a folder; give the name of a file")
        if self._path.exists() and not self._overwrite:
            raise OutputError(
                f"{self._path}: exists ({self._path.stat().st_size:,} bytes); add --overwrite to replace it"
            )

    def _begin_measured(self) -> None:
        """Start the video with the frames that were kept to see how fast they come."""
        early, self._early = self._early, []
        times_ns = [captured_ns for _, captured_ns in early]
        self._begin(early[0][0], live_fps(times_ns, self._source_fps()))
        for drawn, captured_ns in early:
            self._put(drawn, captured_ns)

    def _begin(self, drawn: NDArray[np.uint8], fps: float) -> None:
        height, width = drawn.shape[:2]
        self._first_wh = (width, height)
        self._size_wh = (max(width, SMALLEST_SIDE_PX), max(height, SMALLEST_SIDE_PX))
        self._beat = Beat(fps)
        codecs = CODECS[self._path.suffix.lower()]
        for codec in codecs:
            writer = cv2.VideoWriter(str(self._partial), cv2.VideoWriter.fourcc(*codec), fps, self._size_wh)
            if writer.isOpened():
                self._writer = writer
                return
        self._partial.unlink(missing_ok=True)
        self._free()
        others = [suffix for suffix in CODECS if suffix != self._path.suffix.lower()]
        raise OutputError(
            f"{self._path}: this OpenCV cannot write {width}x{height} as {' or '.join(codecs)}; try {', '.join(others)}"
        )

    def _put(self, drawn: NDArray[np.uint8], captured_ns: int) -> None:
        assert self._writer is not None
        assert self._beat is not None
        pictures = self._beat.pictures_until(captured_ns) if self._keep_time else 1
        if not pictures:
            return
        self._say_another_size(drawn)
        self._pictures += pictures
        for _ in range(pictures - 1):
            self._writer.write(self._last)
        self._last = fit(drawn, self._size_wh)
        self._writer.write(self._last)
        if self._pictures % COUNTED_PICTURES == 0:
            self._count_bytes()

    def _count_bytes(self) -> None:
        """Tell the storage how much the file has grown."""
        try:
            size_bytes = self._partial.stat().st_size
        except OSError:  # deleted; the end of the video says so
            return
        self._storage.wrote(max(0, size_bytes - self._counted_bytes))
        self._counted_bytes = size_bytes

    def _say_another_size(self, drawn: NDArray[np.uint8]) -> None:
        height, width = drawn.shape[:2]
        if self._first_wh not in (None, (width, height)):
            self._first_wh = None
            log.info("a video has one size, that of its first frame; frames of other sizes are fitted into it "
                     "path=%s size=%dx%d other=%dx%d", self._path, *self._size_wh, width, height)  # fmt: skip

    def _free(self) -> None:
        """Let go of the partial file, which is unlocked by that."""
        assert self._lock is not None
        self._lock.close()
        self._lock = None


def incomplete(path: Path) -> Path:
    """Return a name for a video of which a part is missing: a.incomplete.mp4, or one with a number if that is taken."""
    free, copy = path.with_name(f"{path.stem}.incomplete{path.suffix}"), 1
    while free.exists():
        free, copy = path.with_name(f"{path.stem}.incomplete-{copy}{path.suffix}"), copy + 1
    return free


def fit(image: NDArray[np.uint8], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """Return (H, W, 3) the image in this size, undistorted, in the middle, on black."""
    height, width = image.shape[:2]
    if (width, height) == size_wh:
        return image
    scale = min(size_wh[0] / width, size_wh[1] / height)
    inner_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    inner = image if inner_wh == (width, height) else cv2.resize(image, inner_wh, interpolation=method)
    left, top = (size_wh[0] - inner_wh[0]) // 2, (size_wh[1] - inner_wh[1]) // 2
    right, bottom = size_wh[0] - inner_wh[0] - left, size_wh[1] - inner_wh[1] - top
    fitted: NDArray[np.uint8] = cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_CONSTANT)
    return fitted


def missing_pictures(path: Path, written: int) -> int:
    """Return how many of the pictures written a player does not find: a disk that filled up meanwhile is no error.

    It leaves a file without its index: an MP4 of that kind does not open, an AVI opens and has no length.
    """
    reader = cv2.VideoCapture(str(path))
    try:
        if not reader.isOpened() or not reader.grab():
            return written
        is_counted = reader.getBackendName() == "FFMPEG"  # others estimate
        return max(0, written - round(reader.get(cv2.CAP_PROP_FRAME_COUNT))) if is_counted else 0
    finally:
        reader.release()
