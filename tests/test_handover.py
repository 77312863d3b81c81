"""Passing items between threads."""

from __future__ import annotations

import threading

import pytest

from edge_runtime.handover import Handover


def test_a_full_slot_drops_the_older_frame_and_counts_it() -> None:
    """Real time means the newest frame; a drop that nobody counts is a lie."""
    slot: Handover[int] = Handover(1, newest_wins=True)
    assert [slot.put(1), slot.put(2), slot.put(3)] == [0, 1, 1]
    assert slot.get(0) == 3
    assert slot.get(0) is None


def test_a_blocking_queue_loses_nothing_and_keeps_the_order() -> None:
    """A file is read to its last frame however slow the model is."""
    queue: Handover[int] = Handover(2, newest_wins=False)
    got: list[int] = []

    def read() -> None:
        while (item := queue.get()) is not None:
            got.append(item)

    reader = threading.Thread(target=read)
    reader.start()
    lost = sum(queue.put(item) for item in range(500))
    queue.close()
    reader.join(10)
    assert (lost, got) == (0, list(range(500)))


def test_closing_wakes_a_writer_that_waits_for_room() -> None:
    """A stop must not wait for a reader that will not come."""
    queue: Handover[int] = Handover(1, newest_wins=False)
    queue.put(1)
    lost: list[int] = []
    writer = threading.Thread(target=lambda: lost.append(queue.put(2)))
    writer.start()
    queue.close()
    writer.join(10)
    assert not writer.is_alive()
    assert lost == [1]


def test_what_is_inside_at_closing_is_still_handed_out() -> None:
    """Accepted results get written at the end of a run."""
    queue: Handover[int] = Handover(3, newest_wins=False)
    queue.put(1)
    queue.put(2)
    queue.close()
    assert not queue.is_finished
    assert [queue.get(), queue.get(), queue.get()] == [1, 2, None]
    assert queue.is_finished


def test_discarding_empties_the_queue() -> None:
    """After a stop no frame that was not yet looked at holds up the end."""
    queue: Handover[int] = Handover(3, newest_wins=False)
    queue.put(1)
    assert queue.close(discard=True) == 1
    assert queue.get() is None


def test_room_for_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Handover(0, newest_wins=True)


def test_an_extra_item_waits_for_nobody_and_pushes_nothing_out() -> None:
    """Whoever reports a failure must not be held up by a reader that hangs."""
    for newest_wins in (True, False):
        queue: Handover[int] = Handover(1, newest_wins=newest_wins)
        queue.put(1)
        queue.put_extra(2)
        assert (queue.get(0), queue.get(0)) == (1, 2)


def test_an_extra_item_after_closing_is_not_handed_out() -> None:
    """Its reader has gone."""
    queue: Handover[int] = Handover(1, newest_wins=False)
    queue.close()
    queue.put_extra(1)
    assert queue.is_finished
