"""Days of a made-up service, evaluated slot by slot: how often people are woken for nothing."""

import pytest

from simulation import RATES, simulate

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("rate", RATES)
def test_a_healthy_service_wakes_nobody(rate: float) -> None:
    """With 1 % of errors the default rules on requests wake people at most once in two days."""
    result = simulate(4, rate)

    assert result.alarms_per_day <= 0.5


@pytest.mark.parametrize(("most_s", "rate"), [(300, 3), (120, 10), (60, 30), (40, 100), (30, 300)])
def test_a_real_fault_is_found_soon(most_s: float, rate: float) -> None:
    """20 % of errors are found within half a minute where there is traffic, and never missed."""
    result = simulate(0, rate, faults=30)

    assert 0 == result.missed
    assert result.median_s <= most_s
