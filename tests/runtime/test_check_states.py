"""What is known of each health check now, of all workers that ran it."""

import pytest
from stored import result

from watchkeeper.core.verdicts import CheckState
from watchkeeper.runtime.check_states import check_states
from watchkeeper.storage.store import CheckResult

NOW = 1_000.0
LIVE = {1, 2}


def known(*results: CheckResult, declared: dict[str, float] | None = None) -> list[CheckState]:
    """Return what is known by these results, where this process declares the check or others."""
    intervals = None if declared is None else lambda: declared
    return list(check_states(results, live=LIVE, intervals=intervals, now=NOW))


def test_the_worst_worker_speaks():
    """One of two workers that fails is what matters."""
    (found,) = known(
        result("disk", worker=1, at=990.0, successes=9),
        result("disk", worker=2, at=980.0, state="fail", failures=4, output="full"),
    )

    assert ("fail", 4, "full") == (found.state, found.failures, found.output)


def test_a_check_is_good_again_when_it_is_for_the_last_worker():
    """One that has passed once since it failed is not cleared by another that passes."""
    (found,) = known(
        result("disk", worker=1, at=980.0, state="fail", successes=1),
        result("disk", worker=2, at=990.0, successes=9),
    )

    assert ("fail", 1) == (found.state, found.successes)


def test_workers_that_are_gone_do_not_count():
    """The full disk of a host that was switched off is nobody's problem."""
    (found,) = known(
        result("disk", worker=3, at=990.0, state="fail", failures=9),
        result("disk", worker=1, at=980.0, successes=9),
    )

    assert "pass" == found.state


@pytest.mark.parametrize(
    ("every_s", "age_s", "expected"),
    [(30.0, 209.0, "pass"), (30.0, 211.0, "unknown"), (300.0, 900.0, "pass")],
)
def test_how_long_a_result_counts_follows_from_how_often_the_check_runs(
    every_s: float, age_s: float, expected: str
):
    """Three intervals, and two minutes for a time-out and another worker to take over."""
    row = result("db", at=NOW - age_s, data={"every_s": every_s})

    assert [expected] == [one.state for one in known(row, declared={"db": every_s})]


def test_a_result_of_a_moment_that_is_to_come_tells_nothing():
    """A clock that was hours ahead and set back leaves nothing green; a minute is a difference."""
    assert ["pass"] == [one.state for one in known(result("db", at=NOW + 60.0))]
    assert ["unknown"] == [one.state for one in known(result("db", at=NOW + 7_200.0))]


def test_an_old_result_of_a_check_that_is_not_declared_is_nothing():
    """What was removed from the code is not unknown, it is not there."""
    row = result("db", at=NOW - 400.0, data={"every_s": 30.0})

    assert [] == known(row, declared={})
