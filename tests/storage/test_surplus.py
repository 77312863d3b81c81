"""Which files go when a budget is full."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.storage.limits import Limits
from edge_runtime.storage.names import DAY_S, Kept
from edge_runtime.storage.surplus import MOST_AT_ONCE, surplus, take_stock

TODAY = 20_000


def kept(date, size_bytes=10, number=0):
    return Kept((date * DAY_S + 60, number), Path(f"/data/{date}-{number}"), size_bytes)


def names(files, limits, *, today=TODAY, live_bytes=0, missing_bytes=0):
    now_s = today * DAY_S + 100.0
    found = surplus(take_stock(files, now_s), limits, live_bytes=live_bytes, missing_bytes=missing_bytes, now_s=now_s)
    return [one.path.name for one in found]


def test_without_a_limit_everything_stays():
    assert names([kept(1), kept(2)], Limits()) == []


def test_the_oldest_go_first_until_the_budget_holds_with_something_to_spare():
    """A folder that is exactly full would be read again with the next picture."""
    files = [kept(TODAY - day, 10) for day in range(10)]
    assert names(files, Limits(max_bytes=100), live_bytes=1) == [f"{TODAY - 9}-0"]
    assert names(files, Limits(max_bytes=100)) == []
    assert len(names(files, Limits(max_bytes=50), live_bytes=10)) == 7


def test_files_of_one_second_go_in_their_order():
    files = [kept(TODAY, 10, number) for number in (2, 0, 1)]
    assert names(files, Limits(max_bytes=20)) == [f"{TODAY}-0", f"{TODAY}-1"]


def test_files_older_than_so_many_days_go():
    files = [kept(TODAY - day) for day in range(10)]
    assert names(files, Limits(keep_days=3)) == [f"{TODAY - day}-0" for day in range(9, 3, -1)]


@pytest.mark.parametrize("today", [0, TODAY + 20 * 365])
def test_a_clock_years_off_does_not_delete_what_the_last_days_recorded(today):
    """A board without a clock starts in 1970, a broken one in 2046."""
    files = [kept(TODAY - day) for day in range(3)]
    assert names(files, Limits(keep_days=3), today=today) == []
    assert names([*files, kept(today)], Limits(keep_days=3), today=today) in ([], [f"{TODAY - 2}-0"])


def test_files_of_a_future_that_never_was_are_the_oldest():
    """They were written before the clock was set right."""
    files = [kept(TODAY - 1), kept(TODAY), kept(TODAY + 7000)]
    assert names(files, Limits(max_bytes=25)) == [f"{TODAY + 7000}-0"]


def test_a_disk_that_lacks_room_gets_what_it_lacks():
    files = [kept(TODAY - day, 10) for day in range(5)]
    assert names(files, Limits(), missing_bytes=15) == [f"{TODAY - 4}-0", f"{TODAY - 3}-0"]


def test_of_a_folder_without_end_only_the_oldest_lie_in_memory():
    files = [kept(TODAY, 1, number) for number in range(MOST_AT_ONCE * 2)]
    stock = take_stock(reversed(files), TODAY * DAY_S)
    assert stock.oldest == tuple(files[:MOST_AT_ONCE])
    assert stock.size_bytes == MOST_AT_ONCE * 2


files_of_any_time = st.lists(
    st.builds(kept, st.integers(0, 2 * TODAY), st.integers(0, 1000), st.integers(0, 5)), max_size=30
)


@given(files_of_any_time, st.integers(0, 20_000), st.integers(1, 50), st.integers(0, 2 * TODAY))
def test_whatever_the_clock_says_no_more_goes_than_the_limits_ask(files, max_bytes, keep_days, today):
    """The newest days stay for keep_days, and the budget takes only what is too much."""
    files = list({one.path: one for one in files}.values())
    dates = sorted({one.order[0] // DAY_S for one in files})
    by_age = names(files, Limits(keep_days=keep_days), today=today)
    gone = {int(name.split("-")[0]) for name in by_age}
    assert gone.isdisjoint(dates[-keep_days:])
    by_size = names(files, Limits(max_bytes=max_bytes), today=today)
    sizes = {one.path.name: one.size_bytes for one in files}
    total = sum(sizes.values())
    left = total - sum(sizes[name] for name in by_size)
    assert left <= max(max_bytes, 0)
    if by_size:
        assert total > max_bytes
        assert left + sizes[by_size[-1]] > int(max_bytes * 0.95)
