"""How sure a share of a few observations is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.statistics import wilson_lower


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
