"""Facts about jobs: how what several processes know is joined, kept and judged."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.job_facts import (
    FAILED,
    FORGOTTEN_S,
    OK,
    JobFacts,
    Plan,
    Run,
    from_text,
    to_text,
)
from watchkeeper.core.schedules import Reason, Schedule

NOW = 1e9
HOUR = 3_600.0
DAILY = Schedule(every_s=24 * HOUR, grace_s=HOUR)
FACTS = JobFacts(name="report", declared_at=NOW, plan=Plan(at=NOW, schedule=DAILY))

moments = st.integers(0, 50).map(float)
schedules = st.none() | st.builds(
    Schedule,
    every_s=st.sampled_from([60.0, 3_600.0]),
    tz=st.sampled_from(["UTC", "Europe/Berlin"]),
    grace_s=st.none() | moments,
)
tokens = st.lists(st.sampled_from(["aa", "bb", "cc"]), max_size=2).map(tuple)
runs = st.builds(
    Run,
    at=moments,
    outcome=st.sampled_from(["ok", "failed"]),
    seconds=st.none() | moments,
    output=st.text(max_size=3),
)
facts = st.builds(
    JobFacts,
    name=st.just("report"),
    declared_at=moments,
    plan=st.none() | st.builds(Plan, at=moments, schedule=schedules, tokens=tokens),
    last_success=st.none() | moments,
    last_run=st.none() | runs,
    started_at=st.none() | moments,
)


@given(facts, facts)
def test_it_does_not_matter_who_tells_first(one: JobFacts, other: JobFacts):
    """Two workers that tell what they know end with the same, in any order."""
    assert one.joined(other) == other.joined(one)


@given(facts, facts)
def test_telling_again_changes_nothing(one: JobFacts, other: JobFacts):
    """What is known already is no news."""
    joined = one.joined(other)

    assert joined == joined.joined(one) == joined.joined(other) == joined.joined(joined)


@given(facts)
def test_facts_are_read_as_they_were_written(one: JobFacts):
    """Nothing is lost on the way through the database."""
    assert one == from_text(to_text(one))


@given(st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["name", "declared_at", "plan", "last_run", "at", "tokens", "every_s"]),
        inner,
        max_size=5,
    ),
))  # fmt: skip
def test_whatever_is_stored_can_be_read(data: object):
    """A text that somebody else wrote is read or left out; it breaks nothing."""
    import json

    found = from_text(json.dumps(data))

    assert found is None or isinstance(found.name, str)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "17", '{"name": "report"}', '{"name": 3}', "[" * 100_000]
)
def test_what_is_no_fact_is_none(text: str):
    """Neither a broken text nor one of another kind."""
    assert None is from_text(text)


def test_parts_that_cannot_be_read_are_left_out():
    """The rest of a damaged text still counts."""
    text = '{"name": "report", "declared_at": 1, "plan": {"tokens": []}, "last_run": {"at": "x"}}'

    assert JobFacts(name="report", declared_at=1.0) == from_text(text)


@pytest.mark.parametrize("output", ["", "no disk"])
def test_what_came_with_a_failure_is_read_again(output: str):
    """With the run that failed."""
    failed = FACTS.ended(Run(at=NOW, outcome=FAILED, output=output))

    assert failed == from_text(to_text(failed))


def test_a_newer_schedule_wins_and_keeps_the_addresses():
    """A release that changes the schedule does not take away the address that cron calls."""
    old = replace(FACTS, plan=Plan(at=NOW, schedule=DAILY, tokens=("aa",)))
    new = replace(FACTS, plan=Plan(at=NOW + 1, schedule=Schedule(every_s=60.0)))

    joined = old.joined(new)

    assert (Schedule(every_s=60.0), ("aa",)) == (joined.schedule, joined.plan.tokens)


def test_a_start_without_an_end_is_late_after_the_grace():
    """A run that hangs is told of, though the next one is not due yet."""
    begun = replace(FACTS, last_success=NOW, last_run=Run(at=NOW, outcome=OK)).joined(
        replace(FACTS, started_at=NOW + 100)
    )

    assert begun.is_running
    assert (0.0, Reason.IN_TIME) == begun.lateness(NOW + 100 + HOUR)
    assert (60.0, Reason.NO_END) == begun.lateness(NOW + 100 + HOUR + 60)
    ended = begun.ended(Run(at=NOW + 110 + HOUR, outcome=FAILED))
    assert not ended.is_running
    assert (0.0, Reason.IN_TIME) == ended.lateness(NOW + 100 + HOUR + 60)


def test_an_end_by_a_clock_that_is_behind_is_an_end():
    """Start and end may be heard by hosts whose clocks differ by a minute."""
    begun = replace(FACTS, started_at=NOW + 30)
    ended = begun.ended(Run(at=NOW, outcome=OK))

    assert not ended.is_running
    assert (0.0, Reason.IN_TIME) == ended.lateness(NOW + 2 * HOUR)


def test_of_two_reasons_to_be_late_the_later_one_counts():
    """A run that was missed for days is not excused by one that has just begun to hang."""
    begun = replace(FACTS, last_success=NOW, started_at=NOW + 48 * HOUR)

    assert (25 * HOUR, Reason.MISSED) == begun.lateness(NOW + 50 * HOUR)


def test_without_a_schedule_nothing_is_late_or_due():
    """Where nothing was promised nothing is overdue."""
    bare = replace(FACTS, plan=None)

    assert (None, None) == (bare.lateness(NOW + 1e9), bare.due)


def test_the_next_run_is_due_after_the_last_success():
    """Or after the declaration, where there was none."""
    assert NOW + 24 * HOUR == FACTS.due
    assert NOW + 34 * HOUR == replace(FACTS, last_success=NOW + 10 * HOUR).due


@pytest.mark.parametrize("outcome", ["retried", "cancelled"])
def test_a_run_that_tells_nothing_replaces_none_that_does(outcome: str):
    """Whichever is told first: of a job that failed and was cancelled then, the failure counts."""
    failed, nothing = Run(at=NOW, outcome=FAILED), Run(at=NOW + 1, outcome=outcome)
    told = FACTS.ended(failed)

    assert failed == told.ended(nothing).last_run
    assert failed == FACTS.ended(nothing).joined(told).last_run
    assert failed == FACTS.ended(nothing).ended(failed).last_run


def test_a_schedule_that_was_set_in_the_future_loses_to_any_other():
    """A clock was wrong: nobody knows when it was set."""
    ahead = replace(FACTS, plan=Plan(at=NOW + 1e8, schedule=Schedule(every_s=60.0)))

    assert DAILY == FACTS.joined(ahead.settled(NOW)).schedule
    assert Schedule(every_s=60.0) == ahead.settled(NOW).schedule


@pytest.mark.parametrize("part", ['"every_s": -5', '"every_s": 1e300', '"every_s": 0.1'])
def test_a_damaged_schedule_is_none(part: str):
    """One damaged row does not keep the other jobs from being told late."""
    found = from_text(f'{{"name": "x", "declared_at": 1, "plan": {{"at": 1, {part}}}}}')

    assert found is not None
    assert found.lateness(NOW) is None
    assert from_text('{"name": "x", "declared_at": -1e15}') is None


def test_an_older_end_does_not_replace_a_newer_one():
    """What comes late is counted, but the last run stays the last."""
    late = FACTS.ended(Run(at=NOW + 10, outcome=FAILED)).ended(Run(at=NOW + 5, outcome=OK))

    assert (NOW + 5, FAILED) == (late.last_success, late.last_run.outcome)


def test_what_lies_ahead_is_now():
    """A clock that was wrong does not hide the runs that are missed from now on."""
    ahead = JobFacts(
        name="report",
        declared_at=NOW + 1e6,
        last_success=NOW + 61,
        last_run=Run(at=NOW + 1e6, outcome=OK),
        started_at=NOW + 60,
    )

    settled = ahead.settled(NOW)

    assert (NOW, NOW, NOW, NOW + 60) == (
        settled.declared_at,
        settled.last_success,
        settled.last_run.at,
        settled.started_at,
    )


def test_the_same_schedule_again_is_no_news():
    """Every process declares; only a change is written."""
    assert FACTS is FACTS.planned(DAILY, at=NOW + 1)
    assert Plan(at=NOW + 1) == FACTS.planned(None, at=NOW + 1).plan


@pytest.mark.parametrize(
    ("forgotten", "plan"),
    [
        (True, None),
        (True, Plan(at=NOW)),
        (False, Plan(at=NOW, schedule=DAILY)),
        (False, Plan(at=NOW, tokens=("aa",))),
    ],
)
def test_who_promised_nothing_is_forgotten(forgotten: bool, plan: Plan | None):
    """A job without a schedule that has not run for 90 days is no longer listed."""
    one = replace(FACTS, plan=plan).ended(Run(at=NOW + 5, outcome=OK))

    assert not one.is_forgotten(NOW + 5 + FORGOTTEN_S)
    assert forgotten == one.is_forgotten(NOW + 6 + FORGOTTEN_S)
