"""When a disk will be full, from how it filled so far."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.filling import (
    FARTHEST_S,
    LEARN_S,
    MAX_READINGS,
    READ_EVERY_S,
    TREND_S,
    Trend,
    full_in_s,
)

HOUR_S = 3_600.0
STEP_S = 300.0


def steady(*, free: float, per_hour: float, hours: float = 6) -> list[tuple[float, float]]:
    """Make the readings of a disk that loses so much each hour and now has `free` left."""
    count = round(hours * HOUR_S / STEP_S)
    return [
        (STEP_S * step, free + per_hour * (count - step) * STEP_S / HOUR_S)
        for step in range(count + 1)
    ]


def test_steady_growth_leads_to_the_end():
    """100 GB that shrink by 5 GB an hour last 20 hours."""
    assert 20 * HOUR_S == full_in_s(steady(free=100.0, per_hour=5.0))


def test_a_disk_that_does_not_fill_lasts_as_long_as_anybody_asks():
    """No growth, or less and less in use: 30 days, the farthest that is predicted."""
    assert FARTHEST_S == full_in_s(steady(free=100.0, per_hour=0.0))
    assert FARTHEST_S == full_in_s(steady(free=100.0, per_hour=-5.0))
    assert FARTHEST_S == full_in_s(steady(free=100.0, per_hour=0.001))


def test_one_large_file_is_no_trend():
    """A dump written at once an hour ago says nothing of the hours ahead."""
    readings = [(at, 100.0 if at < 5 * HOUR_S else 60.0) for at, _ in steady(free=1, per_hour=0)]

    assert FARTHEST_S == full_in_s(readings)


def test_the_first_hour_has_no_trend():
    """Less than an hour of readings would cry wolf at each deploy."""
    assert full_in_s([]) is None
    assert full_in_s([(0.0, 100.0)]) is None
    assert full_in_s(steady(free=100.0, per_hour=50.0, hours=0.9)) is None
    assert 2 * HOUR_S == full_in_s(steady(free=100.0, per_hour=50.0, hours=LEARN_S / HOUR_S))


def test_only_the_last_six_hours_count():
    """What filled the disk yesterday, and stopped, is over."""
    yesterday = [(at - 86_400, 900.0 - at / 60) for at, _ in steady(free=1, per_hour=0)]

    assert FARTHEST_S == full_in_s([*yesterday, *steady(free=100.0, per_hour=0.0)])
    assert 6 * HOUR_S == TREND_S


def test_a_full_disk_is_full_now():
    """Nothing left, still growing: now."""
    assert full_in_s(steady(free=0.0, per_hour=5.0)) == 0.0


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e9, allow_nan=False),
            st.floats(0, 1e15, allow_nan=False),
        ),
        max_size=30,
    )
)
def test_any_readings_give_a_time_that_can_be_shown(readings):
    """Between now and 30 days, or nothing, whatever was read."""
    found = full_in_s(sorted(readings))

    assert found is None or 0 <= found <= FARTHEST_S


def test_a_trend_is_read_each_five_minutes():
    """What is told between two readings follows from those before; the first hour has none."""
    trend = Trend()
    told = [trend.full_in_s(100.0 - at / HOUR_S, now=at) for at in range(0, 3_601, 60)]

    assert [None] * 60 == told[:60]
    assert told[60] == pytest.approx(99 * HOUR_S)


def test_a_trend_has_no_more_readings_than_it_looks_back():
    """What was noted more than six hours ago is gone."""
    trend = Trend()
    for step in range(MAX_READINGS + 50):
        trend.full_in_s(1_000.0 - step, now=step * READ_EVERY_S)

    assert MAX_READINGS == len(trend._readings)


def test_a_clock_set_back_begins_a_trend_anew():
    """Readings of a time that has not come yet are worth nothing."""
    trend = Trend()
    for step in range(20):
        trend.full_in_s(1_000.0 - step, now=10_000 + step * READ_EVERY_S)

    assert trend.full_in_s(900.0, now=9_000.0) is None
    assert trend.full_in_s(900.0, now=9_000.0 + LEARN_S) == FARTHEST_S
