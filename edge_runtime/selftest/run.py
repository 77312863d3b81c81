"""The self-test from pictures to a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge_runtime.capture import FrameSource
from edge_runtime.capture.sprites import SHAPES
from edge_runtime.clock import NS_PER_MS, now_ns
from edge_runtime.detections import Detections
from edge_runtime.detector import Detector
from edge_runtime.errors import CaptureError, ModelError
from edge_runtime.selftest import checks
from edge_runtime.selftest.checks import Check, Look
from edge_runtime.selftest.colours import measure, red_channel
from edge_runtime.selftest.frames import Shown
from edge_runtime.selftest.sighting import Seen, find_card

ENOUGH = 10
"""Pictures with the card after which a source has been watched long enough."""
_WARM_UP = 3


@dataclass(frozen=True, slots=True)
class Report:
    """What the self-test has to say."""

    pictures: int
    cards_seen: int
    checks: tuple[Check, ...]

    @property
    def has_passed(self) -> bool:
        """Whether nothing failed and nothing was left open."""
        return all(one.status in (checks.PASS, checks.NOTE) for one in self.checks)

    def record(self) -> dict[str, Any]:
        """Return the same for JSON."""
        listed = [asdict(one) for one in self.checks]
        return {"passed": self.has_passed, "pictures": self.pictures, "cards_seen": self.cards_seen, "checks": listed}


def run_selftest(
    detector: Detector,
    pictures: Iterable[Shown],
    *,
    interval_ms: float,
    max_latency_ms: float | None = None,
    enough: int | None = None,
    clock: Callable[[], int] = now_ns,
) -> Report:
    """Return the report on a detector and the pictures it is shown.

    Args:
        detector: its labels must name the shapes.
        pictures: with truth, or without it the test card before a camera.
        interval_ms: between two frames of the source.
        max_latency_ms: p95 above which the self-test fails; None only notes what is slower than the source.
        enough: stop after so many sightings of the card; None looks at all pictures.
        clock: monotonic nanoseconds.

    Raises:
        ModelError: the model knows none of the shapes.
        CaptureError: no picture came, or the source was lost.
        InvokeError: the engine failed.
    """
    require_shapes(detector)
    channel = red_channel(detector)
    looks: list[Look] = []
    times_ms: list[float] = []
    cards = 0
    for shown in pictures:
        if not looks:
            for _ in range(_WARM_UP):
                detector.detect(shown.image)
        start = clock()
        found = detector.detect(shown.image)
        times_ms.append((clock() - start) / NS_PER_MS)
        looks.append(_look(shown, found, detector))
        cards += looks[-1].sighting is not None
        if enough is not None and cards >= enough:
            break
    if not looks:
        raise CaptureError("selftest: the source gave no picture; give another --source")
    results = (
        checks.check_recall(looks),
        checks.check_source_colours(looks),
        checks.check_input_colours(channel, detector.spec.color),
        checks.check_orientation(looks),
        checks.check_latency(times_ms, interval_ms, max_latency_ms),
    )
    return Report(len(looks), cards, results)


def require_shapes(detector: Detector) -> None:
    """Raise ModelError where the model's labels name none of the shapes."""
    names = detector.spec.labels.names if detector.spec.labels else ()
    if not {(name or "").casefold() for name in names} & set(SHAPES):
        raise ModelError(
            f"selftest: the model's labels name none of {', '.join(SHAPES)}; leave --model out to test with the "
            "bundled model, or give one that finds these shapes"
        )


def watched(source: FrameSource, frames: int) -> Iterator[Shown]:
    """Yield at most so many pictures of a source whose truth nobody knows; the source must be open."""
    for number, frame in enumerate(source, 1):
        yield Shown(frame.image)
        del frame  # its memory is free for the next one
        if number >= frames:
            return


def _look(shown: Shown, found: Detections, detector: Detector) -> Look:
    names = [name.casefold() for name in detector.names_of(found)]
    shapes = np.array([SHAPES.index(name) if name in SHAPES else -1 for name in names], np.intp)
    seen = Seen(found.boxes, shapes, measure(shown.image, found.boxes))
    height, width = shown.image.shape[:2]
    # Nobody holds the card into a drawn scene, so what looks like one there is chance.
    hides_card = shown.truth is not None and not shown.is_card
    sighting = None if hides_card else find_card(seen)
    # The picture itself has been measured: a camera's would fill the memory.
    kept = Shown(shown.image[:0].copy(), shown.truth, shown.truth_wh, shown.is_card)
    return Look(kept, (width, height), seen, sighting)
