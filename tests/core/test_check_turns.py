"""Whose turn it is to run a check of the cluster."""

from typing import Any

import pytest

from watchkeeper.core.check_turns import Turn, turn


def decide(**more: Any) -> Turn:
    """Decide where another worker (1) ran the check at 100, each 30 s; this one is 2."""
    told: dict[str, Any] = {
        "ran_at": 100.0,
        "ran_by": 1,
        "me": 2,
        "ours_since": None,
        "live": None,
        "every_s": 30.0,
        "timeout_s": 5.0,
        "late_s": 25.0,
        "now": 110.0,
    }
    return turn(**{**told, **more})


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, Turn.THEIRS),
        ({"ran_at": None, "ran_by": None}, Turn.NEVER_RAN),
        # Late by no more than its time-out and what a flush takes.
        ({"now": 160.0}, Turn.THEIRS),
        ({"now": 160.1}, Turn.OVERDUE),
        # Who ran it stopped: nothing is lost before the next run is due.
        ({"live": {2}, "now": 130.0}, Turn.THEIRS),
        ({"live": {2}, "now": 130.1}, Turn.RUNNER_GONE),
        ({"live": {1, 2}, "now": 140.0}, Turn.THEIRS),
        # By a process that did not say who it was.
        ({"ran_by": None, "live": {2}, "now": 140.0}, Turn.THEIRS),
        # Ours: run here last, or taken over and not run yet.
        ({"ours_since": 100.0}, Turn.OURS),
        ({"ours_since": 105.0, "now": 900.0}, Turn.OURS),
        ({"ours_since": 105.0, "ran_at": None, "ran_by": None}, Turn.OURS),
        # Both ran it: the later one goes on.
        ({"ours_since": 99.0}, Turn.THEIRS),
        # The clock was set back since we ran it.
        ({"ours_since": 40.0, "ran_by": 2}, Turn.OURS),
    ],
)
def test_who_ran_a_check_last_goes_on(told: dict[str, Any], expected: Turn):
    """Unless nobody does any more: then it is free to be taken."""
    assert expected is decide(**told)


def test_a_check_is_free_where_somebody_has_to_take_it_over():
    """Those that somebody runs are not."""
    assert {Turn.NEVER_RAN, Turn.RUNNER_GONE, Turn.OVERDUE} == {one for one in Turn if one.is_free}
