"""What waits while the database is away: bounded, and exact however long it lasts."""

import tracemalloc
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from stored import result, sample, statement

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Kind, Scope, Series
from watchkeeper.core.rollup import merge_time
from watchkeeper.core.slot import Frame, FrameKey
from watchkeeper.runtime.held import MAX_EVENTS, MAX_SAMPLES, MAX_STATEMENTS, Held, size_bytes
from watchkeeper.runtime.issues import MAX_ISSUES, Issues
from watchkeeper.storage.store import Batch, Event, IssueCount, Sample, Statement

SCOPE = Scope(service="shop", environment="test")
ORDERS = Series("orders_total", Kind.COUNTER, ())
DURATION = Series("http_server_request_duration_seconds", Kind.HISTOGRAM, ())


def batch(number: int, *, orders: float = 1.0, events: int = 0, fingerprint: str = "1:a") -> Batch:
    return Batch(
        scope=SCOPE,
        frame=Frame(
            key=FrameKey(10, number * 10, 0, number),
            values={ORDERS: orders, DURATION: Histogram([0.1 * (number + 1)])},
        ),
        at=number * 10.0,
        issues=[
            IssueCount(
                fingerprint=fingerprint,
                count=2,
                first_at=number,
                last_at=number,
                type="KeyError",
                title="KeyError: 'sku'",
                culprit="shop:total",
            )
        ],
        events=[Event(id=f"{number}-{at}", fingerprint="1:a", at=at) for at in range(events)],
    )


@given(st.integers(1, 60), st.integers(2, 9))
def test_nothing_is_lost_when_slots_are_merged(count, max_slots):
    """However small the bound, the sums of what waits are those of what was added."""
    held = Held(max_slots=max_slots, max_bytes=10**9)

    for number in range(count):
        held.add(batch(number))

    merged = merge_time(waiting.frame.values for waiting in held)
    assert len(held) <= max_slots
    assert count == merged[ORDERS]
    assert count == merged[DURATION].count
    assert 2 * count == sum(issue.count for waiting in held for issue in waiting.issues)


def test_bytes_are_bounded_too():
    """Many slots that are too large together are merged, whatever their number."""
    held = Held(max_slots=1_000, max_bytes=20_000)

    for number in range(200):
        held.add(batch(number))

    assert len(held) < 100
    assert 200 == merge_time(waiting.frame.values for waiting in held)[ORDERS]


def test_the_oldest_become_minutes_before_anything_else_changes():
    """In a longer outage the last hour stays fine, and what came before is coarse."""
    held = Held(max_slots=20, max_bytes=10**9)

    for number in range(60):  # ten minutes
        held.add(batch(number, events=1))

    starts = [waiting.frame.key.start for waiting in held]
    assert [0, 60, 120, 180, 240, 300, 360, 420] == starts[:8]
    assert [540, 550, 560, 570, 580, 590] == starts[-6:]
    assert 60 == sum(len(waiting.events) for waiting in held)
    assert 0 == held.dropped_events


def test_the_last_result_of_each_check_stays_when_slots_are_merged():
    """Checks that ran at other times are not lost for those that ran last."""
    held = Held(max_slots=2, max_bytes=10**9)
    told = (
        [result("db", at=1.0), result("disk", at=1.0)],
        [result("db", at=2.0)],
        [result("db", at=3.0), result("disk", worker=7, at=3.0)],
    )
    for number, checks in enumerate(told):
        held.add(replace(batch(number), checks=checks))

    found = {(one.name, one.worker): one.at for kept in held for one in kept.checks}

    assert {("db", 0): 3.0, ("disk", 0): 1.0, ("disk", 7): 3.0} == found


def test_details_go_when_minutes_were_not_enough():
    """Only when all is in minutes are stored errors dropped, the oldest, and they are counted."""
    held = Held(max_slots=1_000, max_bytes=100_000)

    for number in range(300):
        held.add(batch(number, events=3))

    waiting = list(held)
    minutes = [one.frame.key.start // 60 for one in waiting]
    kept = [len(one.events) for one in waiting]
    assert 0 < held.dropped_events < 900
    assert 900 == held.dropped_events + sum(kept)
    assert kept == sorted(kept, key=bool)
    assert all(1 == minutes.count(minute) for minute in minutes if minute != minutes[-1])
    assert 600 == sum(issue.count for one in waiting for issue in one.issues)


def test_different_errors_are_bounded_when_slots_are_merged():
    """Ever new errors for days fill no memory: beyond the cap they are counted as one issue."""
    held = Held(max_slots=2, max_bytes=10**9)

    for number in range(12):
        one = batch(number)
        issues = [replace(one.issues[0], fingerprint=f"1:{number}-{at}") for at in range(600)]
        held.add(replace(one, issues=issues))

    counts = [len(waiting.issues) for waiting in held]
    assert max(counts) <= MAX_ISSUES
    assert held.folded_issues > 0
    assert 12 * 600 * 2 == sum(issue.count for waiting in held for issue in waiting.issues)


def test_errors_are_merged_by_call_path():
    """Routes add up and users are named once, each path for itself."""
    held = Held(max_slots=2, max_bytes=10**9)
    paths = (("p1", "GET /a", "u1"), ("p2", "GET /a", "u1"), ("p1", "GET /a", "u2"))
    for number, (path, route, user) in enumerate(paths):
        one = batch(number)
        told = replace(one.issues[0], path=path, routes={route: 2}, users=("u0", user))
        held.add(replace(one, issues=[told]))

    counts = [one for waiting in held for one in waiting.issues]

    first = {one.path: one for one in held.oldest().issues}
    assert 6 == sum(one.count for one in counts)
    assert {"p1", "p2"} == set(first)
    held.max_slots = 1
    held.add(replace(batch(3), issues=[]))
    first = {one.path: one for one in held.oldest().issues}
    assert (4, {"GET /a": 4}, ("u0", "u1", "u2")) == (
        first["p1"].count,
        first["p1"].routes,
        first["p1"].users,
    )
    assert (2, {"GET /a": 2}, ("u0", "u1")) == (
        first["p2"].count,
        first["p2"].routes,
        first["p2"].users,
    )


def test_errors_count_as_bytes():
    """A thousand different errors in each slot are what fills the room, and it is seen."""
    held = Held(max_slots=1_000, max_bytes=2_000_000)

    for number in range(30):
        one = batch(number)
        issues = [replace(one.issues[0], fingerprint=f"1:{at}") for at in range(1_000)]
        held.add(replace(one, issues=issues))

    assert len(held) <= 5
    assert 30 * 2_000 == sum(issue.count for waiting in held for issue in waiting.issues)


def deep(levels: int) -> None:
    """Raise from some depth."""
    if levels:
        deep(levels - 1)
    raise ValueError("no such plan")


def captured(count: int) -> Batch:
    """Capture real errors with long stacks."""
    issues = Issues(SCOPE)
    for number in range(count):
        try:
            deep(30)
        except ValueError as error:
            issues.capture(error, fingerprint=(str(number),), context={"order": number})
    counts, events = issues.take()
    return replace(batch(1), issues=counts, events=events)


def test_what_is_held_is_weighed_about_right():
    """The bound is on memory: what long stacks really take is neither ignored nor exaggerated."""
    captured(1)  # what is loaded and cached once
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    one = captured(20)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 0.7 < size_bytes(one) / (after - before) < 3


def test_a_batch_that_may_have_been_written_is_never_merged():
    """After an uncertain commit the oldest batch keeps its key and its content."""
    held = Held(max_slots=3, max_bytes=10**9)
    held.add(batch(0))
    held.tried(held.oldest())

    for number in range(1, 20):
        held.add(batch(number))

    assert 1.0 == held.oldest().frame.values[ORDERS]
    assert 20 == merge_time(waiting.frame.values for waiting in held)[ORDERS]


def test_events_are_dropped_and_counted_but_never_counts():
    """Stored occurrences have a bound; how many were left out is known."""
    held = Held(max_slots=2, max_bytes=10**9)

    for number in range(5):
        held.add(batch(number, events=500))

    assert held.dropped_events > 0
    assert 2_500 == held.dropped_events + sum(len(waiting.events) for waiting in held)
    assert all(len(waiting.events) <= MAX_EVENTS for waiting in held)
    assert 10 == sum(issue.count for waiting in held for issue in waiting.issues)


def sampled(number: int, samples: list[Sample], statements: list[Statement]) -> Batch:
    """Make a slot with stored requests and statements."""
    return replace(batch(number), samples=samples, statements=statements)


def test_samples_are_dropped_and_counted():
    """Stored requests that wait have a bound; failed ones are kept before others."""
    held = Held(max_slots=2, max_bytes=10**9)
    for number in range(4):
        failed = sample(number, reason="failed")
        others = [sample(1_000 * (number + 1) + at) for at in range(299)]
        held.add(sampled(number, [*others, failed], []))

    kept = [one for waiting in held for one in waiting.samples]

    assert 1_200 == held.dropped_samples + len(kept)
    assert held.dropped_samples > 0
    assert all(len(waiting.samples) <= MAX_SAMPLES for waiting in held)
    assert 4 == sum(one.reason == "failed" for one in kept)


def test_statements_are_merged_by_fingerprint():
    """A statement that several slots report waits once, with all its callers."""
    held = Held(max_slots=2, max_bytes=10**9)
    for number in range(3):
        one = statement("a1", at=float(number), callers=(f"shop:f:{number}",))
        held.add(sampled(number, [], [one]))

    first, _ = held
    assert [("shop:f:1", "shop:f:0")] == [one.callers for one in first.statements]
    assert 0 == held.dropped_statements


def test_statements_are_dropped_and_counted():
    """The texts of endless statements have a bound."""
    held = Held(max_slots=2, max_bytes=10**9)
    for number in range(3):
        texts = [statement(f"{number}-{at}") for at in range(1_500)]
        held.add(sampled(number, [], texts))

    assert 1_000 == held.dropped_statements
    assert [MAX_STATEMENTS, 1_500] == [len(waiting.statements) for waiting in held]


def test_samples_and_statements_count_as_bytes():
    """Slots that are small but hold many stored requests are merged as well."""
    held = Held(max_slots=1_000, max_bytes=100_000)

    for number in range(50):
        held.add(sampled(number, [sample(number)], [statement(f"{number}", text="x" * 4_000)]))

    assert len(held) < 25


def test_written_batches_leave_oldest_first():
    """What is in the database waits no longer."""
    held = Held(max_slots=10, max_bytes=10**9)
    held.add(batch(0))
    held.add(batch(1))

    held.written(held.oldest())

    assert 1 == len(held)
    assert 10 == held.oldest().frame.key.start
