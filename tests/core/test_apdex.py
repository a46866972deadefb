"""How content users are, told from a histogram."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.apdex import apdex
from watchkeeper.core.histogram import Histogram

ERROR = 1.011  # how far the threshold may seem moved, by the width of a bucket


def test_slow_ones_count_half_and_very_slow_ones_nothing() -> None:
    """Satisfied up to the threshold, tolerating up to four times as long, then frustrated."""
    durations = Histogram([0.1] * 60 + [0.9] * 30 + [3.0] * 10)

    assert pytest.approx(0.75) == apdex(durations, 0.5)


def test_failed_requests_are_frustrating_however_quick() -> None:
    """An error page within a millisecond makes nobody content."""
    durations = Histogram([0.1] * 90)

    assert pytest.approx(0.9) == apdex(durations, 0.5, total=100, failed=10)


def test_what_failed_below_500_is_as_quick_as_the_others() -> None:
    """Of a broken response only the number is known: it takes its part of all answers."""
    durations = Histogram([0.1] * 50 + [0.9] * 50)

    assert pytest.approx(0.6) == apdex(durations, 0.5, failed=20)


def test_an_excused_failure_is_as_quick_as_the_others() -> None:
    """A 503 that the settings do not call bad frustrates nobody by its status."""
    assert pytest.approx(1.0) == apdex(Histogram([0.1] * 90), 0.5, total=100, failed=0)


@pytest.mark.parametrize(
    ("expected", "options"),
    [
        (None, {}),
        (0.0, {"total": 4, "failed": 4}),
        (0.0, {"total": 4, "failed": 9}),
        (None, {"total": 4, "failed": 0}),
    ],
)
def test_without_durations_only_failures_tell(
    expected: float | None, options: dict[str, float]
) -> None:
    """Unknown is never 0: only where everything failed is it known that nobody is content."""
    assert expected == apdex(Histogram(), 0.5, **options)


def test_more_excused_than_failed_changes_nothing() -> None:
    """A negative count of failures, from excuses that came late, is none."""
    assert 1.0 == apdex(Histogram([0.1]), 0.5, failed=-2)


@pytest.mark.parametrize("threshold_s", [0.0, -1.0, float("nan")])
def test_the_threshold_is_above_zero(threshold_s: float) -> None:
    """A threshold that nobody can meet is refused."""
    with pytest.raises(ValueError, match="above zero"):
        apdex(Histogram([1.0]), threshold_s)


def exact(seconds: list[float], threshold_s: float) -> float:
    satisfied = sum(one <= threshold_s for one in seconds)
    tolerating = sum(threshold_s < one <= 4 * threshold_s for one in seconds)
    return (satisfied + tolerating / 2) / len(seconds)


@given(
    st.lists(st.floats(1e-4, 1e3), min_size=1, max_size=60),
    st.floats(1e-3, 100.0),
)
def test_it_is_exact_within_the_width_of_a_bucket(
    seconds: list[float], threshold_s: float
) -> None:
    """The answer is that of a threshold moved by at most 1.1 %."""
    found = apdex(Histogram(seconds), threshold_s)

    assert found is not None
    assert exact(seconds, threshold_s / ERROR) - 1e-9 <= found
    assert found <= exact(seconds, threshold_s * ERROR) + 1e-9
