"""How sure a share of a few observations is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.statistics import chance_of, count_lower, count_upper, wilson_lower


@pytest.mark.parametrize(
    ("lower", "bad", "total"),
    [
        (0.0, 0, 10),
        (0.0, 0, 0),
        (0.0607, 20, 200),
        (0.7492, 85, 100),
        (0.4250, 4, 4),  # n / (n + z²)
    ],
)
def test_the_wilson_bound_of_known_cases(lower: float, bad: float, total: float) -> None:
    """Four failures of four make sure of 42 %, not of 100 %."""
    assert lower == pytest.approx(wilson_lower(bad, total), abs=1e-4)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_wilson_bound_lies_below_the_share(case: tuple[int, int]) -> None:
    """Certainty is never more than what was seen, and more data make it more."""
    bad, total = case

    assert 0 <= wilson_lower(bad, total) <= bad / total
    assert wilson_lower(bad, total) <= wilson_lower(bad * 10, total * 10)


@pytest.mark.parametrize(
    ("lower", "count", "upper"),
    # The exact bounds, half of the chi-squared distribution's quantile at 1 % and 99 %.
    [(0.0, 0, 4.605), (0.01005, 1, 6.638), (4.130, 10, 20.145), (78.22, 100, 125.84)],
)
def test_a_count_is_known_within_bounds(lower: float, count: float, upper: float) -> None:
    """Wilson and Hilferty's bounds of a Poisson count are near the exact ones."""
    assert count_lower(count) == pytest.approx(lower, rel=0.02, abs=0.02)
    assert count_upper(count) == pytest.approx(upper, rel=0.02)


@pytest.mark.parametrize(
    ("chance", "bad", "total"), [(1.0, 0, 10), (0.0115, 3, 10), (0.0084, 3, 9), (0.000125, 3, 3)]
)
def test_how_likely_chance_alone_is(chance: float, bad: float, total: float) -> None:
    """Three errors of ten are not rare enough where one of twenty is allowed to fail."""
    assert chance == pytest.approx(chance_of(bad, total, 0.05), rel=0.01)
