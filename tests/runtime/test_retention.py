"""Roll-up and pruning: nothing lost, nothing twice, nothing kept too long."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored import HERE, SHOP, batch, counted, counter, event, frame, latency, sample, statement

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.rollup import merge_frames
from watchkeeper.core.slot import Value
from watchkeeper.runtime.hours import seal
from watchkeeper.runtime.retention import Keep, prune, roll_up
from watchkeeper.storage import Store, open_store

DAY_S = 86_400.0
KEEP = {10: DAY_S, 60: 14 * DAY_S}


def kept(frames_s: dict[int, float], events_s: float = DAY_S, most: int = 50_000) -> Keep:
    """Say how long things are kept; samples for a week."""
    return Keep(frames_s=frames_s, events_s=events_s, samples_s=7 * DAY_S, max_samples=most)


def rest() -> None:
    """Give way to nobody."""


def minutes(store: Store) -> dict[int, dict[str, Value]]:
    """Read the minute frames: minute → metric → value over all parts."""
    frames = store.frames(60, since=0, until=10_000_000, **HERE)
    starts = sorted({one.key.start for one in frames})
    return {
        start: {
            series.metric: value
            for series, value in merge_frames(
                [one for one in frames if one.key.start == start]
            ).items()
        }
        for start in starts
    }


@pytest.fixture(scope="module")
def sqlite_file() -> Iterator[Store]:
    """Open one SQLite store for many examples."""
    with TemporaryDirectory() as folder:
        store = open_store(str(Path(folder) / "watchkeeper.db"))
        store.migrate()
        yield store
        store.close()


def test_a_closed_minute_becomes_one_frame(store: Store):
    """The slots of all workers are merged 30 seconds after the minute ended, not before."""
    one, two = (store.register(SHOP, host="web", pid=pid, at=0.0) for pid in (1, 2))
    for start, worker in ((0, one), (50, one), (50, two), (60, one)):
        values = {counter(): 2.0, latency(): Histogram([0.1 * worker.number])}
        store.write(batch(frame(start, worker.id, values=values)))

    assert 0 == roll_up(store, now=89.0, pause=rest)
    assert 1 == roll_up(store, now=90.0, pause=rest)
    assert 0 == roll_up(store, now=90.0, pause=rest)

    assert {0: {"orders_total": 6.0, "request_seconds": Histogram([0.1, 0.1, 0.2])}} == minutes(
        store
    )


@pytest.mark.parametrize("slot_s", [1, 5, 10, 30])
def test_every_slot_length_that_divides_a_minute_is_rolled_up(store: Store, slot_s: int):
    """A deployment with other slots, or that changed their length, has minutes all the same."""
    worker = store.register(SHOP, host="web", pid=1, at=0.0)
    for start in range(0, 120, slot_s):
        one = frame(start, worker.id, resolution=slot_s, values={counter(): 1.0})
        store.write(batch(one))

    assert 2 == roll_up(store, now=150.0, pause=rest)
    per_minute = 60.0 / slot_s
    assert {0: {"orders_total": per_minute}, 60: {"orders_total": per_minute}} == minutes(store)


def test_a_late_slot_is_added_to_its_minute(store: Store):
    """A worker that was cut off for an hour loses nothing: its slots are added to what exists."""
    worker = store.register(SHOP, host="web", pid=1, at=0.0)
    store.write(batch(frame(0, worker.id, values={counter(): 1.0})))
    roll_up(store, now=90.0, pause=rest)
    store.write(batch(frame(10, worker.id, values={counter(): 41.0})))

    assert 1 == roll_up(store, now=3_700.0, pause=rest)
    assert {0: {"orders_total": 42.0}} == minutes(store)


def test_a_long_backlog_is_worked_off(store: Store):
    """After an outage many hours of slots are rolled up in bounded pieces."""
    frames = [frame(start, 1, values={counter(): 1.0}) for start in range(0, 9_000, 10)]
    store.add_frames(frames)

    assert 150 == roll_up(store, now=9_100.0, pause=rest)
    assert 900.0 == sum(one["orders_total"] for one in minutes(store).values())


def test_it_gives_way_between_frames(store: Store):
    """A roll-up pauses at least once per frame, so that requests of the host go through."""
    store.add_frames([frame(start, 1) for start in range(0, 60, 10)])
    pauses: list[int] = []

    roll_up(store, now=90.0, pause=lambda: pauses.append(1))

    assert len(pauses) >= 6


def test_rollers_at_once_count_everything_once(store: Store):
    """Two processes that both believe they hold the lease do no harm."""
    frames = [
        frame(start, worker, values={counter(): 1.0})
        for start in range(0, 600, 10)
        for worker in (1, 2)
    ]
    store.add_frames(frames)
    start = threading.Barrier(4)

    def run(_: int) -> int:
        start.wait()
        return roll_up(store, now=700.0, pause=rest)

    with ThreadPoolExecutor(4) as threads:
        written = list(threads.map(run, range(4)))

    assert 10 == sum(written)
    assert {60 * n: {"orders_total": 12.0} for n in range(10)} == minutes(store)


seconds = st.floats(min_value=1e-6, max_value=1e4)
# An observation: which worker saw it, in which slot, and with which of its flushes it came.
seen = st.tuples(st.integers(1, 3), st.integers(0, 11), st.integers(0, 2), seconds)


class TestNothingIsLost:
    """Whatever the split into workers, slots and flushes, and whenever rolled up."""

    def check(self, store: Store, observations: Sequence[tuple[int, int, int, float]], cut: int):
        """Write part of the flushes, roll up, write the rest, roll up, and compare totals."""
        store.prune_frames(10, before=1e9, limit=1_000_000)
        store.prune_frames(60, before=1e9, limit=1_000_000)
        flushes: dict[tuple[int, int, int], list[float]] = {}
        for worker, slot, sequence, value in observations:
            flushes.setdefault((worker, slot, sequence), []).append(value)
        frames = [
            frame(
                10 * slot,
                worker,
                sequence=sequence,
                values={counter(): float(len(values)), latency(): Histogram(values)},
            )
            for (worker, slot, sequence), values in flushes.items()
        ]

        for part in (frames[:cut], frames[cut:]):
            store.add_frames(part)
            roll_up(store, now=150.0, pause=rest)

        found = minutes(store)
        for start in (0, 60):
            values = [v for _, slot, _, v in observations if start <= 10 * slot < start + 60]
            if values:
                total = found[start]["request_seconds"]
                assert isinstance(total, Histogram)
                assert float(len(values)) == found[start]["orders_total"]
                expected = Histogram(values)
                assert expected.count == total.count
                assert expected.scale == total.scale
                assert expected.buckets == total.buckets
                assert (expected.min, expected.max) == (total.min, total.max)
                assert expected.sum == pytest.approx(total.sum)
            else:
                assert start not in found

    @given(st.lists(seen, max_size=40), st.integers(0, 40))
    def test_in_memory(self, observations: list[tuple[int, int, int, float]], cut: int):
        """Counters and histograms of the minutes are those of all observations together."""
        store = open_store("memory://")
        self.check(store, observations, cut)

    @given(st.lists(seen, max_size=40), st.integers(0, 40))
    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_on_sqlite(
        self, sqlite_file: Store, observations: list[tuple[int, int, int, float]], cut: int
    ):
        """The same on a real database."""
        self.check(sqlite_file, observations, cut)


def test_each_kind_is_kept_for_its_own_time(store: Store):
    """Slots go after a day, minutes after two weeks, events after a month."""
    now = 40 * DAY_S
    worker = store.register(SHOP, host="web", pid=1, at=now)
    for age in (0.5, 2, 13, 15):
        start = int(now - age * DAY_S) // 60 * 60
        store.add_frames([frame(start, worker.id), frame(start, 0, resolution=60)])
    for number, age in enumerate((1, 29, 31)):
        at = now - age * DAY_S
        start = int(at) // 10 * 10
        flush = frame(start, worker.id, resolution=5)
        one = event(number, at=at)
        store.write(batch(flush, issues=[counted(at=at)], events=[one], at=at))

    gone = prune(store, now=now, keep=kept(KEEP, 30 * DAY_S), pause=rest)

    def ages(resolution: int) -> list[float]:
        frames = store.frames(resolution, since=0, until=now, **HERE)
        return [round((now - one.key.start) / DAY_S, 1) for one in frames]

    assert [0.5] == ages(10)
    assert [13.0, 2.0, 0.5] == ages(60)
    assert [1.0] == ages(5)
    (issue,) = store.issues(**HERE, seen_since=0, limit=9)
    events = store.events(issue.id, limit=9)
    assert [1, 29] == [round((now - one.at) / DAY_S) for one in events]
    assert 3 + 1 + 2 + 2 == gone


def test_each_tier_of_a_sealed_hour_is_kept_for_its_own_time(store: Store):
    """Minute frames go once their hour is sealed, chunks after two weeks, rows after 400 days."""
    now = 500 * DAY_S
    ages = (1 / 24, 1, 13, 15, 399, 401)
    starts = [int(now - age * DAY_S) // 3_600 * 3_600 for age in ages]
    store.add_frames([frame(start, 0, resolution=60) for start in starts])
    while seal(store, now=now + 3_720, pause=rest):
        pass
    late = frame(starts[1] + 60, 0, resolution=60)
    store.add_frames([late])

    for keep in (KEEP, {**KEEP, 3_600: 14 * DAY_S}):
        prune(store, now=now, keep=kept(keep), pause=rest)

        frames = store.frames(60, since=0, until=now, **HERE)
        assert [late.key.start, starts[0]] == [one.key.start for one in frames]
        assert starts[:3] == [start for start in starts if store.minutes(start, **HERE)]
        sealed = store.sealed_hours(since=0, until=now, **HERE)
        assert sorted(starts[: 3 if 3_600 in keep else 5]) == sorted(sealed)


def test_where_slots_are_minutes_they_stay_when_their_hour_is_sealed(store: Store):
    """Rules look at slots, of whatever length: they are kept for the time that is set."""
    now = 40 * DAY_S
    start = int(now - DAY_S)
    store.add_frames([frame(start, 1, resolution=60)])
    seal(store, now=now, pause=rest)

    keep = {60: 14 * DAY_S}
    prune(store, now=now, keep=kept(keep), pause=rest)

    assert [start] == [one.key.start for one in store.frames(60, since=0, until=now, **HERE)]


def test_pruning_pauses_between_transactions(store: Store):
    """Thousands of old rows go in pieces of a thousand, with a pause after each."""
    store.add_frames([frame(start, 1, values={}) for start in range(0, 25_000, 10)])
    pauses: list[int] = []

    gone = prune(
        store,
        now=10 * DAY_S,
        keep=kept(KEEP),
        pause=lambda: pauses.append(1),
    )

    assert 2_500 == gone
    assert len(pauses) >= 3


def test_samples_are_kept_for_their_time_and_up_to_their_number(store: Store):
    """Samples and statements go after a week, and the oldest samples where there are too many."""
    now = 40 * DAY_S
    worker = store.register(SHOP, host="web", pid=1, at=now)
    days = (1, 2, 3, 8)
    store.write(
        batch(
            frame(0, worker.id),
            samples=[sample(age, at=now - age * DAY_S) for age in days],
            statements=[statement(f"{age}", at=now - age * DAY_S) for age in days],
        )
    )

    for most, left in ((50_000, [1, 2, 3]), (2, [1, 2])):
        prune(
            store,
            now=now,
            keep=kept(KEEP, most=most),
            pause=rest,
        )

        found = store.samples(**HERE, since=0, until=now, limit=9)
        assert left == [round((now - one.at) / DAY_S) for one in found]
    assert ["1", "2", "3"] == [one.fingerprint for one in store.statements(**HERE)]
