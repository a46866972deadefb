"""What a real database does to a store: damage, locks, lost connections, slow statements."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, event
from stored import HERE, SHOP, batch, counted, frame

from watchkeeper.exceptions import StorageUnavailableError
from watchkeeper.runtime.retention import roll_up
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.sql import SqlStore
from watchkeeper.storage.store import Written


@pytest.fixture
def store_url(migrated_url: str) -> str:
    """Name a database of each kind in turn."""
    return migrated_url


@pytest.fixture
def sql(store: Store) -> SqlStore:
    """Give the SQL store, whose database can be reached for damage."""
    assert isinstance(store, SqlStore)
    return store


@pytest.fixture
def small_sqlite(sqlite_url: str) -> Iterator[Store]:
    """Open a SQLite store whose statements may take 0.2 seconds."""
    store = open_store(sqlite_url, statement_timeout_s=0.2)
    store.migrate()
    yield store
    store.close()


def run(sql: SqlStore, statement: str, *values: object) -> None:
    """Do something to the database behind the store's back."""
    with sql._database.write() as connection:
        if sql._database.dialect.server:
            statement = statement.replace("?", "%s")
        connection.exec_driver_sql(statement, tuple(values))


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x01", b"\x01garbage", b"\x01" + zlib.compress(b"nonsense"), b"\x09newer"],
)
def test_a_payload_that_cannot_be_read_is_left_out_and_counted(sql: SqlStore, payload: bytes):
    """One damaged frame costs its own slot, not the page that shows the others."""
    sql.add_frames([frame(start, 1) for start in (10, 20, 30)])
    run(sql, "UPDATE wk_frame SET payload = ? WHERE start = 20", payload)

    found = sql.frames(10, since=0, until=60, service="shop", environment="production")

    assert [10, 30] == [one.key.start for one in found]
    assert 1 == sql.damaged_frames


def test_a_damaged_frame_does_not_stop_the_roll_up(sql: SqlStore):
    """The roll-up passes a damaged frame by, once and for all."""
    sql.add_frames([frame(start, 1) for start in (0, 60, 120)])
    run(sql, "UPDATE wk_frame SET payload = ? WHERE start < 100", b"\x01garbage")

    assert 1 == roll_up(sql, now=240.0, pause=int)
    assert 0 == roll_up(sql, now=240.0, pause=int)
    assert 2 == sql.damaged_frames


def test_a_newer_process_frames_wait_for_it(sql: SqlStore):
    """During a deploy an older roller leaves frames of a newer format as they are."""
    sql.add_frames([frame(start, 1) for start in (0, 60)])
    run(sql, "UPDATE wk_frame SET payload = ?, format = 2 WHERE start = 0", b"\x02newer")

    assert 1 == roll_up(sql, now=240.0, pause=int)

    run(sql, "UPDATE wk_frame SET format = 1 WHERE start = 0")
    assert [] == sql.unrolled(10, before=240.0, limit=9)
    assert 1 == sql.damaged_frames


SERVERS = ["postgresql", "mariadb"]


@contextmanager
def onlooker(url: str) -> Iterator[Callable[[str], list[int]]]:
    """Connect to a server beside the store; give what runs statements that return numbers."""
    name = url.replace("postgresql:", "postgresql+psycopg:").replace("mysql:", "mysql+pymysql:")
    engine = create_engine(name, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:

        def run(statement: str) -> list[int]:
            found = connection.exec_driver_sql(statement)
            return list(found.scalars()) if found.returns_rows else []

        yield run


def end_session(url: str, session: int) -> None:
    """End a session of the server as its administrator may."""
    with onlooker(url) as run:
        if url.startswith("postgresql"):
            run(f"SELECT pg_terminate_backend({session}, 5000)::int")
        else:
            run(f"KILL {session}")


@pytest.mark.parametrize("migrated_url", SERVERS, indirect=True)
def test_a_lost_connection_is_replaced(sql: SqlStore, migrated_url: str):
    """After the server ended our sessions, the next write goes through on a new one."""
    worker = sql.register(SHOP, host="web", pid=1, at=0.0)
    ours = (
        "SELECT pid FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        if migrated_url.startswith("postgresql")
        else "SELECT id FROM information_schema.processlist "
        "WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    )
    with onlooker(migrated_url) as run:
        sessions = run(ours)
    for session in sessions:
        end_session(migrated_url, session)

    assert sessions
    assert Written.STORED == sql.write(batch(frame(10, worker.id)))


@pytest.mark.parametrize("migrated_url", SERVERS, indirect=True)
def test_a_connection_lost_before_the_acknowledgement_counts_nothing_twice(
    sql: SqlStore, migrated_url: str
):
    """Killed at any statement of the flush, the repeated flush counts everything once."""
    worker = sql.register(SHOP, host="web", pid=1, at=0.0)
    flush = batch(frame(10, worker.id), issues=[counted(count=3)])
    sql._series.numbered([flush.frame], at=int(time.time()))
    engine = sql._database._engine
    assert engine is not None
    left = 0

    def kill(connection, cursor, statement, parameters, context, many):  # type: ignore[no-untyped-def]
        nonlocal left
        left -= 1
        if left == 0:
            driver = connection.connection.dbapi_connection
            server = "postgresql" in migrated_url
            end_session(migrated_url, driver.info.backend_pid if server else driver.thread_id())

    event.listen(engine, "after_cursor_execute", kill)
    for left in range(1, 7):  # noqa: B007  # counted down by the listener
        with pytest.raises(StorageUnavailableError):
            sql.write(flush)
    left = 0

    # The acknowledgement itself got lost: the commit was done, the flusher does not know.
    assert Written.STORED == sql.write(flush)
    assert Written.DUPLICATE == sql.write(flush)
    (issue,) = sql.issues(**HERE, seen_since=0, limit=9)
    assert 3 == issue.count


KILLED_AFTER_THE_COMMIT = """
import os, signal, sys
from stored import batch, counted, frame
from watchkeeper.storage import open_store
store = open_store(sys.argv[1])
store.write(batch(frame(10, int(sys.argv[2])), issues=[counted(count=3)]))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_killed_after_the_commit_counts_nothing_twice(sql: SqlStore, migrated_url: str):
    """What was written by a process that could not say so is found when it is written again."""
    worker = sql.register(SHOP, host="web", pid=1, at=0.0)
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AFTER_THE_COMMIT, migrated_url, str(worker.id)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        check=False,
    )

    again = sql.write(batch(frame(10, worker.id), issues=[counted(count=3)]))

    assert -signal.SIGKILL == done.returncode
    assert Written.DUPLICATE == again
    (issue,) = sql.issues(**HERE, seen_since=0, limit=9)
    assert 3 == issue.count


@pytest.mark.parametrize("migrated_url", ["mariadb"], indirect=True)
def test_a_flush_that_loses_against_another_transaction_is_begun_anew(
    sql: SqlStore, migrated_url: str
):
    """Where two transactions wait for each other and ours is given up, nothing is lost."""
    worker = sql.register(SHOP, host="web", pid=1, at=0.0)
    waiting = (
        "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' "
        "AND trx_query LIKE 'UPDATE wk_worker%%'"
    )

    with ThreadPoolExecutor(1) as thread, onlooker(migrated_url) as run:
        run("BEGIN")
        # The larger transaction of the two is let go on.
        run("INSERT INTO wk_meta SELECT seq, '' FROM seq_1_to_1000")
        run("UPDATE wk_worker SET pid = pid + 1")
        flush = thread.submit(sql.write, batch(frame(10, worker.id)))
        while run(waiting) != [1] and not flush.done():
            time.sleep(0.2)  # asked more often, the server tells what it told before
        run("SELECT start FROM wk_frame FOR UPDATE")
        run("ROLLBACK")
        written = flush.result()

    assert Written.STORED == written
    assert [10] == [one.key.start for one in sql.frames(10, since=0, until=60, **HERE)]


def test_a_statement_that_takes_too_long_is_ended(small_sqlite: Store):
    """No page and no flush hangs: after the time-out the store says so."""
    assert isinstance(small_sqlite, SqlStore)
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    )

    with pytest.raises(StorageUnavailableError, match="took too long"):
        run(small_sqlite, endless)
    assert small_sqlite.meta("nothing") is None


def test_each_statement_has_the_whole_time(small_sqlite: Store):
    """A transaction may last longer than one statement may."""
    assert isinstance(small_sqlite, SqlStore)
    short = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
        "SELECT max(i) FROM n"
    )

    with small_sqlite._database.write() as connection:
        connection.exec_driver_sql(short)
        time.sleep(0.3)

        assert 20_000 == connection.exec_driver_sql(short).scalar()


@pytest.mark.parametrize("migrated_url", SERVERS, indirect=True)
def test_a_slow_statement_is_ended_by_the_server(migrated_url: str):
    """The time-out is the server's own, so that it stops working as well."""
    store = open_store(migrated_url, statement_timeout_s=0.2)
    assert isinstance(store, SqlStore)
    nap = "SELECT pg_sleep(30)" if migrated_url.startswith("postgresql") else "SELECT SLEEP(30)"

    with pytest.raises(StorageUnavailableError, match="took too long"):
        run(store, nap)
    store.close()


def test_a_locked_file_is_busy_not_broken(sqlite_url: str, monkeypatch: pytest.MonkeyPatch):
    """While a backup holds the file, writes say "try later", and reads go on."""
    monkeypatch.setattr("watchkeeper.storage.sql.database.BUSY_TIMEOUT_S", 0.05)
    store = open_store(sqlite_url)
    store.migrate()
    worker = store.register(SHOP, host="web", pid=1, at=0.0)
    backup = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    backup.execute("BEGIN IMMEDIATE")

    with pytest.raises(StorageUnavailableError, match="locked by another process"):
        store.write(batch(frame(10, worker.id)))
    assert [] == store.frames(10, since=0, until=60, **HERE)
    backup.execute("ROLLBACK")
    backup.close()

    assert Written.STORED == store.write(batch(frame(10, worker.id)))
    store.close()


def test_a_full_disk_is_told(sqlite_url: str):
    """A write that the disk has no room for leaves everything as it was."""
    store = open_store(sqlite_url)
    store.migrate()
    assert isinstance(store, SqlStore)
    with store._database.read() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")

    with pytest.raises(StorageUnavailableError, match="the disk is full"):
        store.set_meta("key", "x" * 500_000)
    assert store.meta("key") is None
    store.close()


def test_every_connection_in_use_is_busy(postgres_url: str, monkeypatch: pytest.MonkeyPatch):
    """The pool is bounded; who finds it empty is told to come again."""
    monkeypatch.setattr("watchkeeper.storage.sql.database.CONNECT_TIMEOUT_S", 1)
    monkeypatch.setattr("watchkeeper.storage.sql.database.POOL_SIZE", 1)
    monkeypatch.setattr("watchkeeper.storage.sql.database.MAX_OVERFLOW", 0)
    store = open_store(postgres_url)
    assert isinstance(store, SqlStore)

    with (
        store._database.read(),
        pytest.raises(StorageUnavailableError, match="every connection is in use"),
    ):
        store.meta("schema")
    store.close()
