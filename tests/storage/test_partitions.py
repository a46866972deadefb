"""Days kept apart on PostgreSQL."""

from collections.abc import Iterator

import pytest
from stored import HERE, SHOP, batch, counted, event, frame, sample

from watchkeeper.storage import open_store
from watchkeeper.storage.sql import SqlStore
from watchkeeper.storage.sql.partitions import Partition, existing, wanted
from watchkeeper.storage.sql.schema import DAY_S

TODAY = 100 * DAY_S


@pytest.fixture
def store(postgres_url: str) -> Iterator[SqlStore]:
    """Open a migrated PostgreSQL store that is prepared for day 100 of the epoch."""
    opened = open_store(postgres_url)
    assert isinstance(opened, SqlStore)
    opened.migrate()
    opened.prepare(at=TODAY)
    yield opened
    opened.close()


def rows(store: SqlStore, table: str) -> int:
    """Count the rows of one partition."""
    with store._database.read() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


def names(store: SqlStore, table: str) -> list[str]:
    """Name the daily partitions around day 100."""
    with store._database.read() as connection:
        found = existing(connection, table)
    return [one.name for one in found if one.start < 200 * DAY_S]


def test_days_are_made_ahead():
    """There is room for yesterday, today and the next three days, per resolution."""
    assert [
        Partition(table="wk_frame", resolution=10, start=day * DAY_S).name
        for day in range(99, 104)
    ] == [one.name for one in wanted(TODAY, [10]) if one.table == "wk_frame"]
    assert [f"wk_event_{day}" for day in range(99, 104)] == [
        one.name for one in wanted(TODAY, []) if one.table == "wk_event"
    ]


def test_rows_land_in_the_partition_of_their_day(store: SqlStore):
    """Frames are kept apart by resolution and day, events and samples by day."""
    worker = store.register(SHOP, host="web", pid=1, at=0.0)
    store.write(
        batch(
            frame(TODAY + 10, worker.id),
            issues=[counted()],
            events=[event(1, at=TODAY + 10.5)],
            samples=[sample(1, at=TODAY + 10.5)],
        )
    )
    store.add_frames([frame(TODAY + DAY_S, 0, resolution=60)])

    assert 1 == rows(store, "wk_frame_10_100")
    assert 1 == rows(store, "wk_frame_60_101")
    assert 1 == rows(store, "wk_event_100")
    assert 1 == rows(store, "wk_sample_100")


def test_a_row_without_a_day_is_kept_all_the_same(store: SqlStore):
    """A clock that is far off, or an unusual slot length, loses nothing."""
    far = TODAY + 50 * DAY_S
    store.add_frames([frame(far, 1), frame(TODAY, 1, resolution=15)])

    assert 2 == rows(store, "wk_frame_default")
    assert 1 == len(store.frames(10, since=far, until=far + 10, **HERE))

    store.prepare(at=far)
    assert 1 == len(store.frames(10, since=far, until=far + 10, **HERE))
    assert 2 == store.prune_frames(10, before=far + 10, limit=9) + store.prune_frames(
        15, before=far, limit=9
    )


def test_a_slot_length_that_is_written_gets_days_of_its_own(store: SqlStore):
    """A deployment with other slots has its days dropped whole as well."""
    store.add_frames([frame(TODAY, 1, resolution=5)])
    store.prepare(at=TODAY)

    assert "wk_frame_5_101" in names(store, "wk_frame")
    assert "wk_frame_5_100" not in names(store, "wk_frame")


def test_past_days_are_dropped_whole(store: SqlStore):
    """A day is dropped once all of it is past; a day in part is deleted row by row."""
    store.add_frames([frame(TODAY + hour * 3_600, 1) for hour in range(36)])
    store.add_frames([frame(TODAY, 0, resolution=60)])
    before = TODAY + 30 * 3_600

    gone = store.prune_frames(10, before=before, limit=100)

    assert 30 == gone
    left = [name for name in names(store, "wk_frame") if name.startswith("wk_frame_10_")]
    assert ["wk_frame_10_101", "wk_frame_10_102", "wk_frame_10_103"] == left
    assert 6 == rows(store, "wk_frame_10_101")
    assert 1 == rows(store, "wk_frame_60_100")


def test_past_days_of_events_are_dropped_whole(store: SqlStore):
    """The same for events, whose issue and count stay."""
    worker = store.register(SHOP, host="web", pid=1, at=0.0)
    for day in range(3):
        at = TODAY + day * DAY_S
        store.write(
            batch(frame(at, worker.id), issues=[counted()], events=[event(day, at=at + 1.0)])
        )

    store.prune_events(before=TODAY + 2 * DAY_S, limit=100)

    assert ["wk_event_102", "wk_event_103"] == names(store, "wk_event")
    (issue,) = store.issues(**HERE, seen_since=0, limit=9)
    assert [TODAY + 2 * DAY_S + 1.0] == [one.at for one in store.events(issue.id, limit=9)]


def test_past_days_of_samples_are_dropped_whole(store: SqlStore):
    """The same for samples."""
    worker = store.register(SHOP, host="web", pid=1, at=0.0)
    for day in range(3):
        at = TODAY + day * DAY_S
        store.write(batch(frame(at, worker.id), samples=[sample(day, at=at + 1.0)]))

    gone = store.prune_samples(before=TODAY + 2 * DAY_S, most=100, limit=100)

    assert 2 == gone
    assert ["wk_sample_102", "wk_sample_103"] == names(store, "wk_sample")
    assert 1 == len(store.samples(**HERE, since=0, until=200 * DAY_S, limit=9))


def test_payloads_are_not_compressed_twice(store: SqlStore):
    """PostgreSQL is told that payloads are compressed already, in every partition."""
    query = (
        "SELECT DISTINCT attstorage FROM pg_attribute WHERE attname IN ('payload', 'data') "
        "AND attrelid IN (SELECT oid FROM pg_class WHERE relname ~ '^wk_(frame|event|sample)' "
        "AND relkind IN ('r', 'p'))"
    )
    with store._database.read() as connection:
        found = [row[0] for row in connection.exec_driver_sql(query)]

    assert ["e"] == [one.decode() if isinstance(one, bytes) else one for one in found]
