"""Samples as the process holds and shapes them."""

from collections import Counter

import pytest

from watchkeeper.core.metrics import Scope
from watchkeeper.core.sampling import WINDOW_S, Level, Reason
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.known import Known
from watchkeeper.runtime.operations import Operation, OperationKind
from watchkeeper.runtime.record import MAX_SPANS, Inside, Record
from watchkeeper.runtime.samples import MAX_CHOICES, MAX_HELD, Sampler, Taken
from watchkeeper.testing import ManualClock

SCOPE = Scope(service="shop", environment="production", release="v1")
QUERY = Operation(OperationKind.DB, "SELECT * FROM carts WHERE id = ?", statement="00aa")
CALL = Operation(OperationKind.HTTP, "GET pay.example")
PRICING = Operation(OperationKind.OWN, "pricing")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sampler(clock) -> Sampler:
    return Sampler(SCOPE, look_from=lambda route: float("inf"), clock=clock)


def taken(inside: Inside | None = None, **given) -> Taken:
    """Make a request that began at 100.0 and took half a second."""
    fields = {
        "start": 100.0,
        "at": 1_000.0,
        "reason": Reason.ORDINARY,
        "method": "GET",
        "route": "/carts/{key}",
        "status": 200,
        "seconds": 0.5,
        "request_id": "abc",
        "choice": None,
    }
    return Taken(inside, **{**fields, **given})


def known(text: str) -> Known:
    """Return what an error of an own fingerprint is known as."""
    error = KeyError("a")
    error.__watchkeeper_fingerprint__ = [text]
    return Issues(SCOPE).known(error)


def inside(*spans) -> Inside:
    """Make what a record holds after these spans."""
    record = Record.beginning(100.0)
    for operation, start, seconds in spans:
        record.add(operation, start, seconds)
    return record.opened()


def test_a_sample_tells_where_the_time_went(sampler):
    """By kind, with the spans as a waterfall; what is left is the application's own."""
    part = inside((QUERY, 100.1, 0.05), (CALL, 100.2, 0.2), (QUERY, 100.01, 0.01))
    part.queue_s, part.first_byte_s = 0.25, 0.4
    part.user, part.tags = "f00d", {"plan": "pro"}

    sampler.keep(taken(part))

    (sample,) = sampler.take()
    assert ("GET", "/carts/{key}", 200, 0.5, "v1", "abc", "ordinary") == (
        sample.method,
        sample.route,
        sample.status,
        sample.duration_s,
        sample.release,
        sample.request_id,
        sample.reason,
    )
    assert {
        "kinds": {"db": [2, 0.06], "http": [1, 0.2]},
        "own_s": 0.24,
        "queue_s": 0.25,
        "first_byte_s": 0.4,
        "user": "f00d",
        "tags": {"plan": "pro"},
        "omitted": 0,
        "spans": [
            {"kind": "db", "name": QUERY.name, "statement": "00aa", "start_s": 0.01,
             "seconds": 0.01},
            {"kind": "db", "name": QUERY.name, "statement": "00aa", "start_s": 0.1,
             "seconds": 0.05},
            {"kind": "http", "name": "GET pay.example", "statement": "", "start_s": 0.2,
             "seconds": 0.2},
        ],
    } == sample.data  # fmt: skip


def test_a_request_without_anything_inside_is_its_own_time(sampler):
    """Nothing is made up about it."""
    sampler.keep(taken())

    (sample,) = sampler.take()

    assert {"kinds": {}, "own_s": 0.5, "spans": [], "omitted": 0} == sample.data


def test_own_spans_do_not_lessen_the_own_time(sampler):
    """A span of the application's own is part of its own time."""
    sampler.keep(taken(inside((PRICING, 100.1, 0.3))))

    (sample,) = sampler.take()

    assert 0.5 == sample.data["own_s"]
    assert {"own": [1, 0.3]} == sample.data["kinds"]


def test_the_twenty_slowest_spans_are_shown(sampler):
    """The others are counted; none of the time by kind is missing."""
    spans = [(QUERY, 100.0 + n / 10_000, 0.001 if n else 0.1) for n in range(MAX_SPANS + 50)]

    sampler.keep(taken(inside(*spans)))

    (sample,) = sampler.take()
    assert 20 == len(sample.data["spans"])
    assert 0.1 == sample.data["spans"][0]["seconds"]
    assert MAX_SPANS + 50 - 20 == sample.data["omitted"]
    assert [1_050, 1.149] == sample.data["kinds"]["db"]


def test_secrets_in_tags_are_scrubbed(sampler):
    """A tag is the user's text: it passes the same scrubbing as everything else."""
    part = inside()
    part.tags = {"password": "hunter2", "plan": "pro"}

    sampler.keep(taken(part))

    (sample,) = sampler.take()
    assert "pro" == sample.data["tags"]["plan"]
    assert "hunter2" not in str(sample.data)


def test_an_overtaken_slow_request_is_left_out(sampler):
    """Of a window's slow requests only those are stored that are still among the slowest three."""
    choice = sampler.choice("/carts/{key}")
    for seconds in (0.1, 0.2, 0.3, 0.4, 0.5):
        reason = choice.choose(seconds) if seconds > choice.above else None
        sampler.keep(taken(reason=reason, seconds=seconds, choice=choice))

    assert [("ordinary", 0.1), ("slow", 0.3), ("slow", 0.4), ("slow", 0.5)] == [
        (sample.reason, sample.duration_s) for sample in sampler.take()
    ]


def test_a_window_ends_after_ten_minutes(sampler, clock):
    """Then an ordinary request is due again."""
    choice = sampler.choice("/")
    choice.choose(0.1)
    clock.move(WINDOW_S)

    sampler.take()

    assert Reason.ORDINARY is choice.choose(0.1)


def test_a_clock_set_back_does_not_stop_sampling(sampler, clock):
    """A window never lasts until a time that the clock reaches next year."""
    choice = sampler.choice("/")
    choice.choose(0.1)
    clock.move(-90 * 86_400.0)

    sampler.take()

    assert Reason.ORDINARY is choice.choose(0.1)


def test_failed_requests_are_limited_per_issue_and_minute(sampler):
    """Five of each; one without an issue counts by its route and status."""
    for issue in (known("aa"), known("bb"), None):
        for _ in range(9):
            sampler.keep_failed(taken(reason=Reason.FAILED), issue)

    assert {known("aa").fingerprint: 5, known("bb").fingerprint: 5, "": 5} == Counter(
        s.fingerprint for s in sampler.take()
    )


def test_a_failed_request_of_an_ignored_issue_is_not_stored(sampler):
    """Ignored is counted, and no more; what failed otherwise is stored."""
    sampler.is_ignored = lambda issue: issue.fingerprint == known("aa").fingerprint
    for issue in (known("aa"), known("bb"), None):
        sampler.keep_failed(taken(reason=Reason.FAILED), issue)

    assert [known("bb").fingerprint, ""] == [one.fingerprint for one in sampler.take()]


def test_a_failed_request_names_its_error_and_the_path_to_it(sampler):
    """So that it is found under an issue that was split by the path."""
    failing = known("aa")
    sampler.keep_failed(taken(reason=Reason.FAILED), failing)

    (sample,) = sampler.take()

    assert (failing.settle().value, failing.settle().path) == (sample.fingerprint, sample.path)
    assert len(sample.path) == 16


def test_what_has_no_room_is_dropped_and_counted(sampler):
    """Between two flushes no more than a bound is held."""
    for _ in range(MAX_HELD + 7):
        sampler.keep(taken())

    assert 7 == sampler.dropped
    assert MAX_HELD == len(sampler.take())


def test_routes_without_end_share_one_choice(sampler):
    """The number of routes that are chosen from is bounded."""
    choices = {id(sampler.choice(f"/{n}")) for n in range(MAX_CHOICES + 100)}

    assert MAX_CHOICES + 1 == len(choices)


@pytest.mark.parametrize(
    ("level", "stored"),
    [(Level.FULL, ["failed", "ordinary", "slow"]), (Level.FEWER, ["failed", "ordinary"]), (0, [])],
)
def test_the_level_lowers_what_is_stored(sampler, level, stored):
    """Less is stored while watching costs too much; nothing at the lowest level."""
    choice = sampler.choice("/")
    sampler.set_level(Level(level))

    sampler.keep_failed(taken(reason=Reason.FAILED), known("aa"))
    for seconds in (0.1, 0.9):
        reason = choice.choose(seconds) if seconds > choice.above else None
        if reason is not None:
            sampler.keep(taken(reason=reason, seconds=seconds, choice=choice))

    assert stored == [sample.reason for sample in sampler.take()]


def test_samples_can_be_switched_off(clock):
    """With the setting off no level brings them back."""
    sampler = Sampler(SCOPE, look_from=lambda route: 1.0, enabled=False, clock=clock)

    sampler.set_level(Level.FULL)

    assert 1.0 == sampler.choice("/").above
    assert sampler.choice("/").choose(9.0) is None
