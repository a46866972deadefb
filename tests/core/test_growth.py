"""How fast the storage grows, and when it will be full."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.budget import Room
from watchkeeper.core.growth import (
    EVERY_S,
    KEEP_S,
    MAX_POINTS,
    Forecast,
    Limit,
    Point,
    Reason,
    forecast,
    noted,
)

DAY_S = 86_400.0
MB = 1_000_000
BUDGET = 1_000 * MB
NOW = 100 * DAY_S


def grown(per_day: float, *, days: float, last: float = 16 * MB) -> tuple[Point, ...]:
    """Measure each six hours for some days until now."""
    count = int(days * DAY_S / EVERY_S)
    return tuple(
        (NOW - back * EVERY_S, last - per_day * back * EVERY_S / DAY_S)
        for back in range(count, -1, -1)
    )


def told(history: tuple[Point, ...], *, last: float = 16 * MB, **room: int) -> Forecast:
    """Forecast from a history."""
    return forecast(history, Room(stored_bytes=round(last), **room), budget_bytes=BUDGET, now=NOW)


def test_steady_growth_ends_at_the_budget():
    """At 24 MB a day a gigabyte with 16 MB in it is full in 41 days."""
    assert Forecast(
        reason=Reason.GROWING,
        limit=Limit.BUDGET,
        per_day_bytes=pytest.approx(24 * MB),
        full_in_s=pytest.approx(41 * DAY_S),
    ) == told(grown(24 * MB, days=6))


def test_a_disk_with_less_room_ends_first():
    """What the disk has left counts where it is less, with the free pages of the file."""
    found = told(grown(24 * MB, days=6), disk_free_bytes=30 * MB, disk_bytes=BUDGET)

    assert (Limit.DISK, pytest.approx(1.25 * DAY_S)) == (found.limit, found.full_in_s)


@pytest.mark.parametrize("days", [0, 0.25, 0.75])
def test_less_than_a_day_tells_nothing(days: float):
    """The first hours are no trend."""
    assert Forecast(reason=Reason.UNKNOWN, limit=Limit.BUDGET) == told(grown(24 * MB, days=days))
    assert Reason.UNKNOWN is told(()).reason


@pytest.mark.parametrize(
    ("per_day", "reason"),
    [
        (0, Reason.STEADY),
        (0.1 * MB, Reason.STEADY),
        (2 * MB, Reason.STEADY),
        (-0.1 * MB, Reason.STEADY),
        (-5 * MB, Reason.SHRINKING),
    ],
)
def test_no_end_is_named_that_is_years_off(per_day: float, reason: Reason):
    """Slow growth, none, and less than none have no date."""
    found = told(grown(per_day, days=6))

    assert (reason, None) == (found.reason, found.full_in_s)
    assert pytest.approx(per_day, abs=1) == found.per_day_bytes


def test_beyond_the_budget_it_is_full():
    """Whatever the trend, or without one."""
    full = told((), last=1_001 * MB)

    assert (Reason.FULL, 0.0) == (full.reason, full.full_in_s)


def test_one_large_deletion_does_not_turn_the_trend():
    """What a prune took at once is not what a day brings."""
    history = grown(24 * MB, days=6, last=400 * MB)
    cut = (*((at, used + 90 * MB) for at, used in history[:3]), *history[3:])

    found = told(cut, last=400 * MB)

    assert found.per_day_bytes == pytest.approx(24 * MB, rel=0.2)


def test_measurements_are_few_and_young():
    """One each six hours, of a week; what lies ahead after a clock was set back is forgotten."""
    history: tuple[Point, ...] = ((NOW + 99 * DAY_S, 1.0),)
    for minute in range(14 * 24 * 60):
        history = noted(history, at=minute * 60.0, used_bytes=minute)

    assert 28 <= len(history) <= MAX_POINTS
    assert history[-1][0] - history[0][0] <= KEEP_S
    assert all(
        later - earlier == EVERY_S for (earlier, _), (later, _) in itertools.pairwise(history)
    )


@given(
    st.lists(st.tuples(st.floats(0, NOW), st.floats(0, 2e9)), max_size=12),
    st.integers(0, 2 * BUDGET),
)
def test_it_is_never_nonsense(points: list[Point], used: int):
    """An end lies ahead and within 400 days, and comes with growth, whatever was measured."""
    found = told(tuple(sorted(points)), last=used)

    assert (found.reason in {Reason.GROWING, Reason.FULL}) == (found.full_in_s is not None)
    if found.reason is Reason.GROWING:
        assert 0 < (found.full_in_s or 0) <= 400 * DAY_S
        assert (found.per_day_bytes or 0) > 0
