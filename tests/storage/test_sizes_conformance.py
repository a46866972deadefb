"""What every store tells of its size: one suite for all of them."""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine
from stored import SHOP, batch, counted, counter, event, frame, sample

from watchkeeper.core.hours import summed
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.hour import pack_minutes
from watchkeeper.storage.sql import SqlStore
from watchkeeper.storage.sql.sqlite import by_pages, by_rows
from watchkeeper.storage.store import SealedHour, TableSize

HOUR = SealedHour(series=counter(), hour=summed({0: 7.0}), chunk=pack_minutes({0: 7.0}))


@pytest.fixture
def worker(store: Store) -> int:
    """Register a worker; its id."""
    return store.register(SHOP, host="web-1", pid=4242, at=0.0).id


@pytest.fixture(scope="module")
def with_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a SQLite file with some frames, to be copied."""
    file = tmp_path_factory.mktemp("frames") / "watchkeeper.db"
    opened = open_store(f"sqlite:///{file}")
    opened.migrate()
    rng = random.Random(7)  # noqa: S311  # made figures, no secret
    names = [counter(plan=f"{number}") for number in range(100)]
    opened.add_frames(
        [
            frame(10 * number, 1, values={name: rng.random() for name in names})
            for number in range(9_000)
        ]
    )
    opened.close()
    return file


@pytest.fixture
def sqlite_store(with_frames: Path, sqlite_url: str) -> Iterator[SqlStore]:
    """Open a SQLite store with some frames."""
    shutil.copyfile(with_frames, sqlite_url.removeprefix("sqlite:///"))
    opened = open_store(sqlite_url)
    assert isinstance(opened, SqlStore)
    yield opened
    opened.close()


def by_table(store: Store) -> dict[str, TableSize]:
    """Measure each table, by its name."""
    return {one.table: one for one in store.table_sizes()}


def test_it_tells_how_large_each_table_is(store: Store, worker: int):
    """Of each table: its bytes, its rows and from when the oldest is, the largest first."""
    store.write(
        batch(
            frame(40, worker),
            issues=[counted(at=45.0)],
            events=[event(1, at=45.0)],
            samples=[sample(1, at=46.0), sample(2, at=47.5)],
        )
    )
    minute = frame(20, 0, resolution=60)
    store.add_frames([minute, *(frame(600 + 10 * number, worker) for number in range(300))])
    store.seal(0, [HOUR], [minute.key])

    sizes = store.table_sizes()

    found = {one.table: (one.rows, one.oldest_at) for one in sizes}
    assert (302, 20.0) == found["wk_frame"]
    assert (1, 45.0) == found["wk_event"]
    assert (2, 46.0) == found["wk_sample"]
    assert (1, 45.0) == found["wk_issue"]
    assert (1, 0.0) == found["wk_hour"]
    assert (1, 0.0) == found["wk_chunk"]
    assert (0, None) == found["wk_incident"]
    assert sorted((one.bytes for one in sizes), reverse=True) == [one.bytes for one in sizes]
    assert all(0 <= one.free_bytes <= one.bytes for one in sizes)
    assert sum(one.bytes for one in sizes) <= store.room().stored_bytes


def test_it_tells_how_much_room_there_is(store: Store, worker: int):
    """What is stored is known, and what the disk has left where the store is a file."""
    store.add_frames([frame(10 * number, worker) for number in range(300)])

    room = store.room()

    assert 0 <= room.free_bytes < room.stored_bytes
    if store.description().startswith("sqlite"):
        assert room.disk_bytes is not None
        assert 0 < (room.disk_free_bytes or 0) <= room.disk_bytes
    else:
        assert (None, None) == (room.disk_bytes, room.disk_free_bytes)


def test_more_rows_take_more_room(store: Store, worker: int):
    """A table grows with what is written to it."""
    before = by_table(store)["wk_frame"].bytes

    store.add_frames([frame(10 * number, worker) for number in range(2_000)])

    if store.description().startswith("mariadb"):
        return  # it looks at its tables again after a while, in a thread of its own
    assert by_table(store)["wk_frame"].bytes > before + 100_000


def test_rows_of_large_tables_are_estimated(sqlite_store: SqlStore):
    """SQLite's pages tell the number of rows without a look at any."""
    assert 9_000 == by_table(sqlite_store)["wk_frame"].rows


def test_deleted_rows_are_free_room_and_no_part_of_a_table(sqlite_store: SqlStore):
    """What pruning frees counts as free at once, before the file has shrunk."""
    before, table = sqlite_store.room(), by_table(sqlite_store)["wk_frame"]

    sqlite_store.prune_frames(10, before=60_000, limit=6_000)

    after = sqlite_store.room()
    assert after.free_bytes > before.free_bytes
    assert after.used_bytes < before.used_bytes
    assert by_table(sqlite_store)["wk_frame"].bytes < table.bytes / 2


def test_without_page_statistics_sqlite_is_estimated(sqlite_store: SqlStore):
    """An SQLite that cannot list its pages gives figures of the same size."""
    with sqlite_store._database.read() as connection:
        exact = by_pages(connection, ["wk_frame", "wk_series", "wk_meta", "not_there"])
        rough = by_rows(connection, ["wk_frame", "wk_series", "wk_meta", "not_there"])

    assert set(exact) == set(rough) == {"wk_frame", "wk_series", "wk_meta"}
    assert exact["wk_frame"].rows == rough["wk_frame"].rows
    assert exact["wk_frame"].bytes == pytest.approx(rough["wk_frame"].bytes, rel=0.5)


def test_tables_of_the_host_in_the_same_file_are_not_counted(tmp_path: Path):
    """What the application keeps in its own SQLite file does not use up our budget."""
    path = tmp_path / "shop.db"
    file = sqlite3.connect(path)
    file.execute("CREATE TABLE picture (data BLOB)")
    file.execute("INSERT INTO picture VALUES (zeroblob(5000000))")
    file.commit()
    file.close()
    store = open_store(create_engine(f"sqlite:///{path}"))
    store.migrate()

    room = store.room()
    store.close()

    assert 0 < room.used_bytes < 1_000_000
    assert store.size_bytes() > 5_000_000


def test_free_room_is_given_back_until_nothing_is_left(sqlite_store: SqlStore):
    """After a large prune the file shrinks in pieces, each call telling whether there is more."""
    while sqlite_store.prune_frames(10, before=90_000, limit=1_000):
        pass

    pieces = 1
    while sqlite_store.prepare(at=90_000):
        pieces += 1

    assert pieces > 1
    assert 0 == sqlite_store.room().free_bytes


def test_a_file_that_keeps_its_free_pages_is_left_alone(tmp_path: Path):
    """The host's own file without incremental vacuum never promises more to give back."""
    store = open_store(create_engine(f"sqlite:///{tmp_path / 'shop.db'}"))
    store.migrate()
    store.add_frames([frame(10 * number, 1) for number in range(1_000)])
    store.prune_frames(10, before=1e9, limit=1_000)

    assert store.room().free_bytes > 0
    assert store.prepare(at=100.0) is False
    store.close()


def test_room_that_a_vacuum_found_is_free_on_postgresql(postgres_url: str):
    """Rows that were deleted count as free room once PostgreSQL may fill it, and no others do."""
    store = open_store(postgres_url)
    assert isinstance(store, SqlStore)
    store.migrate()
    rng = random.Random(7)  # noqa: S311  # made figures, no secret
    names = [counter(plan=f"{number}") for number in range(900)]
    for start in range(0, 1_000, 100):
        store.add_frames(
            [
                frame(10 * number, 1, values={name: rng.random() for name in names})
                for number in range(start, start + 100)
            ]
        )

    def vacuumed() -> TableSize:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            connection.execute("SELECT pg_stat_force_next_flush()")
        return by_table(store)["wk_frame"]

    full = vacuumed()
    store.prune_frames(10, before=5_000, limit=500)
    half = vacuumed()
    store.close()

    assert full.bytes > 5_000_000
    assert full.free_bytes < 0.2 * full.bytes
    assert half.bytes > 0.9 * full.bytes
    assert half.free_bytes == pytest.approx(0.5 * full.bytes, rel=0.4)
