"""The UTC day."""

from __future__ import annotations

import pytest

from edge_runtime.storage.calendar import Calendar


@pytest.fixture
def calendar(clock):
    return Calendar(wall_clock=clock.wall, clock=clock.now_ns)


def test_a_new_day_begins_at_midnight_utc(clock, calendar):
    """Budgets and files are by day."""
    clock.pass_s(12 * 3600 - 1)
    assert calendar.day() == 0
    clock.pass_s(1)
    assert calendar.day() == 1
    clock.pass_s(24 * 3600)
    assert calendar.day() == 2


@pytest.mark.parametrize("year", [1970, 2046])
def test_a_clock_set_by_years_is_one_new_day(clock, calendar, year):
    """Not thousands of them."""
    clock.set_to(year)
    assert [calendar.day() for _ in range(5)] == [1] * 5


def test_a_clock_that_jumps_to_and_fro_makes_few_days(clock, calendar):
    """Each would be a new file and a new budget."""
    for number in range(1000):
        clock.set_to((1970, 2026, 2046)[number % 3])
        clock.pass_s(1)
        calendar.day()
    assert calendar.day() == 1
    clock.set_to(2046)
    clock.pass_s(3600)
    assert calendar.day() == 2
