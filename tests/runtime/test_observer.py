"""What instruments tell of calls and commands, bounded whatever they tell."""

import pytest
from observed import Observed, inside, within_request

from watchkeeper.runtime.observer import MAX_OPERATIONS


@pytest.fixture
def observed() -> Observed:
    """An observer of a process of its own."""
    return Observed()


def call(observed: Observed, host: str) -> None:
    """Tell of an outgoing request."""
    observed.observer.call(method="GET", host=host, status=200, start=0.0, seconds=0.001)


def test_calls_to_hosts_without_end_are_bounded_and_counted(observed: Observed):
    """Every call counts under its host; inside requests those beyond the cap are one operation."""
    for number in range(MAX_OPERATIONS + 50):
        call(observed, f"host-{number}.example")

    with within_request() as record:
        call(observed, "host-7.example")
        call(observed, f"host-{MAX_OPERATIONS}.example")

    assert ["http GET host-7.example", "http (other)"] == inside(record)
    assert 2 == observed.calls()[f"GET host-{MAX_OPERATIONS}.example 200"]
