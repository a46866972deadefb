"""Days of a made-up service, evaluated slot by slot: how often people are woken for nothing."""

import pytest

from simulation import RATES, simulate

pytestmark = pytest.mark.slow

# Where there is much traffic a rule that wakes people for nothing does so several times a day.
DAYS = dict.fromkeys(RATES, 1) | {3: 4, 10: 4, 30: 4}


@pytest.mark.parametrize(("rate", "days"), DAYS.items())
def test_a_healthy_service_wakes_nobody(rate: float, days: int) -> None:
    """With 1 % of errors the default rules on requests wake people at most once in two days."""
    result = simulate(days, rate)

    assert result.alarms_per_day <= 0.5


@pytest.mark.parametrize(("most_s", "rate"), [(420, 3), (150, 10), (60, 30), (40, 100), (30, 300)])
def test_a_real_fault_is_found_soon(most_s: float, rate: float) -> None:
    """20 % of errors are found within half a minute where there is traffic, and never missed."""
    result = simulate(0, rate, faults=30)

    assert 0 == result.missed
    assert result.median_s <= most_s
