"""A host's own SQLAlchemy engine in place of a URL: its connections' ways, our own pool."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.ext.asyncio import create_async_engine
from stored import HERE, SHOP, batch, frame

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.settings import Settings
from watchkeeper.storage import open_store
from watchkeeper.storage.sql import SqlStore
from watchkeeper.storage.store import Written

DRIVERS = {"postgresql:": "postgresql+psycopg:", "mysql:": "mysql+pymysql:"}


@pytest.fixture
def host(sql_url: str) -> Iterator[Engine]:
    """Make the engine of a host with a pool of one connection, which the host holds."""
    for scheme, driver in DRIVERS.items():
        sql_url = sql_url.replace(scheme, driver)
    made = create_engine(sql_url, pool_size=1, max_overflow=0, pool_timeout=1)
    with made.connect():
        yield made
    made.dispose()


def test_the_store_works_while_the_host_holds_all_its_connections(host: Engine):
    """The pool is ours: neither runs out of connections for the other's sake."""
    store = open_store(host)
    store.migrate()
    worker = store.register(SHOP, host="web", pid=1, at=0.0)

    assert Written.STORED == store.write(batch(frame(10, worker.id)))
    assert [10] == [one.key.start for one in store.frames(10, since=0, until=60, **HERE)]
    assert 1 == host.pool.checkedout()  # type: ignore[attr-defined]
    store.close()


def test_what_the_host_does_on_connecting_is_done_for_us(host: Engine):
    """Passwords that are fetched, certificates, settings of sessions: all as for the host."""
    connected: list[object] = []
    event.listen(host, "connect", lambda connection, _record: connected.append(connection))
    store = open_store(host)

    store.migrate()

    assert connected
    store.close()


def test_the_statements_of_the_host_are_its_own(sqlite_url: str):
    """What we change and time is on our engine alone."""
    host = create_engine(sqlite_url)
    store = open_store(host, prefix="mon_")
    store.migrate()

    with host.connect() as connection:
        found = connection.execute(text("SELECT 'wk_meta'")).scalar_one()

    assert "wk_meta" == found
    store.close()
    host.dispose()


@pytest.mark.parametrize("sql_url", ["postgresql", "mariadb"], indirect=True)
def test_an_engine_that_commits_by_itself_is_used_in_transactions(sql_url: str):
    """A flush is all or nothing whatever the host's isolation level."""
    for scheme, driver in DRIVERS.items():
        sql_url = sql_url.replace(scheme, driver)
    store = open_store(create_engine(sql_url, isolation_level="AUTOCOMMIT"))
    assert isinstance(store, SqlStore)
    store.migrate()

    with store._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM wk_meta")
        connection.rollback()

    assert store.meta("schema") is not None
    store.close()


def test_a_sqlite_file_of_the_host_is_not_laid_out_anew(tmp_path: Path):
    """Its journal stays as the host chose it."""
    path = tmp_path / "shop.db"
    store = open_store(create_engine(f"sqlite:///{path}"))
    store.migrate()
    store.prepare(at=100.0)
    store.close()

    file = sqlite3.connect(path)
    assert "delete" == file.execute("PRAGMA journal_mode").fetchone()[0]
    file.close()


@pytest.mark.parametrize("sql_url", ["postgresql", "mariadb"], indirect=True)
def test_a_forked_child_leaves_the_parents_connections_alone(host: Engine):
    """A server that forks after its start shares no connection of ours with its workers."""
    store = open_store(host)
    store.migrate()
    worker = store.register(SHOP, host="web", pid=1, at=0.0)

    child = os.fork()
    if not child:
        status = 1
        try:
            status = 0 if store.write(batch(frame(10, worker.id))) is Written.STORED else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)

    assert 0 == status
    assert Written.STORED == store.write(batch(frame(20, worker.id)))
    store.close()


def test_an_engine_that_cannot_be_used_is_refused():
    """Asynchronous drivers and databases in memory are told at once."""
    with pytest.raises(ConfigurationError, match="neither a text nor an Engine"):
        Settings(database_url=create_async_engine("sqlite+aiosqlite:///shop.db"))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="neither a text nor an Engine"):
        Settings(database_url=7)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="SQLite needs a file"):
        open_store(create_engine("sqlite://"))
