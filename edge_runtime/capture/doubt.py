"""Reasons to doubt a camera that delivers: pictures that are black, frozen or torn, told from a few hundred pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.clock import NS_PER_S

SAMPLE_WH = (48, 36)
"""Pixels looked at, as they are: an average over neighbours would hide the noise by which a living sensor is known."""
NOISE_LEVELS = 1
"""Levels of 255 by which pixels of one colour, or rows that a decoder repeated, may differ after a colour conversion.
A sensor's noise has a deviation of 2 and more in the dark and hardly ever less than 0.6, where 1 in 10 differs more."""
ONE_COLOUR_SHARE = 0.995
"""A lamp in the night covers more than the rest, and so does noise of a deviation of 0.5; three dead pixels do not."""
BLACK_BELOW = 32
"""Video black is 16 in the narrow range, and dark currents add some."""
SATURATED = 250
STILL_LEVELS = 2
"""The same picture compressed anew differs by so much; noise of a deviation of 0.6 differs more somewhere."""
STILL_NS = NS_PER_S
FROZEN_NS = 10 * NS_PER_S
"""A still scene in H.264 repeats itself from one key frame to the next, which is 1 to 5 s."""
DECODER_GREY, GREY_LEVELS = 128, 3
"""What JPEG leaves where the data end: luminance and colour in the middle of their range."""
FILLED_SHARE = 0.15
"""Of the picture's height, from the bottom, in a decoder's own grey or green: no scene has that colour so evenly."""
REPEATED_SHARE, MORE_THAN_USUAL = 0.25, 0.2
"""Of the height, rows that are alike. Bars below a picture are so too, but they are there from the first frame on."""

REASONS = {
    "black": "sends black pictures; check lens, cover and light",
    "one colour": "sends pictures of one colour; check lens and cable",
    "frozen": "sends the same picture again and again; restart the camera",
    "torn": "sends torn pictures; check cable and power, or take a smaller size",
}


class PictureCheck:
    """Looks at each frame of one stream and names what is wrong with it, in 0.03 to 0.05 ms on a desktop core."""

    def __init__(self) -> None:
        self._seen: NDArray[Any] | None = None  # sample that the next ones are compared with
        self._seen_ns = self._compared_ns = 0
        self._whole: NDArray[np.uint8] | None = None  # the whole picture, once the sample stands still
        self._usual_repeated = 1.0  # share of the height, the smallest so far

    def cause(self, image: NDArray[np.uint8], captured_ns: int) -> str | None:
        """Return the key of `REASONS` that the frame shows, None for a good one.

        Args:
            image: (H, W, 3) uint8 BGR; every frame of one size.
            captured_ns: monotonic clock, the moment it was taken.
        """
        few = sample(image)
        color = only_color(few)
        if color is not None:
            return "black" if max(color) < BLACK_BELOW else "one colour"
        if self._is_torn(few):
            return "torn"
        return "frozen" if self._is_frozen(image, few, captured_ns) else None

    def _is_torn(self, few: NDArray[np.uint8]) -> bool:
        repeated = repeated_rows(few) / len(few)
        usual, self._usual_repeated = self._usual_repeated, min(self._usual_repeated, repeated)
        if repeated < FILLED_SHARE:
            return False
        last = few[-1].astype(np.int16)
        is_even = bool((np.ptp(last, axis=0) <= NOISE_LEVELS).all())
        if is_even and is_fill(last[0]):
            return True
        if is_even and not BLACK_BELOW <= last.max() < SATURATED:
            return False  # a floor in the dark, or snow: clipped by the sensor
        return repeated >= REPEATED_SHARE and repeated - usual >= MORE_THAN_USUAL

    def _is_frozen(self, image: NDArray[np.uint8], few: NDArray[np.uint8], now_ns: int) -> bool:
        if self._seen is None or differs(few, self._seen):
            self._seen, self._seen_ns, self._whole = few, now_ns, None
        elif self._whole is None:
            if now_ns - self._seen_ns >= STILL_NS:  # a sample may miss the hand of a clock: from now on all of it
                self._whole, self._compared_ns = image, now_ns
        elif now_ns - self._compared_ns >= STILL_NS:
            self._compared_ns = now_ns
            if differs(image, self._whole):
                self._seen, self._seen_ns, self._whole = few, now_ns, None
        return self._whole is not None and now_ns - self._seen_ns >= FROZEN_NS


def sample(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pixels of a BGR image in even distances, (at most 36, at most 48, 3) uint8, a copy."""
    wanted_wh = (min(SAMPLE_WH[0], image.shape[1]), min(SAMPLE_WH[1], image.shape[0]))
    few: NDArray[np.uint8] = cv2.resize(image, wanted_wh, interpolation=cv2.INTER_NEAREST)
    return few


def only_color(few: NDArray[np.uint8]) -> list[int] | None:
    """Return the colour that all of the pixels but a few have, None if there is none."""
    pixels = few.reshape(-1, 3)
    some = pixels[:: len(pixels) // 31 or 1].T.tolist()
    middle = [sorted(channel)[len(channel) // 2] for channel in some]
    lowest, highest = ([value + step for value in middle] for step in (-NOISE_LEVELS, NOISE_LEVELS))
    same = cv2.countNonZero(cv2.inRange(few, np.array(lowest), np.array(highest)))
    return middle if same >= ONE_COLOUR_SHARE * len(pixels) else None


def repeated_rows(few: NDArray[np.uint8]) -> int:
    """Return how many rows at the bottom are alike; 1 where the last one has no like."""
    if len(few) < 2 or cv2.norm(few[-1], few[-2], cv2.NORM_INF) > NOISE_LEVELS:
        return 1
    steps = cv2.absdiff(few[1:], few[:-1]).reshape(len(few) - 1, -1).max(axis=1)
    changes = np.flatnonzero(steps > NOISE_LEVELS)
    return len(few) - 1 - int(changes[-1]) if len(changes) else len(few)


def is_fill(pixel: NDArray[np.int16]) -> bool:
    """Return whether a BGR pixel is what decoders leave: the grey of JPEG, or the green of a YUV buffer of zeros."""
    blue, green, red = (int(value) for value in pixel)
    is_grey = max(abs(value - DECODER_GREY) for value in (blue, green, red)) <= GREY_LEVELS
    return is_grey or (max(blue, red) <= GREY_LEVELS and 70 <= green <= 160)


def differs(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Return whether two images of one size are two pictures, and not one compressed twice."""
    return bool(cv2.norm(one, other, cv2.NORM_INF) > STILL_LEVELS)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a cause must last until the camera is suspect, and be away until it is not."""

    hold_s: float
    clear_s: float
    frames: int = 3


PATIENCE = {
    "black": Patience(2.0, 2.0),  # webcams begin with up to a second of black; so does a light that is switched off
    "one colour": Patience(2.0, 2.0),
    "frozen": Patience(0.0, 2.0),  # the ten seconds until a picture counts as frozen are over
    "torn": Patience(0.0, 10.0),  # comes and goes with the load of the bus; a single one in an hour is nothing
}


@dataclass(slots=True)
class _Run:
    first_ns: int
    last_ns: int
    frames: int = 1


class Suspicion:
    """Takes the cause that each frame shows and tells whether the camera is suspect: not for a single frame."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}

    def update(self, cause: str | None, now_ns: int) -> str | None:
        """Take a frame's cause; return the one for which the camera is suspect now, None if it is not.

        A run of bad frames ends with a good one, when no bad one has come for a while.
        """
        for name, run in list(self._runs.items()):
            if name != cause and now_ns - run.last_ns >= PATIENCE[name].clear_s * NS_PER_S:
                del self._runs[name]
        if cause is not None:
            run = self._runs.setdefault(cause, _Run(now_ns, now_ns, 0))
            run.last_ns, run.frames = now_ns, run.frames + 1
        return next((name for name, run in self._runs.items() if _is_enough(run, PATIENCE[name])), None)


def _is_enough(run: _Run, patience: Patience) -> bool:
    return run.frames >= patience.frames and run.last_ns - run.first_ns >= patience.hold_s * NS_PER_S
