"""Pictures that are none: told from dark, still and plain ones, which are."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.capture.doubt import FROZEN_NS, PATIENCE, REASONS, PictureCheck, Suspicion, sample
from edge_runtime.capture.open import open_source

SIZES = [(640, 480), (1920, 1080), (160, 120)]
FRAME_NS = 33_000_000


def scene(size_wh: tuple[int, int] = (640, 480), seed: int = 1) -> np.ndarray:
    """Return hills of colour without noise, float32."""
    coarse = np.random.default_rng(seed).integers(30, 220, (9, 12, 3), dtype=np.uint8).astype(np.float32)
    return cv2.resize(coarse, size_wh, interpolation=cv2.INTER_CUBIC)


def noisy(picture: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    return np.clip(np.rint(picture + rng.normal(0, sigma, picture.shape)), 0, 255).astype(np.uint8)


def causes(*images: np.ndarray, step_ns: int = FRAME_NS) -> list[str | None]:
    check = PictureCheck()
    return [check.cause(image, number * step_ns) for number, image in enumerate(images)]


@pytest.mark.parametrize("level", [0, 1, 16])
@pytest.mark.parametrize("size_wh", SIZES)
def test_a_picture_of_one_dark_colour_is_black(size_wh: tuple[int, int], level: int) -> None:
    """0 is what a driver fills a buffer with, 16 is black in the narrow range of video."""
    assert causes(np.full((size_wh[1], size_wh[0], 3), level, np.uint8)) == ["black"]


def test_black_with_a_few_dead_pixels_and_one_level_of_ripple_is_black() -> None:
    """Hot pixels shine most where there is no light at all."""
    rng = np.random.default_rng(3)
    image = rng.integers(16, 18, (480, 640, 3), dtype=np.uint8)
    image[rng.integers(0, 480, 200), rng.integers(0, 640, 200)] = 255
    assert causes(image) == ["black"]


@pytest.mark.parametrize("sigma", [0.8, 1.5, 3.0])
@pytest.mark.parametrize("level", [0.0, 2.0, 10.0])
def test_a_dark_night_with_the_noise_of_a_sensor_is_not_black(level: float, sigma: float) -> None:
    """A camera that sees nothing because there is no light does what it should."""
    rng = np.random.default_rng(4)
    dark = np.full((480, 640, 3), level, np.float32)
    assert causes(*(noisy(dark, sigma, rng) for _ in range(5))) == [None] * 5


def test_a_lamp_in_a_night_that_compression_made_even_is_not_black() -> None:
    """One window across the street is an observation."""
    image = np.zeros((480, 640, 3), np.uint8)
    cv2.circle(image, (300, 200), 40, (90, 160, 200), -1)
    assert causes(image) == [None]


@pytest.mark.parametrize("color", [(128, 128, 128), (0, 135, 0), (255, 0, 0), (255, 255, 255)])
def test_a_whole_picture_of_one_colour_is_told(color: tuple[int, int, int]) -> None:
    """The blue of "no signal", the green of an empty buffer: no detector finds anything in it, and none should."""
    assert causes(np.full((480, 640, 3), color, np.uint8)) == ["one colour"]


def test_the_same_picture_for_ten_seconds_is_frozen_and_the_next_one_is_not() -> None:
    """The driver goes on delivering buffers, so no time-out ever comes."""
    rng = np.random.default_rng(5)
    stuck = noisy(scene(), 2.0, rng)
    check = PictureCheck()
    seen = [check.cause(stuck, number * FRAME_NS) for number in range(400)]

    first = seen.index("frozen")
    assert first * FRAME_NS == pytest.approx(FROZEN_NS, rel=0.01)
    assert set(seen[first:]) == {"frozen"}
    assert check.cause(noisy(scene(), 2.0, rng), 400 * FRAME_NS) is None


def test_the_same_picture_compressed_anew_is_frozen_too() -> None:
    """Values then differ by a level or two although nothing was seen anew."""
    rng = np.random.default_rng(6)
    stuck = noisy(scene(), 2.0, rng)
    almost = [np.clip(stuck.astype(int) + rng.integers(-1, 2, stuck.shape), 0, 255).astype(np.uint8) for _ in range(4)]
    assert causes(*(almost[number % 4] for number in range(14)), step_ns=10**9)[-1] == "frozen"


@pytest.mark.parametrize("sigma", [0.6, 1.0, 3.0])
def test_a_still_scene_with_the_noise_of_a_sensor_is_not_frozen(sigma: float) -> None:
    """An empty corridor at night is what most cameras look at most of the time."""
    rng = np.random.default_rng(7)
    images = [noisy(scene(), sigma, rng) for _ in range(8)]
    assert set(causes(*(images[number % 8] for number in range(60)), step_ns=10**9)) == {None}


def test_a_dot_that_blinks_in_a_drawn_picture_is_life() -> None:
    """It lies between the pixels looked at: before a picture counts as frozen all of it is compared."""
    base = np.rint(scene()).astype(np.uint8)
    images = []
    for number in range(30):
        image = base.copy()
        image[468:472, 603:609] = 255 * (number % 2)
        images.append(image)

    assert not any((sample(one) != sample(two)).any() for one, two in pairwise(images))
    assert set(causes(*images, step_ns=10**9)) == {None}


def broken(good: np.ndarray, kind: str, share: float = 0.5) -> np.ndarray:
    """Return the picture with its lower part as a decoder leaves it."""
    image = good.copy()
    cut = round(len(image) * (1 - share))
    if kind == "smear":
        image[cut:] = image[cut - 1]
    else:
        image[cut:] = {"grey": (128, 128, 128), "green": (0, 135, 0)}[kind]
    return image


@pytest.mark.parametrize("kind", ["grey", "green", "smear"])
@pytest.mark.parametrize("size_wh", SIZES)
def test_a_torn_picture_is_told_at_once_and_the_next_good_one_is_good(size_wh: tuple[int, int], kind: str) -> None:
    """Half a person is no person to a detector."""
    rng = np.random.default_rng(8)
    good = [noisy(scene(size_wh), 2.0, rng) for _ in range(3)]
    assert causes(good[0], broken(good[1], kind), good[2]) == [None, "torn", None]


@pytest.mark.parametrize("kind", ["grey", "green"])
def test_a_camera_that_is_torn_from_the_first_picture_on_is_told_by_its_colour(kind: str) -> None:
    """A cable that is too long is so from the start."""
    rng = np.random.default_rng(9)
    assert causes(*(broken(noisy(scene(), 2.0, rng), kind, 0.3) for _ in range(3))) == ["torn"] * 3


@pytest.mark.filterwarnings("ignore")
def test_what_a_real_jpeg_decoder_makes_of_half_the_data_is_torn_or_refused() -> None:
    """OpenCV 5 refuses it without an end marker; with one, and before version 5, the rest is grey."""
    rng = np.random.default_rng(10)
    good = noisy(scene(), 2.0, rng)
    data = cv2.imencode(".jpg", good)[1].tobytes()
    half = cv2.imdecode(np.frombuffer(data[: len(data) // 2] + b"\xff\xd9", np.uint8), cv2.IMREAD_COLOR)

    assert half is None or causes(good, half) == [None, "torn"]


def test_a_floor_that_goes_dark_is_not_torn() -> None:
    """At dusk the lower half is clipped to black while the sky is still bright."""
    rng = np.random.default_rng(11)
    bright = noisy(scene(), 2.0, rng)
    dusk = bright.copy()
    dusk[240:] = 0
    assert causes(bright, dusk) == [None, None]


@pytest.mark.parametrize("level", [0, 60])
def test_bars_below_the_picture_are_not_torn(level: int) -> None:
    """Cameras of 4:3 in a picture of 16:9 have them from the first frame on."""
    rng = np.random.default_rng(12)
    images = [noisy(scene(), 2.0, rng) for _ in range(4)]
    for image in images:
        image[340:] = level
    assert causes(*images) == [None] * 4


def test_colour_bars_with_a_running_text_are_a_living_camera() -> None:
    """A virtual camera sends them; nothing of them but the text ever changes."""
    bars = np.zeros((480, 640, 3), np.uint8)
    for number in range(8):
        bars[:, number * 80 : number * 80 + 80] = [255 * (number >> bit & 1) for bit in range(3)]
    images = [
        cv2.putText(bars.copy(), f"00:00:{number:02d}", (16, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2)
        for number in range(40)
    ]
    assert set(causes(*images, step_ns=10**9)) == {None}


@pytest.mark.parametrize("name", ["car-detection.mp4", "bottle-detection.mp4", "traffic_frames.mp4"])
def test_films_of_real_cameras_give_no_reason_for_doubt(shared: Path, name: str) -> None:
    """Compressed scenes with nothing in them for a while included."""
    check = PictureCheck()
    with open_source(str(shared / "videos" / name)) as source:
        seen = [
            check.cause(frame.image, frame.sequence * FRAME_NS) for frame, _ in zip(source, range(150), strict=False)
        ]
    assert len(seen) >= 20
    assert set(seen) == {None}


@pytest.mark.parametrize("size_wh", [(1, 1), (2, 3), (48, 36), (5000, 40)])
def test_a_picture_of_any_size_is_looked_at(size_wh: tuple[int, int]) -> None:
    """Thermal cameras have 80 x 60 pixels, line cameras a few rows."""
    rng = np.random.default_rng(13)
    images = [rng.integers(0, 256, (size_wh[1], size_wh[0], 3), dtype=np.uint8) for _ in range(3)]
    assert all(cause is None or cause in REASONS for cause in causes(*images))


def told(cause: str, *frames: tuple[float, str | None]) -> list[bool]:
    """Return for each frame of (second, cause) whether the camera is suspect for this cause."""
    suspicion = Suspicion()
    return [suspicion.update(shown, round(second * 1e9)) == cause for second, shown in frames]


def test_every_cause_has_its_patience_and_its_words() -> None:
    """A cause without either would end the run with a KeyError, on the day it is needed."""
    assert PATIENCE.keys() == REASONS.keys()


def test_one_bad_frame_makes_no_suspect() -> None:
    """A torn picture in an hour is the life of USB."""
    frames = [(second, "torn" if second % 30 == 0 else None) for second in range(120)]
    assert told("torn", *frames) == [False] * 120


def test_three_torn_frames_in_a_while_do_and_ten_seconds_without_one_clear_it() -> None:
    """It does not swing to and fro with every good frame between two bad ones."""
    frames = [(0, "torn"), (1, None), (2, "torn"), (3, None), (4, "torn"), (5, None), (13.9, None), (14.1, None)]
    assert told("torn", *frames) == [False, False, False, False, True, True, True, False]


def test_black_must_last_two_seconds() -> None:
    """Cameras open with a black picture or two, and somebody switches the light off."""
    frames = [(0.0, "black"), (0.5, "black"), (1.0, "black"), (1.9, "black"), (2.1, "black"), (3.0, None), (4.2, None)]
    assert told("black", *frames) == [False, False, False, False, True, True, False]


def test_a_slow_camera_needs_three_frames_all_the_same() -> None:
    """With a picture every five seconds two of them are ten seconds of proof."""
    assert told("black", (0, "black"), (5, "black"), (10, "black"), (15, None)) == [False, False, True, False]
