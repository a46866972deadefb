"""Health checks from the store: how they are now, and their uptime over a range."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from dashboards import NOW, SCOPE, Browser, header, minute, requests, slot, text, watched

from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.core.uptime import Span
from watchkeeper.dashboard import uptime
from watchkeeper.dashboard.parameters import Page
from watchkeeper.dashboard.presence import presence
from watchkeeper.dashboard.sums import Query
from watchkeeper.dashboard.uptime import Past, health
from watchkeeper.runtime.hours import seal
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import ALL_WORKERS, Batch, CheckChange, CheckResult

SEQUENCE = count(1)
HOUR_S = 3_600
BEGIN = NOW - HOUR_S


def lived(store: MemoryStore, start: float, end: float) -> int:
    """Let a worker write a slot each 10 s from one moment to another; its id."""
    worker = store.register(SCOPE, host="web-1", pid=1, at=start).id
    for at in range(int(start), int(end), 10):
        store.write(Batch(scope=SCOPE, frame=slot(at, {}, worker=worker), at=at + 10.0))
    return worker


def tell(
    store: MemoryStore,
    name: str,
    states: Iterable[tuple[float, str]],
    *,
    worker: int = ALL_WORKERS,
    last_at: float = NOW,
    critical: bool = True,
) -> None:
    """Store the transitions of a check and its last result."""
    changes = []
    since, before = 0.0, "unknown"
    for since, after in states:
        change = CheckChange(name=name, worker=worker, before=before, after=after, at=since)
        changes.append(replace(change, critical=critical))
        before = after
    result = CheckResult(
        name=name,
        worker=worker,
        state=before,
        since=since,
        at=last_at,
        duration_s=0.01,
        output="as it is",
        critical=critical,
        data={"every_s": 30.0},
    )
    number = store.workers(service=SCOPE.service, environment=SCOPE.environment, seen_since=0)[0]
    # A further part of the last slot, so that it makes no time known that was not.
    key = FrameKey(10, int(number.seen_at) - 10, number.id, next(SEQUENCE))
    store.write(
        Batch(
            scope=SCOPE,
            frame=Frame(key=key, values={}),
            at=number.seen_at,
            checks=[result],
            check_changes=changes,
        )
    )


def query(
    store: MemoryStore, *, start: float = BEGIN, end: float = NOW, now: float = NOW
) -> Query:
    return Query(
        store=store,
        service=SCOPE.service,
        environment=SCOPE.environment,
        start=start,
        end=end,
        now=now,
        slot_s=10,
    )


def past(store: MemoryStore) -> Past:
    return Past(query(store))


def spent(store: MemoryStore, name: str = "") -> tuple[float, float, float, float]:
    """Seconds that a check, or the service, passed, warned, failed and was unknown."""
    found = past(store)
    one = found.uptime(name, BEGIN, NOW) if name else found.service(BEGIN, NOW)
    return one.pass_s, one.warn_s, one.fail_s, one.unknown_s


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(clock=lambda: NOW)


def test_a_failure_of_six_minutes_is_a_tenth_of_an_hour(store):
    """The share is of the time, from transitions alone."""
    lived(store, BEGIN, NOW)
    tell(store, "pay", [(BEGIN, "pass"), (BEGIN + 600, "fail"), (BEGIN + 960, "pass")])

    assert (3_240, 0, 360, 0) == spent(store, "pay")
    assert 0.9 == past(store).uptime("pay", BEGIN, NOW).share


def test_no_time_is_good_in_which_no_worker_lived(store):
    """A service that was down for ten minutes was not up: it is not known what it was."""
    lived(store, BEGIN, NOW - 1_800)
    lived(store, NOW - 1_200, NOW)
    tell(store, "pay", [(BEGIN, "pass")])

    assert (3_000, 0, 0, 600) == spent(store, "pay")
    assert (3_000, 0, 0, 600) == spent(store)
    assert 1.0 == past(store).service(BEGIN, NOW).share


def test_a_check_that_was_added_later_is_unknown_before(store):
    """It is unknown for itself, and makes nothing unknown of the service, which had others."""
    lived(store, BEGIN, NOW)
    tell(store, "pay", [(BEGIN, "pass")])
    tell(store, "mail", [(NOW - 600, "pass")])

    assert (600, 0, 0, 3_000) == spent(store, "mail")
    assert (3_600, 0, 0, 0) == spent(store)


def test_a_check_that_is_run_no_more_fails_no_longer(store):
    """Removed from the code while it failed, it is unknown from then on, and no fault."""
    lived(store, BEGIN, NOW)
    tell(store, "pay", [(BEGIN, "pass")])
    tell(store, "mail", [(BEGIN, "fail")], last_at=BEGIN + 600)

    passed, _, failed, unknown = spent(store, "mail")

    assert (0, 600 + 3 * 30 + 120, 3_600 - 810) == (passed, failed, unknown)
    assert (2_790, 0, 810, 0) == spent(store)
    assert "unknown" == past(store).now("mail").state


def test_a_check_that_was_removed_stays_in_the_past_of_the_service(store):
    """Its half an hour of failure is no less of one when nobody runs it any more."""
    lived(store, BEGIN, NOW)
    tell(store, "pay", [(BEGIN, "pass")])
    gone = [(BEGIN, "pass"), (BEGIN + 600, "fail"), (BEGIN + 2_400, "pass")]
    tell(store, "gone", gone, last_at=NOW - 900)
    tell(store, "mail", gone, last_at=NOW - 900, critical=False)
    before = spent(store)
    ends = [
        CheckChange(
            name=name, worker=0, before="pass", after="unknown", at=NOW - 800, critical=critical
        )
        for name, critical in (("gone", True), ("mail", False))
    ]
    assert 2 == store.end_checks(service=SCOPE.service, environment=SCOPE.environment, ends=ends)

    assert (1_800, 0, 1_800, 0) == before == spent(store)
    assert ["pay"] == past(store).names


def test_nothing_is_known_of_before_the_oldest_transition_that_is_read(store, monkeypatch):
    """A check that flaps has more than are read: the time before is not taken for good."""
    monkeypatch.setattr(uptime, "MAX_CHANGES", 4)
    lived(store, BEGIN, NOW)
    flaps = [(BEGIN + 60 * number, ("fail", "pass")[number % 2]) for number in range(20)]
    tell(store, "flap", flaps)
    tell(store, "calm", [(BEGIN, "pass")])

    assert (2_520, 0, 120, 960) == spent(store, "flap") == spent(store)
    assert (3_600, 0, 0, 0) == spent(store, "calm")


def test_what_a_clock_told_that_was_ahead_tells_nothing(store):
    """A result that is still to come is no good one, and does not make the time to come good."""
    lived(store, BEGIN, NOW)
    tell(store, "pay", [(BEGIN, "pass"), (NOW + 7_200, "warn")], last_at=NOW + 7_200)

    assert "unknown" == past(store).now("pay").state
    assert (0, 0, 0, 3_600) == spent(store, "pay")


def test_what_is_not_critical_takes_no_uptime_of_the_service(store):
    """The service is up while its critical checks do not fail."""
    lived(store, BEGIN, NOW)
    tell(store, "pay", [(BEGIN, "pass")])
    tell(store, "mail", [(BEGIN, "fail")], critical=False)

    assert (0, 0, 3_600, 0) == spent(store, "mail")
    assert (3_600, 0, 0, 0) == spent(store)
    assert "warn" == past(store).state().value


def test_the_state_at_the_start_is_known_from_before(store):
    """A check that came into its state long ago needs no transition within the range."""
    lived(store, BEGIN, NOW)
    tell(store, "pay", [(NOW - 40 * 86_400, "pass")])

    assert (3_600, 0, 0, 0) == spent(store, "pay")


def test_a_state_older_than_the_transitions_that_are_kept(store):
    """Where the first transition that is there left a state, that state was before."""
    lived(store, BEGIN, NOW)
    tell(store, "pay", [(BEGIN - 7_200, "fail"), (BEGIN + 600, "pass")])
    tell(store, "mail", [(BEGIN - 7_200, "warn")])
    store.prune_checks(before=BEGIN, limit=1_000)

    assert (3_000, 0, 600, 0) == spent(store, "pay")
    assert (0, 3_600, 0, 0) == spent(store, "mail")


def test_of_workers_the_worst_that_lives_tells(store):
    """A check of each worker fails with one of them; a worker that is gone tells nothing."""
    first = lived(store, BEGIN, NOW)
    gone = lived(store, BEGIN, BEGIN + 600)
    tell(store, "pay", [(BEGIN, "pass")], worker=first)
    tell(store, "pay", [(BEGIN + 300, "fail")], worker=gone, last_at=BEGIN + 590)

    assert (3_300, 0, 300, 0) == spent(store, "pay")
    assert "pass" == past(store).now("pay").state


def test_where_nobody_lives_nothing_is_known_now(store):
    """A last result of a service that is gone says nothing of how it is."""
    lived(store, BEGIN, NOW - 600)
    tell(store, "pay", [(BEGIN, "pass")], last_at=NOW - 610)

    found = past(store)

    assert ("unknown", None) == (found.now("pay").state, found.now("pay").since)
    assert "unknown" == found.state().value


def test_of_nothing_there_is_no_uptime(store):
    """Without checks or data no share is said."""
    found = health(query(store), page=Page())

    assert ("unknown", None, 3_600, ()) == (
        found.state,
        found.uptime.share,
        found.uptime.unknown_s,
        found.checks,
    )


@pytest.mark.parametrize("kept", ["minutes", "chunks", "hours"])
def test_hours_tell_when_the_service_ran(store, kept):
    """Of long ago it is what is stored that tells: ten minutes of two hours are not there."""
    start = int(NOW - 9 * 86_400) // HOUR_S * HOUR_S
    end = start + 2 * HOUR_S
    values = requests([0.01])
    there = [*range(20), *range(30, 120)] if kept != "hours" else range(110)
    store.add_frames([minute(start + 60 * number, values) for number in there])
    if kept != "minutes":
        assert 2 == seal(store, now=end + HOUR_S, pause=lambda: None)
        store.prune_sealed(before=end, limit=1_000)
    if kept == "hours":
        store.prune_chunks(before=end, limit=1_000)
    lived(store, NOW - 60, NOW)
    tell(store, "pay", [(start, "pass")])
    found = Past(query(store, start=start, end=end)).uptime("pay", start, end)

    assert (6_600, 600) == (found.pass_s, found.unknown_s)


def began(store: MemoryStore, start: float, end: float) -> None:
    """Let a worker be known from one moment to another, without a slot of the time between."""
    worker = store.register(SCOPE, host="web-1", pid=1, at=start).id
    store.write(Batch(scope=SCOPE, frame=slot(int(end) - 10, {}, worker=worker), at=end))


class Reading(MemoryStore):
    """A store that counts the minutes that were read."""

    __slots__ = ("minutes_read",)

    def frames(self, resolution: int, **span: Any) -> list[Frame]:
        """Read frames."""
        found = super().frames(resolution, **span)
        if resolution == 60:
            self.minutes_read = len(found)
        return found


def test_minutes_that_are_in_an_hour_are_not_read_one_by_one():
    """Of half a day only the hour that is open is looked at closely."""
    store = Reading(clock=lambda: NOW)
    start = int(NOW) // HOUR_S * HOUR_S - 12 * HOUR_S
    began(store, start, NOW + 600)
    store.add_frames([minute(at, requests([0.01])) for at in range(start, int(NOW), 60)])
    while seal(store, now=NOW + 120, pause=lambda: None):
        pass
    store.add_frames([minute(at, requests([0.01])) for at in range(int(NOW), int(NOW) + 600, 60)])

    assert [Span(start, NOW + 600)] == presence(
        query(store, start=start, end=NOW + 600, now=NOW + 600)
    )
    assert 10 == store.minutes_read


def test_late_minutes_of_a_sealed_hour_count_before_it_is_sealed_again():
    """What a worker kept while the database was away is known as soon as it is stored."""
    store = MemoryStore(clock=lambda: NOW)
    start = int(NOW) // HOUR_S * HOUR_S - 4 * HOUR_S
    end = start + 2 * HOUR_S
    began(store, start, NOW)
    frames = [minute(at, requests([0.01])) for at in range(start, end, 60)]
    store.add_frames(frames[:50] + frames[60:])
    assert 2 == seal(store, now=NOW, pause=lambda: None)
    store.add_frames(frames[50:60])

    assert [Span(start, end)] == presence(query(store, start=start, end=end))


def test_the_address_of_the_api(store):
    """health.json tells the state of each check and the uptime over the window."""
    lived(store, BEGIN, NOW)
    tell(store, "pay", [(BEGIN, "pass"), (NOW - 360, "fail")])
    wk = watched(store)

    response = Browser(wk).get("/api/v1/health.json?range=1h")

    assert 200 == response.status, text(response)
    assert "application/json" == header(response, "content-type")
    assert '"state":"fail"' in text(response)
