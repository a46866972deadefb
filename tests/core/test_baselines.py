"""The same time in earlier weeks: what was usual, and what is surely more."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.baselines import Baseline, Week, baseline, hours_before
from watchkeeper.core.conditions import Comparison, Measure, Operator, Past, Selector
from watchkeeper.core.hours import HOUR_S
from watchkeeper.core.tallies import Tally

ERRORS = Selector(measure=Measure.ERRORS, metric="")
MORE = Comparison(ERRORS, Operator.ABOVE, 3.0, Past.SAME_TIME_LAST_WEEK)
LESS = Comparison(ERRORS, Operator.BELOW, 0.5, Past.SAME_TIME_LAST_WEEK)
SAME = Comparison(ERRORS, Operator.UNEQUAL, 1.0, Past.SAME_TIME_LAST_WEEK)


def weeks(*errors: float, share: float = 0.25) -> Baseline:
    """Return a baseline with so many errors in the hour of each week."""
    return Baseline(weeks=tuple(Week(bad=bad, total=10 * bad, share=share) for bad in errors))


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("usual", "errors"), [(25.0, (100,)), (25.0, (100, 900)), (50.0, (100, 200, 9_000))]
)
def test_usual_is_the_median_of_the_weeks_there_are(usual: float, errors: tuple[float]) -> None:
    """One week with an outage does not raise the bar."""
    assert usual == weeks(*errors).usual(Measure.ERRORS)


def test_without_a_week_nothing_is_usual() -> None:
    """A new application has no baseline, and says neither yes nor no."""
    assert Baseline().usual(Measure.ERRORS) is None
    assert Baseline().exceeds(MORE, 1_000) is None


def test_a_new_group_is_not_compared() -> None:
    """A route of this morning has no last week."""
    young = Baseline(weeks=weeks(100).weeks, is_new=True)

    assert young.exceeds(MORE, 1_000) is None


@pytest.mark.parametrize(
    ("exceeds", "count"),
    [(False, 75), (False, 100), (True, 150)],  # 3 × 25 is 75, and both counts are uncertain
)
def test_a_count_exceeds_the_factor_only_if_that_is_sure(exceeds: bool, count: float) -> None:
    """Its lower bound lies above three times the upper bound of what was usual."""
    assert exceeds is weeks(100).exceeds(MORE, count)


def test_less_than_usual_is_sure_too() -> None:
    """With < the upper bound lies below the share of the lower bound."""
    assert weeks(400).exceeds(LESS, 10) is True
    assert weeks(400).exceeds(LESS, 45) is False
    assert weeks(400).exceeds(SAME, 100) is False


@given(st.floats(0, 10_000), st.floats(0, 10_000))
def test_what_is_usual_is_never_a_spike(usual: float, share: float) -> None:
    """A count at or below what was usual exceeds no factor of one or more."""
    known = Baseline(weeks=(Week(bad=usual, total=usual, share=1.0),))

    assert known.exceeds(MORE, min(usual, share)) is False


def test_the_hour_of_a_week_ago_is_looked_at() -> None:
    """A quarter of an hour lies within one hour of each of four weeks."""
    now = at("2026-03-11T10:40:00+00:00")

    found = hours_before(now, 900.0, UTC)

    assert [
        [(at(f"2026-{day}T10:00:00+00:00"), 900.0)] for day in ("03-04", "02-25", "02-18", "02-11")
    ] == found


def test_a_window_over_the_full_hour_touches_two() -> None:
    """Each hour counts for as much of it as the window holds."""
    now = at("2026-03-11T10:05:00+00:00")

    found = hours_before(now, 900.0, UTC)[0]

    assert [
        (at("2026-03-04T09:00:00+00:00"), 600.0),
        (at("2026-03-04T10:00:00+00:00"), 300.0),
    ] == found


def test_after_the_clocks_went_forward_the_local_hour_is_compared() -> None:
    """Ten in the morning in summer time is compared with ten in the morning in winter time."""
    berlin = ZoneInfo("Europe/Berlin")
    now = at("2026-03-31T10:40:00+02:00")  # summer time began on the 29th

    found = hours_before(now, 900.0, berlin)[0]

    assert [(at("2026-03-24T10:00:00+01:00"), 900.0)] == found


def test_a_week_with_too_little_data_is_left_out() -> None:
    """An hour in which nobody measured says nothing about what is usual."""
    asked = [[(0, 900.0)], [(HOUR_S, 900.0)], []]

    found = baseline(asked, {0: Tally(bad=8, total=80)}.get, {0: 60, HOUR_S: 20})

    assert (Week(bad=8, total=80, share=0.25),) == found.weeks


def test_an_hour_with_data_and_none_of_the_group_is_zero() -> None:
    """A route that nobody asked for at this hour has a baseline of nothing."""
    found = baseline([[(0, 900.0)]], lambda start: None, {0: 60})

    assert 0.0 == found.usual(Measure.REQUESTS)


def test_two_hours_are_weighed_by_what_the_window_has_of_them() -> None:
    """Five minutes of a busy hour after ten of a quiet one are five minutes of it."""
    counted = {0: Tally(total=60), HOUR_S: Tally(total=1_200)}

    found = baseline([[(0, 600.0), (HOUR_S, 300.0)]], counted.get, {0: 60, HOUR_S: 60})

    assert found.usual(Measure.REQUESTS) == pytest.approx(60 / 6 + 1_200 / 12)
