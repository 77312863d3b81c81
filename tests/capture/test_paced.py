"""A file or a drawing played as if it were a camera."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from edge_runtime.capture.paced import PacedSource
from edge_runtime.capture.scene import SceneFrame, SceneSource
from edge_runtime.capture.stamp import stamped
from edge_runtime.errors import ConfigError
from edge_runtime.frame import Frame
from tests.capture.fakes import Clock, image


class Slow:
    """A finite source that needs so many nanoseconds for each frame."""

    name = "slow"
    is_live = False
    resolution: tuple[int, int] | None = (64, 48)

    def __init__(self, clock: Clock, costs_ns: list[int], fps: float | None = 10.0) -> None:
        self.fps = fps
        self._clock, self._costs_ns = clock, costs_ns
        self.entered = 0

    def __enter__(self) -> Slow:
        self.entered += 1
        return self

    def __exit__(self, *error: object) -> None:
        self.entered -= 1

    def __iter__(self) -> Iterator[Frame]:
        for sequence, cost in enumerate(self._costs_ns):
            self._clock.ns += cost
            yield stamped(image(), sequence=sequence, captured_ns=self._clock.ns, source=self.name)


def waiting(clock: Clock) -> Callable[[float], bool]:
    """Return a wait that takes no time but moves the clock on."""

    def wait(seconds: float) -> bool:
        clock.pause(seconds)
        return False

    return wait


def make_paced(costs_ms: list[int], **options: Any) -> tuple[PacedSource, Slow, Clock]:
    clock = Clock()
    source = Slow(clock, [cost * 1_000_000 for cost in costs_ms], options.pop("source_fps", 10.0))
    return PacedSource(source, clock=clock, wait=waiting(clock), **options), source, clock


def gaps_ms(frames: list[Frame]) -> list[float]:
    return [(b.captured_ns - a.captured_ns) / 1e6 for a, b in itertools.pairwise(frames)]


def test_frames_come_at_the_pace_of_the_source() -> None:
    """Each is due a tenth of a second after the one before, however long it took to decode."""
    paced, _, clock = make_paced([5, 30, 1, 90])

    with paced:
        assert (paced.is_live, paced.fps, paced.resolution, paced.name) == (True, 10.0, (64, 48), "slow")
        frames = []
        for frame in paced:
            assert frame.captured_ns == pytest.approx(clock.ns, abs=2)  # due now, not when it was decoded
            frames.append(frame)

    assert gaps_ms(frames) == [100.0, 100.0, 100.0]
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3]


def test_another_pace_can_be_asked_for() -> None:
    """And pictures, which have none of their own, need one."""
    paced, _, _ = make_paced([0, 0, 0], fps=4.0, source_fps=None)

    with paced:
        assert paced.fps == 4.0
        assert gaps_ms(list(paced)) == [250.0, 250.0]


def test_a_source_without_a_pace_is_refused_and_left() -> None:
    """What was opened is closed again."""
    paced, source, _ = make_paced([0], source_fps=None)

    with pytest.raises(ConfigError, match="--realtime: slow has no frame rate"):
        paced.__enter__()

    assert source.entered == 0


def test_a_late_frame_starts_the_pace_anew() -> None:
    """A backlog would be latency that grows for ever; one hiccup is no news."""
    paced, _, _ = make_paced([0, 10, 350, 10, 10])

    with paced:
        frames = list(paced)

    assert gaps_ms(frames) == [100.0, 350.0, 100.0, 100.0]


def test_a_source_that_is_always_too_slow_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """Otherwise everybody believes the rate on the label."""
    paced, _, _ = make_paced([250] * 40)

    with caplog.at_level(logging.WARNING), paced:
        assert len(list(paced)) == 40

    assert [record.message for record in caplog.records] == ["source slower than its pace name=slow fps=10.0"]


def test_a_single_hiccup_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    """The scene needs longer for the first frame after a cut."""
    paced, _, _ = make_paced(([0] * 5 + [250]) * 20)

    with caplog.at_level(logging.WARNING), paced:
        list(paced)

    assert caplog.text == ""


def test_closing_ends_the_wait_at_once_and_entering_begins_anew() -> None:
    """Nobody waits an hour for the next frame of a time-lapse to stop the program."""
    clock = Clock()
    paced = PacedSource(Slow(clock, [0, 0, 0], fps=1 / 3600))
    seen: list[Frame] = []
    first = threading.Event()

    def play() -> None:
        with paced:
            for frame in paced:
                seen.append(frame)
                first.set()

    player = threading.Thread(target=play)
    player.start()
    assert first.wait(10)
    paced.close()
    player.join(10)

    assert not player.is_alive()
    assert len(seen) == 1
    with paced:
        assert next(iter(paced)).sequence == 0


def test_closing_between_two_frames_ends_the_iteration() -> None:
    """Also when no wait is under way."""
    paced, _, _ = make_paced([0, 300, 300])

    with paced:
        frames = iter(paced)
        next(frames)
        paced.close()
        assert list(frames) == []


def test_a_drawn_scene_keeps_its_truth() -> None:
    """Whoever measures with it needs the one and the other."""
    clock = Clock()
    paced = PacedSource(SceneSource((64, 64), frames=2), clock=clock, wait=waiting(clock))

    with paced:
        frames = list(paced)

    assert all(isinstance(frame, SceneFrame) for frame in frames)
    assert frames[1].captured_ns - frames[0].captured_ns == pytest.approx(1e9 / 30, abs=2)
    assert frames[0].truth is not None
