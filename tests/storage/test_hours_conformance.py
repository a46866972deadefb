"""What every store does with hours: one suite for all of them."""

from collections.abc import Sequence
from sys import float_info

import pytest
from sqlalchemy import update
from stored import HERE, OTHER, THERE, counter, frame, latency, memory

from watchkeeper.core.catalogue import SELF_UP
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.hours import Hour, coarse, summed
from watchkeeper.core.metrics import Series
from watchkeeper.core.slot import Frame, FrameKey, Gauge, Value
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.hour import pack_minutes
from watchkeeper.storage.sql import SqlStore
from watchkeeper.storage.sql.schema import chunk, hour
from watchkeeper.storage.store import SealedHour

HOUR = 7_200
ORDERS = counter()
LATENCY = latency(route="/checkout")
MEMORY = memory()
UP = Series(
    SELF_UP.name,
    SELF_UP.kind,
    (("environment", "production"), ("service", "shop")),
    SELF_UP.across,
)
ONE: dict[Series, Value] = {
    ORDERS: 3.0,
    LATENCY: Histogram([0.12, 0.3, 0.0, 7.5]),
    MEMORY: Gauge(5.0, 4.0, 9.5),
    UP: Gauge(1.0, 1.0, 1.0),
}
OF_HOUR = {"since": HOUR, "until": HOUR + 3_600}


def minute(start: int, values: dict[Series, Value] = ONE, sequence: int = 0) -> Frame:
    """Make a minute frame."""
    return frame(start, 0, sequence=sequence, resolution=60, values=values)


def sealed(values: dict[Series, Value] = ONE, revision: int = 0, at: int = 0) -> list[SealedHour]:
    """Make what a roller writes of an hour with one minute."""
    return [
        SealedHour(
            series=series,
            hour=summed({at: value}),
            chunk=pack_minutes({at: value}),
            revision=revision,
        )
        for series, value in values.items()
    ]


def read(store: Store, **more: object) -> dict[Series, Hour]:
    """Read the rows of the hour, by series."""
    return {row.series: row.hour for row in store.hours(**OF_HOUR, **HERE, **more)}


def keys(frames: Sequence[Frame]) -> list[FrameKey]:
    """Return the keys of frames."""
    return [one.key for one in frames]


def test_what_was_sealed_is_read(store: Store):
    """Figures, percentiles' histograms and minutes of each kind come back as they were."""
    store.add_frames([minute(HOUR)])

    assert store.seal(HOUR, sealed(), [FrameKey(60, HOUR, 0, 0)])

    assert {series: summed({0: value}) for series, value in ONE.items()} == read(store)
    assert [minute(HOUR)] == store.minutes(HOUR, **HERE)
    assert {HOUR: 1} == store.sealed_hours(since=0, until=HOUR + 1, **HERE)


def test_hours_are_chosen_by_span_scope_and_metric(store: Store):
    """A span takes in its beginning and leaves out its end; other services do not show."""
    theirs = latency(OTHER)
    for start in (0, 3_600, HOUR, 10_800):
        store.seal(start, sealed({**ONE, theirs: Histogram([1.0])}), [])

    rows = store.hours(since=3_600, until=10_800, **HERE, metrics=["orders_total"])

    assert [(3_600, ORDERS), (HOUR, ORDERS)] == [(row.start, row.series) for row in rows]
    assert [theirs] == [row.series for row in store.hours(since=0, until=1, **THERE)]
    assert {3_600: 1, HOUR: 1} == store.sealed_hours(since=3_600, until=10_800, **HERE)
    assert {} == store.sealed_hours(since=0, until=10_800, **THERE)
    assert [{ORDERS: 3.0}] == [
        one.values for one in store.minutes(HOUR, **HERE, metrics=["orders_total"])
    ]
    assert [] == store.minutes(14_400, **HERE)


def test_some_series_are_read_alone(store: Store):
    """A page that shows few routes reads the hours of these, and no others'."""
    for start in (0, HOUR):
        store.seal(start, sealed(), [])

    rows = store.hours(since=0, until=1e6, **HERE, series=[LATENCY])

    assert [(0, LATENCY), (HOUR, LATENCY)] == [(row.start, row.series) for row in rows]
    assert [] == store.hours(since=0, until=1e6, **HERE, series=[])
    assert [] == store.hours(
        since=0, until=1e6, **HERE, metrics=["orders_total"], series=[LATENCY]
    )


def test_hours_are_added_up_by_the_store(store: Store):
    """Count and sum of each series over a span, of the scope and metrics asked for."""
    theirs = latency(OTHER)
    for start in (0, 3_600, HOUR):
        store.seal(start, sealed({**ONE, theirs: Histogram([1.0])}), [])

    totals = store.hour_totals(since=3_600, until=HOUR + 1, **HERE)

    assert {ORDERS, LATENCY, MEMORY, UP} == totals.keys()
    assert (2, 6.0) == (totals[ORDERS].count, totals[ORDERS].sum)
    assert (8, pytest.approx(15.84)) == (totals[LATENCY].count, totals[LATENCY].sum)
    assert [ORDERS] == list(
        store.hour_totals(since=0, until=HOUR + 1, **HERE, metrics=["orders_total"])
    )
    assert {} == store.hour_totals(since=10_800, until=1e6, **HERE)


def test_the_largest_numbers_can_be_added_up(store: Store):
    """A sum beyond all numbers is the largest one, not an error of the server's."""
    largest = 1.7e308
    for start in (0, 3_600):
        store.seal(start, sealed({ORDERS: largest}), [])

    (total,) = store.hour_totals(since=0, until=HOUR, **HERE).values()

    assert float_info.max == total.sum


def test_an_hour_waits_until_it_is_over(store: Store):
    """Hours with minutes in no row yet are listed when they have ended, oldest first."""
    store.add_frames([minute(at) for at in (HOUR + 3_540, HOUR, HOUR + 3_600, 0)])

    assert [] == store.unsealed(before=3_599.0, limit=9)
    assert [0] == [one.start for one in store.unsealed(before=HOUR + 3_600.0, limit=1)]
    hours = store.unsealed(before=HOUR + 3_600.0, limit=9)

    assert [(0, (0,)), (HOUR, (HOUR, HOUR + 3_540))] == [
        (one.start, tuple(key.start for key in one.keys)) for one in hours
    ]


def test_a_sealed_minute_does_not_wait_any_more(store: Store):
    """The mark is in the same transaction as the row: a minute goes into its hour once."""
    store.add_frames([minute(HOUR), minute(HOUR + 60)])
    store.seal(HOUR, sealed(), [FrameKey(60, HOUR, 0, 0)])

    (waiting,) = store.unsealed(before=1e6, limit=9)

    assert (FrameKey(60, HOUR + 60, 0, 0),) == waiting.keys


def test_shares_hold_every_series_once(store: Store):
    """However an hour is split to be read, each series is in exactly one share."""
    values = {counter(plan=str(number)): float(number) for number in range(1, 300)}
    store.add_frames([minute(HOUR, values), minute(HOUR + 60, values)])
    (waiting,) = store.unsealed(before=1e6, limit=9)

    from dataclasses import replace

    three = replace(waiting, shares=3)
    shares = [store.unsealed_frames(three, number) for number in range(3)]

    for place in range(2):
        found: dict[Series, Value] = {}
        total = 0
        for frames in shares:
            if frames:
                found.update(frames[place].values)
                total += len(frames[place].values)
        assert values == found
        assert 299 == total


def test_a_second_roller_changes_nothing(store: Store):
    """Whoever comes second finds the source marked, and leaves rows and marks as they are."""
    store.add_frames([minute(HOUR), minute(HOUR + 60)])
    first, second = FrameKey(60, HOUR, 0, 0), FrameKey(60, HOUR + 60, 0, 0)

    assert store.seal(HOUR, sealed(), [first])
    assert not store.seal(HOUR, sealed({ORDERS: 99.0}, revision=1), [first, second])
    assert not store.seal(HOUR, sealed({ORDERS: 99.0}, revision=1), [FrameKey(60, 0, 0, 7)])

    assert summed({0: 3.0}) == read(store)[ORDERS]
    (waiting,) = store.unsealed(before=1e6, limit=9)
    assert (second,) == waiting.keys


@pytest.mark.parametrize("revision", [0, 2])
def test_a_roller_that_read_an_older_row_changes_nothing(store: Store, revision: int):
    """A late minute is merged into the row as it is now, or else with the next roll-up."""
    store.add_frames([minute(HOUR), minute(HOUR + 60)])
    store.seal(HOUR, sealed(), [FrameKey(60, HOUR, 0, 0)])

    late = [FrameKey(60, HOUR + 60, 0, 0)]
    assert not store.seal(HOUR, sealed(revision=revision, at=1), late)

    assert {HOUR: 1} == store.sealed_hours(**OF_HOUR, **HERE)
    assert 1 == len(store.unsealed(before=1e6, limit=9))


def test_a_row_is_replaced_with_its_chunk(store: Store):
    """What is stored of an hour can be read, and the next revision takes its place."""
    wide = Histogram([1.05**number for number in range(-300, 300)])
    both = dict.fromkeys(range(60), wide)
    large = SealedHour(series=LATENCY, hour=summed(both), chunk=pack_minutes(both))
    store.seal(HOUR, [large], [])

    stored = store.stored_hour(HOUR, [LATENCY, ORDERS])
    assert stored is not None
    assert [LATENCY] == list(stored)
    assert (1, both) == (stored[LATENCY].revision, stored[LATENCY].minutes)
    assert coarse(both.values()).buckets == stored[LATENCY].hour.histogram.buckets

    assert store.seal(HOUR, sealed({LATENCY: Histogram([1.0])}, revision=1), [])
    assert [{LATENCY: Histogram([1.0])}] == [one.values for one in store.minutes(HOUR, **HERE)]
    assert 1 == read(store)[LATENCY].count


def test_nothing_is_stored_of_an_hour_not_sealed(store: Store):
    """An hour that nobody sealed has no rows."""
    assert {} == store.stored_hour(HOUR, [ORDERS])
    assert [] == store.hours(since=0, until=1e9, **HERE)
    assert {} == store.sealed_hours(since=0, until=86_400, **HERE)


def test_each_tier_is_pruned_by_itself(store: Store):
    """Sealed minutes, chunks and rows go at their own times, in bounded numbers."""
    store.add_frames([minute(0), minute(HOUR), minute(HOUR + 60)])
    for start in (0, HOUR):
        store.seal(start, sealed({ORDERS: 3.0}), [FrameKey(60, start, 0, 0)])

    assert 1 == store.prune_sealed(before=1e6, limit=1)
    assert 1 == store.prune_sealed(before=1e6, limit=9)
    assert [HOUR + 60] == [key.start for key in keys(store.frames(60, since=0, until=1e6, **HERE))]
    assert 1 == store.prune_chunks(before=HOUR, limit=9)
    assert ([], 1) == (store.minutes(0, **HERE), len(store.minutes(HOUR, **HERE)))
    assert [0, HOUR] == [row.start for row in store.hours(since=0, until=1e6, **HERE)]
    assert [1, 1, 0] == [store.prune_hours(before=1e6, limit=1) for _ in range(3)]
    assert [] == store.hours(since=0, until=1e6, **HERE)


class TestDamage:
    """What cannot be read is left out and counted, in any place."""

    @pytest.fixture
    def sql(self, sqlite_url: str) -> SqlStore:
        """Open a store whose rows can be reached, with one sealed hour."""
        opened = open_store(sqlite_url)
        assert isinstance(opened, SqlStore)
        opened.migrate()
        opened.seal(HOUR, sealed(), [])
        return opened

    @pytest.mark.parametrize("payload", [b"", b"\x01rubbish", b"\x09unknown"])
    def test_a_damaged_row_or_chunk_is_left_out(self, sql: SqlStore, payload: bytes):
        """The other series of the hour are read all the same."""
        orders = chunk.c.series == sql._ids([ORDERS], HOUR)[ORDERS]
        with sql._database.write() as connection:
            connection.execute(
                update(hour).where(hour.c.histogram.is_not(None)).values(histogram=payload)
            )
            connection.execute(update(chunk).where(orders).values(payload=payload))

        assert {ORDERS, MEMORY, UP} == set(read(sql))
        assert 1 == sql.damaged_frames
        assert {LATENCY, MEMORY, UP} == set(sql.minutes(HOUR, **HERE)[0].values)
        assert 2 == sql.damaged_frames
        stored = sql.stored_hour(HOUR, [ORDERS, LATENCY])
        assert stored is not None
        assert (stored[ORDERS].minutes, stored[LATENCY].hour) == (None, None)
        sql.close()

    @pytest.mark.parametrize("table", [hour, chunk])
    def test_what_a_newer_version_wrote_is_not_written_over(self, sql: SqlStore, table):
        """An older process in a deployment leaves late minutes to those that can merge them."""
        number = sql._ids([LATENCY], HOUR)[LATENCY]
        with sql._database.write() as connection:
            connection.execute(update(table).where(table.c.series == number).values(format=9))

        assert sql.stored_hour(HOUR, [LATENCY]) is None
        sql.close()

    def test_a_damaged_minute_stops_nobody(self, sql: SqlStore):
        """A minute that nobody can read is marked, and those beside it go into their hour."""
        from watchkeeper.storage.sql.schema import frame as frames

        sql.add_frames([minute(0), minute(60)])
        with sql._database.write() as connection:
            connection.execute(update(frames).where(frames.c.start == 0).values(payload=b"\x01?"))
        (waiting,) = sql.unsealed(before=1e6, limit=9)

        found = sql.unsealed_frames(waiting, 0)

        assert [FrameKey(60, 60, 0, 0)] == keys(found)
        assert 1 == sql.damaged_frames
        (left,) = sql.unsealed(before=1e6, limit=9)
        assert (FrameKey(60, 60, 0, 0),) == left.keys
        sql.close()


def test_many_late_parts_are_sealed_in_several_goes(store: Store, monkeypatch):
    """However many frames an hour has, one look takes a bounded number, hour by hour."""
    monkeypatch.setattr("watchkeeper.storage.sql.sealing.MAX_KEYS", 5)
    store.add_frames([minute(at) for at in (0, 60, 120, HOUR, HOUR + 60, HOUR + 120)])

    found = [(one.start, len(one.keys)) for one in store.unsealed(before=1e6, limit=9)]

    assert found[0] == (0, 3)
    assert found[1:] in ([], [(HOUR, 3)])  # never a part of an hour that would fit by itself
