"""Sources of frames: the table of what ``--source`` may name, and what every source offers.

Vendor libraries are imported when a source of theirs is opened, not before.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from edge_runtime.frame import Frame

SOURCES = {
    "camera": "edge_runtime.capture.opencv:CameraSource",
    "picamera": "edge_runtime.capture.picamera:PicameraSource",
    "network": "edge_runtime.capture.network:NetworkSource",
    "video": "edge_runtime.capture.video:VideoSource",
    "images": "edge_runtime.capture.images:ImageSource",
    "scene": "edge_runtime.capture.scene:SceneSource",
}


PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Endings of files that are pictures."""


class FrameSource(Protocol):
    """Anything that can be entered and iterated; leaving the block frees the device.

    Entering opens the device and may be done again after leaving. Iterating ends when a file ends; a live
    source never ends by itself, it raises. No source ever yields an invented frame.

    Raises:
        CaptureError: on entering or iterating, when the source cannot be opened or was lost.
        FrameTimeoutError: on iterating, when the source is open but sends nothing.
    """

    @property
    def name(self) -> str:
        """What the user named, without credentials."""

    @property
    def is_live(self) -> bool:
        """True when frames that nobody takes are lost: the newest wins, the others are dropped."""

    @property
    def resolution(self) -> tuple[int, int] | None:
        """Width and height as the device reports them; None until it is open, or when every image differs."""

    @property
    def fps(self) -> float | None:
        """Frames per second as the device reports them; None where there is no such thing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...
