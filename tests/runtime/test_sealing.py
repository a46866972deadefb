"""Sealing hours: nothing lost, nothing twice, whenever and however often it is done."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored import HERE, OTHER, SHOP, THERE, batch, counter, frame, latency, memory

from watchkeeper.core.catalogue import SELF_UP
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.hours import coarse
from watchkeeper.core.slot import Gauge
from watchkeeper.runtime.hours import seal
from watchkeeper.runtime.retention import roll_up
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.store import Unsealed

HOUR_S = 3_600
OVER = HOUR_S + 120.0  # when the first hour is sealed


def rest() -> None:
    """Give way to nobody."""


def both(store: Store, *, now: float) -> None:
    """Roll up slots and seal hours, as the holder of the lease does each minute."""
    roll_up(store, now=now, pause=rest)
    while seal(store, now=now, pause=rest):
        pass


def sums(store: Store, metric: str = "orders_total") -> dict[int, float]:
    """Read what a metric adds up to in each hour."""
    rows = store.hours(since=0, until=1e6, **HERE, metrics=[metric])
    return {row.start: row.hour.sum for row in rows}


def minutes(store: Store, start: int = 0, metric: str = "orders_total") -> dict[int, float]:
    """Read a counter's minutes from the hour's chunk."""
    frames = store.minutes(start, **HERE, metrics=[metric])
    return {one.key.start: sum(one.values.values()) for one in frames}


@pytest.fixture(scope="module")
def sqlite_file() -> Iterator[Store]:
    """Open one SQLite store for many examples."""
    with TemporaryDirectory() as folder:
        store = open_store(str(Path(folder) / "watchkeeper.db"))
        store.migrate()
        yield store
        store.close()


def minute(start: int, orders: float = 1.0, sequence: int = 0):
    """Make a minute frame that counts orders."""
    values = {counter(): orders, memory(): Gauge(orders, orders, orders)}
    return frame(start, 0, sequence=sequence, resolution=60, values=values)


def test_an_hour_is_sealed_two_minutes_after_its_end(store: Store):
    """Its minutes become a row and a chunk of each series, and are left where they are."""
    store.add_frames([minute(start) for start in range(0, 2 * HOUR_S, 60)])

    assert 0 == seal(store, now=OVER - 1, pause=rest)
    assert 1 == seal(store, now=OVER, pause=rest)
    assert 0 == seal(store, now=OVER, pause=rest)

    assert {0: 60.0} == sums(store)
    assert dict.fromkeys(range(0, HOUR_S, 60), 1.0) == minutes(store)
    assert 120 == len(store.frames(60, since=0, until=1e6, **HERE))


def test_a_late_minute_is_merged_into_its_hour(store: Store):
    """A worker that was cut off for hours loses nothing: row and chunk grow by what it had."""
    worker = store.register(SHOP, host="web", pid=1, at=0.0)
    store.write(batch(frame(0, worker.id, values={counter(): 1.0, latency(): Histogram([0.1])})))
    both(store, now=OVER)
    for start in (10, 3_590):
        values = {counter(): 20.0, latency(): Histogram([0.4])}
        store.write(batch(frame(start, worker.id, values=values)))

    both(store, now=4 * OVER)

    assert {0: 41.0} == sums(store)
    assert {0: 21.0, 3_540: 20.0} == minutes(store)
    (row,) = store.hours(since=0, until=1, **HERE, metrics=["request_seconds"])
    assert coarse([Histogram([0.1, 0.4, 0.4])]) == replace(row.hour).histogram
    assert {0: 2} == store.sealed_hours(since=0, until=1, **HERE)


def test_a_late_minute_of_an_hour_without_minutes_is_added_to_its_row(store: Store):
    """Where the minutes are kept no more the figures grow all the same."""
    store.add_frames([minute(0, 5.0)])
    both(store, now=OVER)
    store.prune_chunks(before=1e6, limit=99)
    store.add_frames([minute(60, 7.0)])

    both(store, now=OVER)

    assert {0: 12.0} == sums(store)
    (row,) = store.hours(since=0, until=1, **HERE, metrics=["memory_bytes"])
    assert (2, 5.0, 7.0, 5.0) == (row.hour.count, row.hour.min, row.hour.max, row.hour.last)


def test_each_scope_knows_its_minutes(store: Store):
    """Of how many minutes there is something is told for each service by itself."""
    theirs = counter(scope=OTHER)
    store.add_frames([minute(0), minute(60), minute(60, sequence=1)])
    store.add_frames([frame(120, 0, resolution=60, values={theirs: 1.0})])

    both(store, now=OVER)

    assert {0: 2} == store.sealed_hours(since=0, until=1, **HERE)
    assert {0: 1} == store.sealed_hours(since=0, until=1, **THERE)
    assert {0: 1.0, 60: 1.0} == {
        one.key.start: value.last
        for one in store.minutes(0, **HERE, metrics=[SELF_UP.name])
        for value in one.values.values()
        if isinstance(value, Gauge)
    }


def test_frames_without_values_do_not_wait_for_ever(store: Store):
    """A minute in which nothing was recorded is marked like any other."""
    store.add_frames([frame(0, 0, resolution=60, values={})])

    assert 1 == seal(store, now=OVER, pause=rest)
    assert 0 == seal(store, now=OVER, pause=rest)


def test_a_long_backlog_is_worked_off_in_bounded_calls(store: Store):
    """After an upgrade the hours of two weeks are sealed a few at a time, oldest first."""
    store.add_frames([minute(start) for start in range(0, 9 * HOUR_S, 600)])

    written = [seal(store, now=10 * OVER, pause=rest) for _ in range(10)]

    assert 9 == sum(written)
    assert max(written) < 9
    assert dict.fromkeys(range(0, 9 * HOUR_S, HOUR_S), 6.0) == sums(store)


def test_it_gives_way_between_series(store: Store):
    """Sealing pauses at least once per minute and per series, for requests of the host."""
    store.add_frames([minute(start) for start in range(0, HOUR_S, 60)])
    pauses: list[int] = []

    seal(store, now=OVER, pause=lambda: pauses.append(1))

    assert len(pauses) >= 62


def test_an_hour_is_the_same_in_any_number_of_shares(store: Store):
    """Series by series or all at once: the hour is whole either way."""

    class Split:
        """The store, splitting hours into many shares."""

        def __getattr__(self, name: str):
            return getattr(store, name)

        def unsealed(self, **asked: float) -> list[Unsealed]:
            return [replace(one, shares=7) for one in store.unsealed(**asked)]

    values = {counter(plan=str(number)): 1.0 for number in range(50)}
    frames = [frame(at, 0, resolution=60, values=values) for at in (0, 60)]
    store.add_frames(frames)

    assert 1 == seal(Split(), now=OVER, pause=rest)

    rows = store.hours(since=0, until=1, **HERE, metrics=["orders_total"])
    assert [2.0] * 50 == [row.hour.sum for row in rows]
    assert {0: 2} == store.sealed_hours(since=0, until=1, **HERE)


def test_rollers_at_once_count_everything_once(store: Store):
    """Processes that all believe they hold the lease do no harm, late minutes or not."""
    store.add_frames([minute(start) for start in range(0, HOUR_S, 60)])
    start = threading.Barrier(4)

    def run(number: int) -> None:
        start.wait()
        for sequence in range(3):
            store.add_frames([minute(60 * number, 1.0, sequence=10 * number + sequence + 1)])
            seal(store, now=OVER, pause=rest)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(run, range(4)))
    both(store, now=OVER)

    assert {0: 72.0} == sums(store)
    assert 72.0 == sum(minutes(store).values())


seconds = st.floats(min_value=1e-6, max_value=1e4)
# An observation: which worker saw it, in which slot of two hours, with which flush, its value.
seen = st.tuples(st.integers(1, 3), st.integers(0, 719), st.integers(0, 1), seconds)


class TestNothingIsLost:
    """Whatever the split into workers, slots and flushes, whenever rolled up and sealed."""

    def check(
        self,
        store: Store,
        observations: Sequence[tuple[int, int, int, float]],
        cuts: Sequence[int],
        moments: Sequence[float],
    ):
        """Write the flushes in three parts, roll up at any moment after each, and compare."""
        for prune in (store.prune_chunks, store.prune_hours):
            prune(before=1e9, limit=1_000_000)
        for resolution in (10, 60):
            store.prune_frames(resolution, before=1e9, limit=1_000_000)
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

        first, second = sorted(cuts)
        parts = (frames[:first], frames[first:second], frames[second:])
        for part, moment in zip(parts, moments, strict=True):
            store.add_frames(part)
            both(store, now=moment)
        both(store, now=2 * HOUR_S + 120.0)

        found = {
            row.start: row.hour
            for row in store.hours(since=0, until=1e6, **HERE, metrics=["request_seconds"])
        }
        orders = sums(store)
        for start in (0, HOUR_S):
            mine = [one for one in observations if start <= 10 * one[1] < start + HOUR_S]
            if not mine:
                assert start not in found
                continue
            whole = coarse([Histogram([value for *_, value in mine])])
            assert (len(mine), whole.min, whole.max) == (
                found[start].count,
                found[start].min,
                found[start].max,
            )
            assert whole.buckets == found[start].histogram.buckets
            assert pytest.approx(whole.sum) == found[start].sum
            assert float(len(mine)) == orders[start]
            by_minute: dict[int, float] = {}
            for _, slot, _, _ in mine:
                at = 10 * slot // 60 * 60
                by_minute[at] = by_minute.get(at, 0.0) + 1
            assert by_minute == minutes(store, start)

    moments = st.tuples(*[st.floats(0.0, 4 * HOUR_S)] * 3)
    cuts = st.tuples(st.integers(0, 40), st.integers(0, 40))

    @given(st.lists(seen, max_size=40), cuts, moments)
    @settings(deadline=None)
    def test_in_memory(self, observations, cuts, moments):
        """Rows and chunks hold exactly what all workers observed."""
        self.check(open_store("memory://"), observations, cuts, moments)

    @given(st.lists(seen, max_size=40), cuts, moments)
    @settings(
        max_examples=15,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_on_sqlite(self, sqlite_file: Store, observations, cuts, moments):
        """The same on a real database."""
        self.check(sqlite_file, observations, cuts, moments)
