"""The self-test on a detector with one fault: that check fails, and no other."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from edge_runtime.capture.sprites import SHAPES
from edge_runtime.detector import input_format
from edge_runtime.errors import CaptureError, ModelError
from edge_runtime.model.labels import Labels
from edge_runtime.selftest.frames import Shown, shown_card
from edge_runtime.selftest.run import ENOUGH, Report, run_selftest
from edge_runtime.vision.preprocess import Preprocessor
from tests.selftest.oracle import SPEC, Oracle, moved, taught

ALL_PASS = {
    "recall": "pass", "source colours": "pass", "input colours": "pass", "orientation": "pass", "latency": "pass",
}  # fmt: skip


def examine(oracle: Oracle, pictures: Iterable[Shown], *, step_ms: float = 5.0, **options: object) -> Report:
    """Run the self-test with a clock that says each picture took so long."""
    ticks = itertools.count()
    settings = {"interval_ms": 1000 / 30, "clock": lambda: round(next(ticks) * step_ms * 1e6), **options}
    return run_selftest(oracle.detector, pictures, **settings)  # type: ignore[arg-type]


def statuses(report: Report) -> dict[str, str]:
    return {one.name: one.status for one in report.checks}


def figure(report: Report, name: str) -> float | None:
    [check] = [one for one in report.checks if one.name == name]
    return check.figure


def as_camera_shows(pictures: Iterable[Shown]) -> list[Shown]:
    """Return pictures of the card, without their truth: nobody knows it before a camera."""
    return [replace(one, truth=None, is_card=False) for one in pictures if one.is_card]


def test_a_sound_detector_passes_with_every_shape_found(pictures: list[Shown]) -> None:
    """Otherwise no failure below says anything."""
    oracle, known = taught(pictures)
    report = examine(oracle, known)
    assert statuses(report) == ALL_PASS
    assert report.has_passed
    assert (report.pictures, report.cards_seen) == (20, 4)
    assert figure(report, "recall") == 1.0
    assert figure(report, "source colours") == pytest.approx(0.85, abs=0.1)
    assert abs(figure(report, "orientation") or 0) < 15


@pytest.mark.parametrize("is_nchw", [False, True])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_every_kind_of_input_passes(pictures: list[Shown], dtype: str, color: str, is_nchw: bool) -> None:
    """Which channel is red depends on the model; one that wants BGR is not broken."""
    scaling = {"mean": (127.5, 127.5, 127.5), "std": (127.5, 127.5, 127.5)} if dtype == "float32" else {}
    oracle, known = taught(pictures, dtype=dtype, spec=replace(SPEC, color=color, is_nchw=is_nchw, **scaling))
    assert statuses(examine(oracle, known)) == ALL_PASS


@pytest.mark.parametrize(("mirrored", "turns"), [(False, 2), (False, 1), (False, 3), (True, 0), (True, 2), (True, 1)])
@pytest.mark.parametrize("camera", [False, True])
def test_a_mirrored_or_turned_picture_fails_the_orientation_alone(
    pictures: list[Shown], camera: bool, mirrored: bool, turns: int
) -> None:
    """A camera mounted upside down, or one that shows a mirror image, finds shapes as well as ever."""
    oracle, known = Oracle(), []
    for one in pictures:
        wrong, truth = moved(one, mirrored=mirrored, turns=turns)
        known.append(oracle.learn(wrong, truth))
    report = examine(oracle, as_camera_shows(known) if camera else known)
    assert statuses(report) == {**ALL_PASS, "orientation": "fail"}
    assert figure(report, "recall") == pytest.approx(1.0, abs=0.05)
    [check] = [one for one in report.checks if one.name == "orientation"]
    assert ("mirrored, " in check.said) == mirrored
    turn = ("upright", "90 degrees clockwise", "upside down", "90 degrees anticlockwise")[turns]
    assert turn in check.said


@pytest.mark.parametrize("camera", [False, True])
def test_red_and_blue_swapped_by_the_source_fail_its_colours_alone(pictures: list[Shown], camera: bool) -> None:
    """The commonest mistake of all: a picture in RGB where BGR was meant. Shapes are found all the same."""
    swapped = [replace(one, image=np.ascontiguousarray(one.image[..., ::-1])) for one in pictures]
    oracle, known = taught(swapped)
    report = examine(oracle, as_camera_shows(known) if camera else known)
    assert statuses(report) == {**ALL_PASS, "source colours": "fail"}
    assert (figure(report, "source colours") or 0) < -0.7


def test_red_and_blue_swapped_on_the_way_into_the_model_fail_that_check_alone(pictures: list[Shown]) -> None:
    """A model loses accuracy by it and nothing else tells."""
    oracle = Oracle()
    wanted = input_format(oracle.detector.backend.inputs[0], SPEC)
    oracle.detector._preprocessor = Preprocessor(replace(wanted, color="bgr"))
    report = examine(oracle, [oracle.learn(one) for one in pictures])
    assert statuses(report) == {**ALL_PASS, "input colours": "fail"}
    assert figure(report, "input colours") == 2


@pytest.mark.parametrize("names", [SHAPES[1:] + SHAPES[:1], SHAPES[::-1]], ids=["shifted", "reversed"])
@pytest.mark.parametrize("camera", [False, True])
def test_wrong_labels_fail_the_recall_alone(pictures: list[Shown], names: tuple[str, ...], camera: bool) -> None:
    """The card is then known by its colours, or its orientation would seem wrong as well."""
    oracle, known = taught(pictures, spec=replace(SPEC, labels=Labels(names)))
    report = examine(oracle, as_camera_shows(known) if camera else known)
    assert statuses(report) == {**ALL_PASS, "recall": "fail"}


def test_a_model_that_finds_nothing_fails_the_recall_and_leaves_the_others_open(pictures: list[Shown]) -> None:
    """What could not be looked at is neither right nor wrong; the whole has not passed."""
    report = examine(Oracle(), pictures)
    assert statuses(report) == {
        **ALL_PASS, "recall": "fail", "source colours": "unknown", "orientation": "unknown",
    }  # fmt: skip
    assert not report.has_passed
    assert figure(report, "recall") == 0


def test_boxes_beside_the_shapes_fail_the_recall(pictures: list[Shown]) -> None:
    """A decoder with a wrong scale names everything rightly."""
    oracle = Oracle()
    for one in pictures:
        assert one.truth is not None
        oracle.learn(one, replace(one.truth, boxes=one.truth.boxes * np.float32(0.5)))
    assert statuses(examine(oracle, pictures))["recall"] == "fail"


def test_slow_is_a_note_until_a_limit_is_given(pictures: list[Shown]) -> None:
    """A board that drops frames does what it should; who needs more says how much."""
    oracle, known = taught(pictures)
    slow = examine(oracle, known, step_ms=50.0)
    assert statuses(slow) == {**ALL_PASS, "latency": "note"}
    assert slow.has_passed
    assert figure(slow, "latency") == pytest.approx(50)
    limited = examine(oracle, known, step_ms=50.0, max_latency_ms=40.0)
    assert statuses(limited) == {**ALL_PASS, "latency": "fail"}
    assert not limited.has_passed


def test_a_source_without_the_card_says_what_to_do(pictures: list[Shown]) -> None:
    empty = [Shown(np.zeros((48, 64, 3), np.uint8))] * 3
    report = examine(Oracle(), empty)
    assert statuses(report) == {
        **ALL_PASS, "recall": "unknown", "source colours": "unknown", "orientation": "unknown",
    }  # fmt: skip
    [advice] = {one.advice for one in report.checks if one.status == "unknown"}
    assert "--print-card" in advice


def test_a_source_is_left_when_the_card_was_seen_often_enough() -> None:
    """Nobody wants to hold a card for longer than it takes; a camera never ends by itself."""
    oracle, rng = Oracle(), np.random.default_rng(5)
    card = oracle.learn(shown_card((640, 480), rng))
    empty = Shown(np.zeros((480, 640, 3), np.uint8))
    endless = itertools.chain([empty] * 7, itertools.repeat(replace(card, truth=None, is_card=False)))
    report = examine(oracle, endless, enough=ENOUGH)
    assert (report.pictures, report.cards_seen) == (7 + ENOUGH, ENOUGH)
    assert statuses(report) == ALL_PASS


def test_a_model_of_other_things_is_refused(pictures: list[Shown]) -> None:
    """A long list of failures would hide that it is only the wrong model."""
    for labels in (Labels(("person", "car")), None):
        with pytest.raises(ModelError, match="name none of circle"):
            examine(Oracle(spec=replace(SPEC, labels=labels)), pictures)


def test_a_source_without_pictures_is_an_error() -> None:
    with pytest.raises(CaptureError, match="no picture"):
        examine(Oracle(), [])


def test_the_backend_is_given_back_after_the_colours_were_looked_at(pictures: list[Shown]) -> None:
    oracle, known = taught(pictures)
    before = oracle.detector.backend
    examine(oracle, known)
    assert oracle.detector.backend is before
