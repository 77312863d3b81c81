"""Every result to every output; the ends of whole runs are tested with the pipeline."""

from __future__ import annotations

import threading

import pytest

from edge_runtime.errors import OutputError
from edge_runtime.outputs.delivery import Delivered, Delivery
from edge_runtime.result import StateChange


class Kept:
    """An output that keeps what it gets, and fails from a certain result on."""

    def __init__(self, name, *, needs_drawing=False, fails_at=None):
        self.name, self.needs_drawing = name, needs_drawing
        self.fails_at = fails_at
        self.written, self.states = [], []
        self.is_told = threading.Event()

    def open(self):
        pass

    def write(self, result, drawn):
        if result.frame.sequence == self.fails_at:
            raise OutputError(f"{self.name}: full")
        self.written.append((result.frame.sequence, drawn))

    def write_state(self, change):
        self.states.append((change.part, change.after))
        self.is_told.set()

    def close(self):
        pass


def deliver(outputs, results, *, is_live=False, all_failed=lambda: None):
    """Return the delivery after these results and its end; the pictures are texts."""
    delivery = Delivery(outputs, is_live=is_live, on_all_failed=all_failed)
    delivery.open()
    for result in results:
        delivery.offer(result, "drawn")
    delivery.finish()
    for thread in delivery.start():
        thread.join(10)
    return delivery


def test_pictures_go_to_those_who_look(make_result):
    """The others keep no megabytes alive for nothing."""
    looking, blind = Kept("looking", needs_drawing=True), Kept("blind")
    deliver([looking, blind], [make_result(0)])
    assert (looking.written, blind.written) == ([(0, "drawn")], [(0, None)])


def test_nobody_looks_any_more_when_those_who_did_have_failed(make_result):
    """Drawing costs milliseconds a frame."""
    delivery = deliver([Kept("looking", needs_drawing=True, fails_at=1), Kept("blind")], map(make_result, range(3)))
    assert not delivery.needs_drawing
    assert deliver([Kept("looking", needs_drawing=True)], []).needs_drawing


def test_a_failure_is_told_to_the_others_and_counted(make_result):
    """Their logs say why the video ends there."""
    ended = []
    failing, other = Kept("failing", fails_at=2), Kept("other")
    delivery = Delivery([failing, other], is_live=False, on_all_failed=lambda: ended.append(True))
    delivery.open()
    for number in range(4):
        delivery.offer(make_result(number), None)
    threads = delivery.start()
    assert other.is_told.wait(10)
    delivery.finish()
    for thread in threads:
        thread.join(10)
    assert delivery.ends(4) == (Delivered("failing", 2, 2, True), Delivered("other", 4, 0, False))
    assert other.states == [("output:failing", "failed")]
    assert ended == []


def test_the_last_one_that_fails_ends_the_run(make_result):
    """Nobody would see what is found."""
    ended = []
    deliver([Kept("only", fails_at=0)], [make_result(0)], all_failed=lambda: ended.append(True))
    assert ended == [True]


class Recovers(Kept):
    """An output with states of its own: it lost two results, and tells of it."""

    lost = 2
    is_failing = True

    def watch(self, tell, *, keeps_trying):
        self.tell, self.keeps_trying = tell, keeps_trying

    def write(self, result, drawn):
        super().write(result, drawn)
        if result.frame.sequence == 1:
            self.tell(StateChange("output:own", "ok", "failed", "full", 0.0))


@pytest.mark.parametrize("is_live", [True, False])
def test_an_output_that_recovers_by_itself_tells_all_and_its_losses_are_counted(make_result, is_live):
    """Its own file says why lines are missing there; and the end does not claim them."""
    own, other = Recovers("own"), Kept("other")
    delivery = Delivery([own, other], is_live=is_live, on_all_failed=lambda: None)
    delivery.open()
    assert own.keeps_trying is is_live
    for number in range(4):
        delivery.offer(make_result(number), None)
    threads = delivery.start()
    assert own.is_told.wait(10)
    assert other.is_told.wait(10)
    delivery.finish()
    for thread in threads:
        thread.join(10)
    assert own.states == other.states == [("output:own", "failed")]
    assert delivery.ends(4) == (Delivered("own", 2, 2, True), Delivered("other", 4, 0, False))


@pytest.mark.parametrize(("is_looking", "level"), [(True, "INFO"), (False, "WARNING")])
def test_results_that_a_slow_output_had_no_time_for_are_said(make_result, caplog, is_looking, level):
    """A picture passed over is how a live video should be; a line missing in a log is not."""
    caplog.set_level("INFO", logger="edge_runtime")
    count = 300  # more than any queue holds
    delivery = deliver([Kept("slow", needs_drawing=is_looking)], map(make_result, range(count)), is_live=True)
    (end,) = delivery.ends(count)
    assert end.lost == count - end.written > 0
    assert not end.has_failed
    assert [record.levelname for record in caplog.records if "results lost output=slow" in record.message] == [level]
