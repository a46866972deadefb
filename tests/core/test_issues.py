"""What becomes of an issue: a table of its transitions, and laws that hold for all of them."""

from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.issues import (
    RETURNS,
    Decision,
    Reason,
    Release,
    Seen,
    State,
    Until,
    decide,
    in_next_release,
    until_of,
)

SINCE = 100.0
NOW = 200.0


def seen(**more: Any) -> Seen:
    """Say what is known of an issue that happened ten times, last before its state began."""
    return Seen(**{"count": 10, "users": 3, "last_at": 90.0, **more})


def release(marked_at: float, last_at: float) -> Release:
    """Name a release with its first deploy and its last event."""
    return Release(name="v", marked_at=marked_at, last_at=last_at)


def until(**more: Any) -> dict[str, Any]:
    """Write what ends a mute."""
    return {"until": Until(**more).to_data()}


@pytest.mark.parametrize(
    ("before", "data", "known", "after", "reason"),
    [
        ("open", {}, seen(last_at=150.0), "open", "quiet"),
        ("came_back", {}, seen(last_at=150.0), "came_back", "quiet"),
        ("ignored", {}, seen(last_at=150.0, count=10**9), "ignored", "quiet"),
        ("resolved", {}, seen(), "resolved", "quiet"),
        ("resolved", {}, seen(last_at=SINCE), "resolved", "quiet"),
        ("resolved", {}, seen(last_at=100.1), "came_back", "happened_again"),
        ("resolved", in_next_release(), seen(), "resolved", "quiet"),
        ("resolved", in_next_release(), seen(last_at=150.0), "resolved", "old_release"),
        (
            "resolved",
            in_next_release(),
            seen(last_at=150.0, releases=[release(50.0, 150.0)]),
            "resolved",
            "old_release",
        ),
        (
            "resolved",
            in_next_release(),
            seen(last_at=150.0, releases=[release(50.0, 150.0), release(120.0, 130.0)]),
            "came_back",
            "new_release",
        ),
        (  # a newer release that nobody knows the deploy of
            "resolved",
            in_next_release(),
            seen(last_at=150.0, releases=[release(inf, 150.0)]),
            "resolved",
            "old_release",
        ),
        (  # marked later, but its event came before: the clock of a host is wrong
            "resolved",
            in_next_release(),
            seen(last_at=150.0, releases=[release(120.0, 90.0)]),
            "resolved",
            "old_release",
        ),
        ("muted", {}, seen(last_at=150.0, count=10**9), "muted", "quiet"),
        ("muted", until(at=NOW + 0.1), seen(), "muted", "quiet"),
        ("muted", until(at=NOW), seen(), "open", "time_over"),
        ("muted", until(events=11), seen(), "muted", "quiet"),
        ("muted", until(events=10), seen(), "open", "more_events"),
        ("muted", until(users=4), seen(), "muted", "quiet"),
        ("muted", until(users=3), seen(), "open", "more_users"),
        ("muted", until(per_count=5, per_s=60.0), seen(recently=4), "muted", "quiet"),
        ("muted", until(per_count=5, per_s=60.0), seen(recently=5), "open", "more_often"),
        ("muted", until(at=NOW, events=10), seen(), "open", "more_events"),
    ],
)
def test_transitions(before: str, data: dict[str, Any], known: Seen, after: str, reason: str):
    """From each state, by what has happened since."""
    decision = decide(State(before), data, known, since=SINCE, now=NOW)

    assert Decision(State(after), Reason(reason)) == decision


STATES = st.sampled_from(State)
MOMENTS = st.floats(0.0, 1_000.0)
NUMBERS = st.integers(0, 100)
UNTIL = st.builds(
    Until,
    at=st.none() | MOMENTS,
    events=st.none() | NUMBERS,
    users=st.none() | NUMBERS,
    per_count=st.none() | NUMBERS,
    per_s=st.just(60.0),
)
DATA = st.one_of(
    st.just({}), st.just(in_next_release()), UNTIL.map(lambda one: {"until": one.to_data()})
)
SEEN = st.builds(
    Seen,
    count=NUMBERS,
    users=NUMBERS,
    last_at=MOMENTS,
    recently=NUMBERS,
    releases=st.lists(
        st.builds(Release, name=st.just("v"), marked_at=MOMENTS | st.just(inf), last_at=MOMENTS),
        max_size=3,
    ),
)


@given(STATES, DATA, SEEN, MOMENTS, MOMENTS)
def test_a_decision_lasts(
    state: State, data: dict[str, Any], known: Seen, since: float, now: float
):
    """What was decided moves no further by the same facts, and only to open or came back."""
    decision = decide(state, data, known, since=since, now=now)

    if decision.state is not state:
        assert decision.state in (State.OPEN, State.CAME_BACK)
        assert decision.reason in (*RETURNS, Reason.TIME_OVER)
        again = decide(decision.state, {}, known, since=now, now=now)
        assert Decision(decision.state, Reason.QUIET) == again


@given(DATA, SEEN, MOMENTS, MOMENTS)
def test_nothing_from_before_its_resolution_brings_an_issue_back(
    data: dict[str, Any], known: Seen, late_s: float, now: float
):
    """However late the events of before reach the database."""
    decision = decide(State.RESOLVED, data, known, since=known.last_at + late_s, now=now)

    assert Decision(State.RESOLVED, Reason.QUIET) == decision


@given(DATA, SEEN, MOMENTS, NUMBERS, NUMBERS)
def test_a_mute_that_is_over_stays_over(
    data: dict[str, Any], known: Seen, now: float, more: int, later_s: int
):
    """More occurrences and a later moment never mute again."""
    ends = decide(State.MUTED, data, known, since=0.0, now=now).state is State.OPEN
    grown = Seen(
        count=known.count + more,
        users=known.users + more,
        last_at=known.last_at + more,
        recently=known.recently + more,
    )

    still = decide(State.MUTED, data, grown, since=0.0, now=now + later_s)

    assert not ends or still.state is State.OPEN


@given(UNTIL)
def test_what_ends_a_mute_is_read_as_it_was_written(one: Until):
    """The stored form holds what is set, and nothing else."""
    assert one == Until.from_data(one.to_data())
    assert None not in one.to_data().values()


@pytest.mark.parametrize(
    "data", [{}, {"until": 5}, {"until": ["at"]}, {"until": {"at": "soon", "events": None}}]
)
def test_a_mute_whose_end_cannot_be_read_has_none(data: dict[str, Any]):
    """A newer version's, or one that was damaged, holds nobody up."""
    assert Until() == until_of(data)
    assert Decision(State.MUTED, Reason.QUIET) == decide(
        State.MUTED, data, seen(count=10**9), since=0.0, now=1e9
    )


def test_a_reason_of_a_newer_version_is_another_one():
    """So that its line of history can be shown."""
    assert Reason.OTHER is Reason("asked_by_robot")
