"""Weeks of a Poisson service compared with the weeks before: chance alone is no spike."""

import pytest

from simulation import spikes

pytestmark = pytest.mark.slow


# Chance comes closest to a spike at twenty an hour, just above the floor.
@pytest.mark.parametrize(("days", "errors_per_hour"), [(1, 0.0), (7, 1.0), (28, 20.0), (7, 400.0)])
def test_chance_is_no_spike(days: int, errors_per_hour: float) -> None:
    """In four weeks nobody is told of a spike that was none."""
    assert 0 == spikes(days, errors_per_hour)


def test_nothing_below_the_floor_is_a_spike() -> None:
    """From hardly any to thirty an hour, 7 or 8 in the window of 15 min, is still too few."""
    assert 0 == spikes(2, 0.5, factor=60.0)


def test_a_real_spike_is_found() -> None:
    """Ten times as many errors as usual are found at nearly every look."""
    assert spikes(1, 400.0, factor=10.0) > 1_400
