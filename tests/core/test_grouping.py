"""The first event is told at once, its followers together; none twice."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.grouping import (
    LATE_S,
    MAX_RECENT,
    MAX_WAITING,
    Due,
    EventLog,
    Sighting,
    due,
)

NOW = 1e9


def sighting(number: int, at: float = 1000.0) -> Sighting:
    return Sighting(id=number, at=at, labels={"issue": str(number)}, summary=f"Error {number}")


@pytest.mark.parametrize(
    ("reason", "waiting", "sent_at", "now"),
    [
        (Due.NOTHING, 0, 0.0, 1000.0),
        (Due.FIRST, 1, 0.0, 1000.0),
        (Due.COLLECTING, 1, 900.0, 1000.0),
        (Due.COLLECTING, 5, 900.0, 1199.0),
        (Due.FIRST, 1, 900.0, 1200.0),
        (Due.COLLECTED, 5, 900.0, 1200.0),
        (Due.FIRST, 1, 2000.0, 1000.0),  # the clock went back: not silent until it catches up
    ],
)
def test_followers_wait_for_the_end_of_the_digest(
    reason: Due, waiting: int, sent_at: float, now: float
) -> None:
    """At most one message in five minutes, and the first without delay."""
    decided = due(range(waiting), sent_at=sent_at, digest_s=300.0, now=now)

    assert reason is decided
    assert decided.is_now is (reason in (Due.FIRST, Due.COLLECTED))


def test_an_event_is_seen_once() -> None:
    """However often the store is read, an event waits to be told once."""
    log = EventLog(since=900.0)

    new = log.unseen([sighting(2, 1001.0), sighting(1), sighting(3, 800.0)])
    log = log.seen(new[0], now=NOW)

    assert [1, 2] == [one.id for one in new]
    assert [2] == [one.id for one in log.unseen([sighting(2, 1001.0), sighting(1)])]
    assert [1] == [one.id for one in log.waiting]


def test_a_quiet_event_is_remembered_but_not_told() -> None:
    """In the first minutes of an installation nobody is told."""
    log = EventLog(since=0.0).seen(sighting(1), quiet=True, now=NOW)

    assert () == log.waiting
    assert [] == log.unseen([sighting(1)])


def test_told_events_wait_no_more() -> None:
    """A message covers all who waited, and the next has the next number."""
    log = EventLog(since=0.0).seen(sighting(1), now=NOW).told(at=1010.0)

    assert ((), 1010.0, 1) == (log.waiting, log.sent_at, log.sequence)


def test_memory_and_digest_are_bounded() -> None:
    """A flood of events neither fills the row nor is told twice."""
    log = EventLog(since=0.0)
    flood = [sighting(number, 1000.0 + number) for number in range(MAX_RECENT + 100)]

    for one in flood:
        log = log.seen(one, now=NOW)

    assert MAX_RECENT == len(log.recent)
    assert MAX_WAITING == len(log.waiting)
    assert MAX_RECENT + 100 - MAX_WAITING == log.more
    assert [] == log.unseen(flood)


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(0, 1e9)), unique_by=lambda pair: pair[0]))
def test_a_stored_log_reads_back_the_same(events: list[tuple[int, float]]) -> None:
    """Nothing is forgotten in the database."""
    log = EventLog(since=0.0)
    for number, at in events:
        log = log.seen(sighting(number, at), now=NOW)

    assert log == EventLog.from_data(json.loads(json.dumps(log.to_data())))
    assert EventLog(since=0.0) == EventLog.from_data({})


def test_a_log_moves_on_but_not_back():
    """What was seen before it begins is forgotten with it."""
    log = EventLog(since=10.0, recent=((1, 20.0), (2, 40.0)))

    assert EventLog(since=30.0, recent=((2, 40.0),)) == log.moved_on(30.0)
    assert log == log.moved_on(5.0)


def test_a_clock_ahead_hides_no_other_events():
    """What one host dates into the future is told once, and others' events as ever."""
    log = EventLog(since=NOW - LATE_S).seen(sighting(1, NOW + 86_400), now=NOW)

    assert NOW - LATE_S == log.since
    assert [2] == [one.id for one in log.unseen([sighting(1, NOW + 86_400), sighting(2, NOW)])]
    later = log.seen(sighting(2, NOW + 7_200), now=NOW + 7_200)
    assert [] == later.unseen([sighting(1, NOW + 86_400)])


def test_a_log_that_begins_in_the_future_begins_now():
    """A clock that was ahead wrote it; but a memory full of the future forgets nothing."""
    log = EventLog(since=NOW + 50.0, recent=((1, NOW + 60.0),))

    assert EventLog(since=NOW - LATE_S, recent=log.recent) == log.read_at(NOW)
    assert log == log.read_at(NOW + 50.0)
    full = EventLog(since=NOW, recent=tuple((n, NOW + n) for n in range(MAX_RECENT)))
    assert full == full.read_at(NOW - 1)
