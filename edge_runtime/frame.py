"""One captured image and when it was taken."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A captured image. Read-only for everyone: whoever draws, draws on a copy."""

    image: NDArray[np.uint8]  # (H, W, 3), BGR
    sequence: int  # 0 for the first frame of the source, counts every captured frame
    captured_ns: int  # monotonic clock, the moment the picture was taken
    wall_time: float  # seconds since 1970, UTC, for people and files only
    source: str  # where it came from, without credentials
    doubt: str | None = field(default=None, kw_only=True)  # why not to believe it: "black", "frozen", "torn", ...

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.shape[1], self.image.shape[0]

    def without_image(self) -> Frame:
        """Return the same with an image of no rows, for queues whose readers look at no picture."""
        return replace(self, image=self.image[:0].copy())  # a mere slice would keep the whole image alive
