"""Images that are in memory already, again and again: for measurements that should not pay for capturing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from edge_runtime.clock import now_ns
from edge_runtime.frame import Frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ReplaySource:
    """Gives the images in turn, from the start again after the last, until so many frames are given."""

    def __init__(self, images: Sequence[NDArray[np.uint8]], frames: int) -> None:
        """Take the images.

        Args:
            images: each (H, W, 3) uint8 BGR, at least one; not copied.
            frames: how many frames to give in all.
        """
        if not images:
            raise ValueError("images: expected at least one")
        self._images = images
        self._frames = frames

    name = "replay"
    is_live = False
    fps: float | None = None

    @property
    def resolution(self) -> tuple[int, int]:
        """Width and height of the first image."""
        return self._images[0].shape[1], self._images[0].shape[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to free."""

    def __iter__(self) -> Iterator[Frame]:
        for sequence in range(self._frames):
            image = self._images[sequence % len(self._images)]
            yield Frame(image, sequence, now_ns(), time.time(), self.name)
