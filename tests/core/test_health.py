"""The states of a health check, as a table of runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.health import (
    CheckState,
    Reason,
    Status,
    Step,
    Warned,
    current,
    lapsed,
    overall,
    step,
    warn,
)

RUNS = {"p": CheckState.PASS, "w": CheckState.WARN, "f": CheckState.FAIL}


def after(runs: str) -> Step:
    """Let a check that never ran find these, one each second from 1 on."""
    done = Step(after=Status(), reason=Reason.GOOD)
    for second, found in enumerate(runs, start=1):
        done = step(done.after, RUNS[found], at=float(second))
    return done


@pytest.mark.parametrize(
    ("runs", "state", "reason", "since"),
    [
        ("p", "pass", "good", 1.0),
        ("w", "warn", "warned", 1.0),
        ("f", "unknown", "failing", 0.0),
        ("ff", "unknown", "failing", 0.0),
        ("fff", "fail", "failed", 3.0),
        ("ffp", "pass", "good", 3.0),
        ("pp", "pass", "good", 1.0),
        ("pf", "pass", "failing", 1.0),
        ("pff", "pass", "failing", 1.0),
        ("pfff", "fail", "failed", 4.0),
        ("pffpff", "pass", "failing", 1.0),
        ("pffff", "fail", "still_failed", 4.0),
        ("pw", "warn", "warned", 2.0),
        ("pwp", "pass", "good", 3.0),
        ("wff", "warn", "failing", 1.0),
        ("wfff", "fail", "failed", 4.0),
        ("fffp", "fail", "clearing", 3.0),
        ("fffpf", "fail", "still_failed", 3.0),
        ("fffpfp", "fail", "clearing", 3.0),
        ("fffpp", "pass", "cleared", 5.0),
        ("fffpw", "warn", "cleared", 5.0),
        ("fffwp", "pass", "cleared", 5.0),
    ],
)
def test_three_failures_fail_and_two_good_runs_clear(
    runs: str, state: str, reason: str, since: float
):
    """One failure is noise, and one success after an outage is no recovery."""
    done = after(runs)

    assert (state, reason, since) == (done.after.state, done.reason, done.after.since)


@given(st.text(alphabet="pwf", min_size=1, max_size=40))
def test_a_check_is_failed_only_after_three_failures_in_a_row(runs: str):
    """Whatever the history: no failure without three in a row, and none hidden after them."""
    done = after(runs)

    if "fff" not in runs:
        assert done.after.state is not CheckState.FAIL
    if runs.endswith("fff"):
        assert done.after.state is CheckState.FAIL
    if runs.endswith("pp"):
        assert done.after.state is CheckState.PASS
    assert 0 in (done.after.failures, done.after.successes)


def test_warn_says_what_needs_attention():
    """A check returns warn() when it works, but not as it should."""
    assert Warned("certificate ends in 5 days") == warn("certificate ends in 5 days")


def test_a_run_cannot_find_unknown():
    """Unknown is the lack of runs, not what a run finds."""
    with pytest.raises(ValueError, match="pass, warn or fail"):
        step(Status(), CheckState.UNKNOWN, at=1.0)


@pytest.mark.parametrize(("now", "state"), [(130.0, "pass"), (195.0, "pass"), (195.1, "unknown")])
def test_an_old_result_says_nothing(now: float, state: str):
    """A check without a result for three intervals is unknown, not green."""
    passed = Status(state=CheckState.PASS, since=50.0)

    assert state == current(passed, ran_at=100.0, every_s=30.0, timeout_s=5.0, now=now)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], "pass"),
        ([("pass", True)], "pass"),
        ([("pass", True), ("warn", True)], "warn"),
        ([("pass", True), ("unknown", True)], "warn"),
        ([("pass", True), ("fail", False)], "warn"),
        ([("warn", True), ("fail", True)], "fail"),
        ([("unknown", False), ("fail", True)], "fail"),
    ],
)
def test_the_whole_passes_only_if_every_check_does(states: list[tuple[str, bool]], expected: str):
    """Unknown is never shown as green, and only a critical check fails the whole."""
    assert expected == overall([(CheckState(state), critical) for state, critical in states])


def test_what_another_worker_told_may_come_later():
    """Its result has to be written and read before it is missing."""
    status = Status(state=CheckState.PASS, since=0.0)
    told = {"ran_at": 100.0, "every_s": 30.0, "timeout_s": 5.0}

    assert CheckState.UNKNOWN is current(status, **told, now=196.0)
    assert CheckState.PASS is current(status, **told, now=196.0, late_s=60.0)
    assert CheckState.UNKNOWN is current(status, **told, now=256.0, late_s=60.0)


def test_a_check_that_fell_silent_is_unknown_and_its_failures_are_not_forgotten():
    """Two failures before and one after a silence are three."""
    before = Status(state=CheckState.PASS, since=1.0, failures=2)

    after = lapsed(before, at=50.0)

    assert Status(state=CheckState.UNKNOWN, since=50.0, failures=2) == after
    assert CheckState.FAIL is step(after, CheckState.FAIL, at=60.0).after.state
