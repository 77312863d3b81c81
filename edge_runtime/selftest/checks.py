"""The checks: what was seen against what is known, each with its figure and its limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.capture.sprites import SHAPES
from edge_runtime.selftest.colours import red_blue_order
from edge_runtime.selftest.frames import Shown
from edge_runtime.selftest.sighting import Seen, Sighting
from edge_runtime.vision.boxes import iou

PASS, FAIL, NOTE, UNKNOWN = "pass", "fail", "note", "unknown"
LEAST_IOU = 0.5
LEAST_RECALL = 0.8
LEAST_CARD_RECALL = 0.65
"""Of the card before a camera: it may be far away or askew, and four of its six shapes are enough to look at it."""
LEAST_ORDER = 0.2
MOST_DEGREES = 45.0
_TURNS = ("upright", "turned by 90 degrees clockwise", "upside down", "turned by 90 degrees anticlockwise")
_UPRIGHT = (False, 0)


@dataclass(frozen=True, slots=True)
class Check:
    """One answer of the self-test."""

    name: str
    status: str  # PASS, FAIL, NOTE (worth knowing, no failure) or UNKNOWN (there was nothing to measure)
    figure: float | None
    limit: float
    said: str  # what the figure means
    advice: str = ""  # what to do where it did not pass


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One picture and what came of it."""

    shown: Shown
    image_wh: tuple[int, int]
    seen: Seen
    sighting: Sighting | None


def orientation_of(looks: Sequence[Look]) -> tuple[bool, int]:
    """Return how the card is seen most often: mirrored or not, and how many quarter turns clockwise after that."""
    counts = Counter((one.sighting.is_mirrored, one.sighting.quarter_turns) for one in looks if one.sighting)
    return counts.most_common(1)[0][0] if counts else _UPRIGHT


def check_recall(looks: Sequence[Look]) -> Check:
    """Return how many of the shapes were found, with the right name at IoU 0.5.

    Drawn scenes have their own truth; before a camera it is the card, once it is known where that is. Truth is turned
    as the card is seen: a mirrored picture is the affair of another check.
    """
    mirrored, turns = orientation_of(looks)
    hits = total = 0
    for look in looks:
        expected = _expected(look, mirrored=mirrored, turns=turns)
        if expected is not None:
            hits += count_hits(look.seen, *expected)
            total += len(expected[1])
    limit = LEAST_RECALL if any(one.shown.truth is not None for one in looks) else LEAST_CARD_RECALL
    if not total:
        return Check("recall", UNKNOWN, None, limit, *_no_card(looks))
    recall = round(hits / total, 4)
    said = f"{hits} of {total} shapes found, box and name right"
    if recall >= limit:
        return Check("recall", PASS, recall, limit, said)
    advice = "use a model made for the shapes, with its labels in order, and no high --threshold"
    return Check("recall", FAIL, recall, limit, said, advice)


def _expected(look: Look, *, mirrored: bool, turns: int) -> tuple[NDArray[np.float32], NDArray[np.int32]] | None:
    """Return the boxes and shapes that this picture shows; None where it counts for nothing."""
    truth = look.shown.truth
    if truth is not None:
        boxes = turned(truth.boxes / np.tile(look.shown.truth_wh, 2), mirrored=mirrored, turns=turns)
        pixels = (boxes * np.tile(look.image_wh, 2)).astype(np.float32)
        return None if look.shown.is_card else (pixels, truth.class_ids)
    if look.sighting is None:
        return None
    return look.sighting.expected_boxes(look.seen.boxes), np.arange(len(SHAPES), dtype=np.int32)


def count_hits(seen: Seen, boxes: NDArray[np.float32], shapes: NDArray[np.int32]) -> int:
    """Return how many of these boxes (n, 4) were found with their shape (n,); each finding counts for one of them."""
    overlaps = iou(boxes, seen.boxes) * (shapes[:, None] == seen.shapes)
    hits = 0
    while overlaps.size and overlaps.max() >= LEAST_IOU:
        row, column = np.unravel_index(np.argmax(overlaps), overlaps.shape)
        overlaps[row], overlaps[:, column] = 0, 0
        hits += 1
    return hits


def turned(boxes_norm: NDArray[np.float32], *, mirrored: bool, turns: int) -> NDArray[np.float64]:
    """Return boxes (n, 4) xyxy in 0 to 1 as they are in a picture first mirrored, then turned clockwise by quarters."""
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[turns]
    spin = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([-1 if mirrored else 1, 1])
    one, other = ((boxes_norm[:, at : at + 2] - 0.5) @ spin.T + 0.5 for at in (0, 2))
    return np.concatenate([np.minimum(one, other), np.maximum(one, other)], axis=1)


def check_orientation(looks: Sequence[Look]) -> Check:
    """Return whether the card is seen upright and not mirrored."""
    sightings = [one.sighting for one in looks if one.sighting]
    if not sightings:
        return Check("orientation", UNKNOWN, None, MOST_DEGREES, *_no_card(looks))
    mirrored, turns = orientation_of(looks)
    agreeing = [one for one in sightings if (one.is_mirrored, one.quarter_turns) == (mirrored, turns)]
    angles = np.radians([one.angle_degrees for one in agreeing])
    angle = round(float(np.degrees(np.arctan2(np.sin(angles).mean(), np.cos(angles).mean()))), 1)
    said = ("mirrored, " if mirrored else "") + _TURNS[turns]
    if (mirrored, turns) == _UPRIGHT:
        return Check("orientation", PASS, angle, MOST_DEGREES, f"degrees clockwise; {said}, not mirrored")
    advice = "hold the card this side up; if it is, turn the camera, or set its flip and rotation in the driver"
    return Check("orientation", FAIL, angle, MOST_DEGREES, f"degrees clockwise; {said}", advice)


def check_source_colours(looks: Sequence[Look]) -> Check:
    """Return whether the red shapes of the card are red, and the blue ones blue."""
    orders = [
        order
        for one in looks
        if one.sighting
        and (order := red_blue_order(one.seen.colours[one.sighting.rows], one.sighting.places)) is not None
    ]
    if not orders:
        return Check("source colours", UNKNOWN, None, LEAST_ORDER, *_no_card(looks))
    order = round(float(np.mean(orders)), 4)
    if order >= LEAST_ORDER:
        return Check("source colours", PASS, order, LEAST_ORDER, "red is red, blue is blue")
    said = "red and blue are swapped" if order <= -LEAST_ORDER else "red and blue can hardly be told apart"
    advice = "a source of your own must give BGR; the card wants white light and a print in full colours"
    return Check("source colours", FAIL, order, LEAST_ORDER, said, advice)


def check_input_colours(channel: int | None, color: str) -> Check:
    """Return whether a red picture arrives in the channel that the model's description says."""
    expected = color.index("r")
    if channel == expected:
        said = f"red arrives in channel {channel} of the model's input ({color})"
        return Check("input colours", PASS, channel, expected, said)
    where = "in no single channel" if channel is None else f"in channel {channel}"
    said = f"red arrives {where} of the model's input, not in {expected} ({color})"
    return Check("input colours", FAIL, channel, expected, said, "this is a defect of edge-runtime, please report it")


def check_latency(times_ms: Sequence[float], interval_ms: float, max_latency_ms: float | None) -> Check:
    """Return whether the model keeps up: p95 of the time from picture to detections.

    Args:
        times_ms: of each picture.
        interval_ms: between two frames of the source; slower than that is worth a note.
        max_latency_ms: slower than that is a failure; None for none.
    """
    limit = round(interval_ms if max_latency_ms is None else max_latency_ms, 2)
    p95 = round(float(np.percentile(times_ms, 95)), 3)
    said = "p95 in ms, from picture to detections"
    if p95 <= limit:
        return Check("latency", PASS, p95, limit, said)
    if max_latency_ms is None:
        return Check("latency", NOTE, p95, limit, said, "slower than the source: a run drops frames to keep up")
    advice = "end what else runs on the board, try --num-threads, or take a smaller model"
    return Check("latency", FAIL, p95, limit, said, advice)


def _no_card(looks: Sequence[Look]) -> tuple[str, str]:
    """Return what to say and what to do where no picture showed the card."""
    best = max((len(set(one.seen.shapes.tolist()) - {-1}) for one in looks), default=0)
    said = f"the test card was not seen, at best {best} of its {len(SHAPES)} shapes"
    if any(one.shown.is_card for one in looks):
        return said, "the model finds too little for the other checks; see to recall first"
    return said, (
        "print the card with --print-card card.pdf and hold it upright and flat before the camera, 30 to 40 cm away, "
        "without glare, for some seconds"
    )
