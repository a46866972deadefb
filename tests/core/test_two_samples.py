"""Whether two samples differ by more than chance."""

from fractions import Fraction
from math import comb, inf, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.two_samples import (
    UNKNOWN,
    Count,
    Spread,
    chance_of_larger_mean,
    chance_of_larger_share,
    chance_of_more,
    holm,
    quantile_bounds,
    spread,
    threshold_at,
)

COUNTS = st.integers(1, 60).flatmap(
    lambda total: st.integers(0, total).map(lambda hits: Count(hits, total))
)


def exactly(new: Count, old: Count) -> Fraction:
    """Add up the hypergeometric chances of as many hits or more."""
    hits, everything = new.hits + old.hits, new.total + old.total
    ways = sum(
        comb(hits, count) * comb(everything - hits, new.total - count)
        for count in range(new.hits, min(hits, new.total) + 1)
    )
    return Fraction(ways, comb(everything, new.total))


@given(COUNTS, COUNTS)
def test_the_chance_is_fishers(new, old):
    """It is what counting all possible tables gives, where the share has grown; else 1."""
    expected = exactly(new, old) if new.share > old.share else 1

    assert isclose(expected, chance_of_more(new, old), rel_tol=1e-9)


def test_a_known_table():
    """Seven of ten against one of ten: 0.0099 (scipy.stats.fisher_exact)."""
    assert 0.00988 == pytest.approx(chance_of_more(Count(7, 10), Count(1, 10)), abs=1e-5)


def test_many_observations_are_counted_as_well():
    """A share of 1.1 % of a million beside 1 % of a million is beyond all chance."""
    assert chance_of_more(Count(11_000, 10**6), Count(10_000, 10**6)) < 1e-10


def test_nothing_observed_tells_nothing():
    """Without observations on a side there is no difference."""
    assert 1.0 == chance_of_more(Count(0, 0), Count(1, 9))
    assert 1.0 == chance_of_more(Count(1, 9), Count(0, 0))
    assert 0.0 == Count(0, 0).share


def test_minutes_that_are_alike_count_in_full():
    """Independent requests have no more spread than chance."""
    minutes = [Count(5, 100), Count(4, 100), Count(6, 100), Count(5, 100)] * 8

    assert Spread(1.0, 0) == spread(minutes, minutes)
    assert chance_of_larger_share(minutes, [Count(0, 100)] * 32) == chance_of_more(
        Count(160, 3_200), Count(0, 3_200)
    )


def test_minutes_that_wander_count_for_less():
    """A burst of ten bad minutes is about one observation, not a thousand."""
    burst = [Count(2, 100)] * 20 + [Count(30, 100)] * 10
    calm = [Count(2, 100)] * 60

    found = spread(burst, calm)

    assert found.factor > 10
    alike = chance_of_more(Count(340, 3_000), Count(120, 6_000))
    assert alike < 1e-12
    assert chance_of_larger_share(burst, calm) > 1e-3


def test_the_largest_spread_counts():
    """One bad minute of three: single minutes differ more than pairs of them do."""
    burst = [Count(0, 100), Count(0, 100), Count(60, 100)] * 20

    by_minute = spread(burst, ())

    assert 59 == by_minute.freedom
    assert by_minute.factor > 50


def test_of_too_few_minutes_a_spread_is_assumed():
    """Of three minutes nobody knows how they wander: each observation counts for a third."""
    few = [Count(30, 150)], [Count(0, 150)]

    assert Spread(UNKNOWN, 0) == spread(*few)
    assert chance_of_more(Count(10, 50), Count(0, 50)) == chance_of_larger_share(*few)


def test_runs_that_are_too_few_tell_nothing():
    """Six minutes have no runs of ten."""
    burst = [Count(number * 20, 100) for number in (0, 0, 0, 1, 1, 4)]

    assert 5 == spread(burst, ()).freedom


@pytest.mark.parametrize(
    ("statistic", "freedom", "expected"), [(0.5, 5, 0.3192), (2.015, 5, 0.05), (3.0, 30, 0.0027)]
)
def test_students_tail(statistic, freedom, expected):
    """As the tables of the distribution have it."""
    from watchkeeper.core.two_samples import _student_above

    assert expected == pytest.approx(_student_above(statistic, freedom), rel=0.01)


def test_what_is_not_above_the_middle_is_as_likely_as_not():
    """Of a symmetrical distribution half lies above 0."""
    from watchkeeper.core.two_samples import _student_above

    assert 0.5 == _student_above(-1.0, 5)


@given(st.floats(1e-300, 1e300), st.integers(1, 500))
def test_students_tail_is_a_chance_wherever_it_is_asked(statistic, freedom):
    """However near the middle or far from it, and never more likely than what lies nearer."""
    from watchkeeper.core.two_samples import _student_above

    nearer, farther = (_student_above(statistic * by, freedom) for by in (1.0, 1.01))
    assert 0 <= farther <= nearer * (1 + 1e-9)
    assert nearer <= 0.5


def test_a_larger_mean_is_students():
    """Means 3 and 1 with a common variance of 1: t is 2.449 of four degrees of freedom."""
    assert 0.0352 == pytest.approx(chance_of_larger_mean([2, 3, 4], [0, 1, 2]), abs=1e-4)


def test_a_mean_that_nobody_knows_tells_nothing():
    """One value a side has no spread, and what is not larger is no alarm."""
    assert 1.0 == chance_of_larger_mean([9.0], [1.0])
    assert 1.0 == chance_of_larger_mean([], [1.0, 2.0, 3.0])
    assert 1.0 == chance_of_larger_mean([1.0, 2.0], [1.0, 2.0])
    assert 0.0 == chance_of_larger_mean([2.0], [1.0, 1.0])


def test_the_bounds_of_a_quantile_hold_it():
    """The p95 of 1 to 1,000 ms lies between its bounds, which are near."""
    whole = Histogram([number / 1_000 for number in range(1, 1_001)])

    low, high = quantile_bounds(whole, 0.95, factor=1.0, z=1.96)
    wide, wider = quantile_bounds(whole, 0.95, factor=16.0, z=1.96)

    assert 0.91 < low < 0.95 < high < 0.98
    assert wide < low
    assert wider > high


def test_few_observations_have_no_upper_bound():
    """The p95 of ten requests may be anything."""
    assert inf == quantile_bounds(Histogram([0.1] * 10), 0.95, factor=1.0, z=1.96)[1]
    assert (0.0, inf) == quantile_bounds(Histogram(), 0.95, factor=1.0, z=1.96)


def test_a_threshold_splits_as_near_as_it_can():
    """Of two heaps the border between them is taken."""
    whole = Histogram([0.1] * 94 + [1.0] * 6)

    assert 6 == whole.count_above(threshold_at(whole, 0.95))
    assert 0.0 == threshold_at(Histogram(), 0.95)


def test_holm_is_as_strict_as_there_are_tests():
    """The smallest is held against a tenth of the chance, the next against a ninth."""
    chances = {"a": 0.004, "b": 0.0054, "c": 0.03} | {f"n{number}": 0.9 for number in range(7)}

    assert {"a", "b"} == holm(chances, 0.05)
    assert frozenset() == holm({}, 0.05)


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=20))
def test_holm_never_finds_less_than_bonferroni(chances):
    """Whatever is below alpha over their number is found, nothing above alpha is."""
    found = holm(chances, 0.05)

    assert {key for key, chance in chances.items() if chance <= 0.05 / len(chances)} <= found
    assert all(chances[key] <= 0.05 for key in found)
