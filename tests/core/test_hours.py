"""Adding up an hour: the same figures however its minutes came together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.hours import Hour, by_series, finite, joined, summed, with_late
from watchkeeper.core.metrics import Across, Kind, Series
from watchkeeper.core.slot import Frame, FrameKey, Gauge

ORDERS = Series("orders_total", Kind.COUNTER, ())
LATENCY = Series("latency_seconds", Kind.HISTOGRAM, ())
DISK = Series("disk_ratio", Kind.GAUGE, (), Across.MAX)
HOUR = 7_200

seconds = st.floats(min_value=1e-6, max_value=1e4)
# An observation: the minute it was made in, with which of its frames it came, its value.
seen = st.tuples(st.integers(0, 59), st.integers(0, 3), seconds)


def frame(minute: int, sequence: int, values: dict) -> Frame:
    """Make a minute frame of the hour."""
    return Frame(key=FrameKey(60, HOUR + minute * 60, 0, sequence), values=values)


def rest() -> None:
    """Give way to nobody."""


def test_a_histogram_s_hour_is_that_of_all_observations():
    """Count, sum, extremes and percentiles are of every request of the hour."""
    hour = summed({0: Histogram([0.1, 0.2]), 59: Histogram([0.4])})

    assert (3, 0.1, 0.4, None) == (hour.count, hour.min, hour.max, hour.last)
    assert pytest.approx(0.7) == hour.sum
    assert pytest.approx(0.2, rel=0.022) == hour.quantile(0.5)
    assert 4 == hour.histogram.scale
    assert hour.histogram is hour.value()
    assert 4 == with_late(hour, summed({3: Histogram([9.0])})).count


def test_a_gauge_s_hour_has_mean_extremes_and_last():
    """The mean of an hour is the sum of its minutes' readings by their number."""
    hour = summed({1: Gauge(4.0, 1.0, 5.0), 0: Gauge(2.0, 2.0, 9.0)})

    assert Hour(count=2, sum=6.0, min=1.0, max=9.0, last=4.0) == hour
    assert Gauge(4.0, 1.0, 9.0) == hour.value()
    assert hour.quantile(0.5) is None


def test_a_counter_s_hour_is_its_increase():
    """What a counter grew by is the sum; the extremes are those of single minutes."""
    hour = summed({5: 3.0, 7: 1.0})

    assert Hour(count=2, sum=4.0, min=1.0, max=3.0) == hour
    assert 4.0 == hour.value()


def test_an_hour_of_nothing_is_zero():
    """A histogram without observations has figures that every column takes, and no percentile."""
    hour = summed({0: Histogram()})

    assert (0, 0.0, 0.0, 0.0) == (hour.count, hour.sum, hour.min, hour.max)
    assert hour.quantile(0.5) is None


def test_what_is_not_finite_becomes_storable():
    """Databases differ in what they make of infinity and nan: none of them gets to see it."""
    assert [1.7976931348623157e308, -1.7976931348623157e308, 0.0, 2.5] == [
        finite(one) for one in (float("inf"), float("-inf"), float("nan"), 2.5)
    ]


@given(st.lists(seen, max_size=60), st.integers(0, 60))
def test_an_hour_is_the_same_however_it_was_split(
    observations: list[tuple[int, int, float]], cut: int
):
    """Any split into frames, and any of them coming late, gives the same minutes and figures."""
    values: dict[tuple[int, int], list[float]] = {}
    for minute, sequence, value in observations:
        values.setdefault((minute, sequence), []).append(value)
    frames = [
        frame(minute, sequence, {LATENCY: Histogram(some), ORDERS: float(len(some))})
        for (minute, sequence), some in values.items()
    ]
    whole = {
        minute: [v for m, _, v in observations if m == minute] for minute, _, _ in observations
    }

    first, late = by_series(frames[:cut], pause=rest), by_series(frames[cut:], pause=rest)
    both = {
        series: joined(series, first.get(series, {}), late.get(series, {}))
        for series in {*first, *late}
    }

    assert {minute: float(len(some)) for minute, some in whole.items()} == both.get(ORDERS, {})
    for minute, some in whole.items():
        expected, found = Histogram(some), both[LATENCY][minute]
        assert expected.buckets == found.buckets
        assert (expected.min, expected.max) == (found.min, found.max)
    if whole:
        at_once = summed({minute: Histogram(some) for minute, some in whole.items()})
        hours = [summed(one[LATENCY]) for one in (first, late) if one]
        for hour in (summed(both[LATENCY]), hours[0] if len(hours) == 1 else with_late(*hours)):
            assert (at_once.count, at_once.min, at_once.max) == (hour.count, hour.min, hour.max)
            assert at_once.histogram.buckets == hour.histogram.buckets
            assert at_once.quantile(0.95) == hour.quantile(0.95)
            assert pytest.approx(at_once.sum) == hour.sum


def test_late_gauges_and_counters_are_added_to_an_hour_whose_minutes_are_gone():
    """The increase and the extremes grow; the reading that was the hour's last stays it."""
    gauges = with_late(summed({9: Gauge(2.0, 1.0, 3.0)}), summed({8: Gauge(5.0, 5.0, 6.0)}))

    assert Hour(count=2, sum=7.0, min=1.0, max=6.0, last=2.0) == gauges
    assert 5.0 == with_late(summed({0: 2.0}), summed({0: 3.0})).sum


def test_a_late_gauge_stands_beside_what_it_meets():
    """The fullest disk of a minute is the fullest of all workers, the late one among them."""
    merged = joined(DISK, {3: Gauge(0.5, 0.4, 0.6)}, {3: Gauge(0.3, 0.2, 0.9), 4: Gauge(1, 1, 1)})

    assert {3: Gauge(0.5, 0.2, 0.9), 4: Gauge(1, 1, 1)} == merged
