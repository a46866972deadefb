"""The histogram keeps its promises: bounded error, exact merging, bounded size."""

from math import inf, isclose, isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.histogram import MAX_BUCKETS, SCALE, Histogram

durations = st.floats(min_value=1e-6, max_value=1e3)
finite = st.floats(allow_nan=False, allow_infinity=False, width=64).filter(
    lambda value: abs(value) < 1e290  # so that sums stay finite
)


def exact(values: list[float], q: float) -> float:
    return sorted(values)[int(q * (len(values) - 1))]


def same(a: Histogram, b: Histogram) -> bool:
    """Equal in every count; sums of floats may differ in the last bits by their order."""
    return (
        a.scale == b.scale
        and a.count == b.count
        and a.zero == b.zero
        and a.buckets == b.buckets
        and a.negative == b.negative
        and (a.min, a.max) == (b.min, b.max)
        and isclose(a.sum, b.sum, rel_tol=1e-6, abs_tol=1e-6 * max(abs(a.min), abs(a.max), 1))
    )


@given(st.lists(durations, min_size=1, max_size=300), st.floats(min_value=0, max_value=1))
def test_a_quantile_is_within_1_1_percent(values: list[float], q: float):
    """A percentile is never more than 1.1 % off the observation of that rank."""
    histogram = Histogram(values)

    estimate = histogram.quantile(q)

    assert SCALE == histogram.scale
    assert abs(estimate - exact(values, q)) <= 0.011 * exact(values, q)


def test_the_ends_are_exact():
    """The smallest and the largest observation are known exactly."""
    histogram = Histogram([0.25, 0.1, 0.7])

    assert 0.1 == histogram.quantile(0)
    assert 0.7 == histogram.quantile(1)


def test_an_empty_histogram_has_no_quantile():
    """Without observations there is no percentile, not a zero."""
    assert isnan(Histogram().quantile(0.5))


def test_a_quantile_outside_of_0_to_1_is_refused():
    """Asking for a percentile as 95 instead of 0.95 is an error that says so."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        Histogram([1.0]).quantile(95)


def test_what_is_not_a_number_is_left_out():
    """NaN and infinities are not observations."""
    histogram = Histogram([nan, inf, -inf, 2.0])

    assert 1 == histogram.count
    assert 2.0 == histogram.sum


def test_zero_and_negative_values_have_their_place():
    """Values below zero are counted by magnitude, zero exactly."""
    histogram = Histogram([-4.0, -1.0, 0.0, 0.0, 3.0])

    assert -4.0 == histogram.quantile(0)
    assert histogram.quantile(0.25) == pytest.approx(-1.0, rel=0.011)
    assert 0.0 == histogram.quantile(0.5)
    assert 2 == histogram.zero


@given(st.lists(finite, max_size=100), st.lists(finite, max_size=100))
def test_merging_is_observing_together(left: list[float], right: list[float]):
    """A merged histogram is that of all observations, so percentiles hold for any workers."""
    merged = Histogram(left)
    merged.merge(Histogram(right))

    assert same(Histogram(left + right), merged)


@given(*[st.lists(finite, max_size=60)] * 3)
def test_merging_is_associative_and_commutative(a: list[float], b: list[float], c: list[float]):
    """It does not matter in which order slots and workers are merged."""
    first = Histogram(a)
    first.merge(Histogram(b))
    first.merge(Histogram(c))
    inner = Histogram(c)
    inner.merge(Histogram(b))
    inner.merge(Histogram(a))

    assert same(first, inner)


def test_merging_an_empty_one_changes_nothing():
    """A worker without requests leaves the figures as they are."""
    histogram = Histogram([1.0, 2.0])

    histogram.merge(Histogram())

    assert Histogram([1.0, 2.0]) == histogram


def test_merging_with_a_coarser_one_takes_its_resolution():
    """A worker with a wide spread of values lowers the resolution of the sum, and loses none."""
    coarse = Histogram([2.0 ** ((step + 0.5) / 32) for step in range(2 * MAX_BUCKETS)])
    fine = Histogram([2.0, 3.0])

    fine.merge(coarse)

    assert SCALE - 1 == fine.scale
    assert 2 * MAX_BUCKETS + 2 == fine.count == sum(fine.buckets.values())


def test_a_copy_is_independent():
    """What is added to a copy is not in the original."""
    histogram = Histogram([1.0])
    copy = histogram.copy()

    copy.observe(5.0)

    assert 1 == histogram.count
    assert 2 == copy.count


@given(st.lists(durations, max_size=200), durations)
def test_count_above_is_that_of_a_threshold_moved_by_1_1_percent(
    values: list[float], threshold: float
):
    """The number of slow requests is right up to 1.1 % of the threshold."""
    above = Histogram(values).count_above(threshold)

    assert sum(value > threshold * 1.0111 for value in values) <= above
    assert above <= sum(value > threshold / 1.0111 for value in values)


@given(st.lists(finite, max_size=300))
def test_the_size_is_bounded_and_nothing_is_lost(values: list[float]):
    """However far values lie apart, the histogram stays small and counts each of them."""
    histogram = Histogram(values)

    assert len(histogram.buckets) + len(histogram.negative) <= MAX_BUCKETS
    assert len(values) == sum(count for _, _, count in histogram.ranges()) == histogram.count


def test_downscaling_merges_neighbours():
    """A wider spread than the buckets hold halves the resolution instead of losing values."""
    values = [2.0 ** ((step + 0.5) / 32) for step in range(2 * MAX_BUCKETS)]

    histogram = Histogram(values)

    assert SCALE - 1 == histogram.scale
    assert {2} == set(histogram.buckets.values())
    assert histogram.quantile(0.5) == pytest.approx(exact(values, 0.5), rel=0.022)


def test_the_whole_range_of_floats_fits():
    """The smallest and the largest float in one histogram are no error."""
    histogram = Histogram([5e-324, 1e-300, 1.0, 1e300, 1.7976931348623157e308])
    histogram.observe_many([2.0**exponent for exponent in range(-1074, 1023)])
    histogram.observe_many([-(2.0**exponent) for exponent in range(-1074, 1023)])

    assert histogram.scale < 0
    assert -(2.0**1022) == histogram.quantile(0)
    assert 1.7976931348623157e308 == histogram.quantile(1)
    assert histogram.quantile(0.999) > 1e290


def test_it_shows_what_it_holds():
    """In a debugger a histogram tells its count and median."""
    assert "Histogram(count=1, p50=2)" == repr(Histogram([2.0]))
    assert Histogram([2.0]) != "something else"
