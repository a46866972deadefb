"""When an older release is back."""

from dataclasses import dataclass

import pytest

from watchkeeper.core.metrics import Scope
from watchkeeper.core.returns import GONE_S, Reason, Return, returned

NOW = 10_000.0
MARKED = 5_000.0  # when v2, the newest, was first seen


@dataclass(frozen=True)
class Worker:
    """A worker of a release, that may have stopped."""

    release: str
    started_at: float
    seen_at: float = NOW
    stopped_at: float | None = None
    id: int = 1
    number: int = 1
    host: str = "web-1"

    @property
    def scope(self) -> Scope:
        """What it runs."""
        return Scope(service="shop", environment="production", release=self.release)


OLD = Worker("v1", 1_000.0)
OLD_STOPPED = Worker("v1", 1_000.0, 5_100.0, 5_100.0)
NEW = Worker("v2", MARKED)
NEW_STOPPED = Worker("v2", MARKED, 8_000.0, 8_000.0)
NEW_KILLED = Worker("v2", MARKED, 8_000.0)
BACK = Worker("v1", 7_990.0)


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        ([OLD_STOPPED, NEW_STOPPED, BACK], Return(Reason.BACK, 7_990.0)),
        ([OLD_STOPPED, NEW_KILLED, BACK, Worker("v1", 8_100.0)], Return(Reason.BACK, 7_990.0)),
        ([NEW_STOPPED, BACK], Return(Reason.BACK, 7_990.0)),
        ([OLD, NEW_STOPPED], Return(Reason.LEFT, 8_000.0)),
        ([OLD, NEW_STOPPED, BACK], Return(Reason.LEFT, 8_000.0)),
        ([NEW_STOPPED], Return(Reason.LEFT, 8_000.0)),
        ([OLD, NEW], Return(Reason.RUNNING)),  # a rolling deploy, or a canary
        ([OLD_STOPPED, NEW, BACK], Return(Reason.RUNNING)),  # an old one restarts meanwhile
        ([Worker("v2", MARKED, NOW - GONE_S + 1), BACK], Return(Reason.RUNNING)),
        ([OLD], Return(Reason.RUNNING)),  # nobody ever ran the newest one
    ],
)
def test_a_release_is_back_when_nobody_runs_the_newest(workers, expected):
    """Since its first worker began, or where one never stopped since the others ended."""
    assert expected == returned("v1", "v2", MARKED, workers, now=NOW)


LATE = Worker("v2", 1_000.0, 9_000.0, 9_000.0)  # ran for more than an hour


@pytest.mark.parametrize(
    ("reason", "workers"),
    [
        (Reason.BESIDE, [Worker("v1", 500.0), LATE]),
        (Reason.BESIDE, [Worker("v1", 500.0, 6_000.0, 6_000.0), Worker("v1", 6_030.0), LATE]),
        (Reason.BESIDE, [Worker("v1", 2_000.0, 6_000.0), Worker("v1", 6_080.0), LATE]),
        (Reason.BACK, [Worker("v1", 500.0, 5_000.0), Worker("v1", 8_990.0), LATE]),
        (Reason.BACK, [Worker("v1", 8_000.0), LATE]),
    ],
)
def test_another_program_is_not_back(reason, workers):
    """One that ran beside the newest for an hour, with restarts, has release names of its own."""
    found = returned("v1", "v2", 1_000.0, workers, now=NOW)

    assert reason == found.reason
    assert (found.at is None) == (reason is Reason.BESIDE)


def test_the_newest_is_not_back():
    """There is nothing to go back from."""
    assert Return(Reason.IS_NEWEST) == returned("v2", "v2", MARKED, [NEW], now=NOW)
