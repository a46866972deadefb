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


def test_calls_beyond_the_cap_are_calls_of_other_hosts(observed: Observed):
    """A program that calls hosts without end has the first ones told apart."""
    for number in range(MAX_OPERATIONS + 50):
        call(observed, f"host-{number}.example")

    with within_request() as record:
        call(observed, "host-7.example")
        call(observed, "host-999.example")

    assert ["http GET host-7.example", "http GET (other)"] == inside(record)
    assert 2 == observed.calls()["GET host-7.example 200"]
    assert 51 == observed.calls()["GET (other) 200"]
    assert 51 == observed.recorder.dropped["operations"]


def test_commands_beyond_the_cap_are_other_commands(observed: Observed):
    """So are commands of a cache that has them without end."""
    for number in range(MAX_OPERATIONS + 3):
        observed.observer.command("redis", f"MODULE.{number}", 0.0, 0.001, failed=True)

    assert 1 == observed.commands()["redis MODULE.7"]
    assert 3 == observed.commands()["redis (other)"]
    assert 3 == observed.failed_commands()["redis (other)"]
