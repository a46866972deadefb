"""asyncpg's instrument: connections, prepared statements, cursors and pools used directly."""

import asyncio
import gc
import inspect
import io
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import asyncpg
import pytest
from asyncpg.connection import Connection
from asyncpg.cursor import BaseCursor
from asyncpg.pool import Pool
from asyncpg.prepared_stmt import PreparedStatement
from observed import Observed, inside, within_request

from watchkeeper.integrations.instruments import asyncpg as instrument

SERIES = "SELECT * FROM generate_series(1, 500)"
SERIES_TEXT = "SELECT * FROM generate_series(?, ?)"
TABLE = "CREATE TEMP TABLE items (id int PRIMARY KEY, name text)"

Run = Callable[[Callable[[asyncpg.Connection], Awaitable[Any]]], Any]


@pytest.fixture(autouse=True)
def instrumented(observed: Observed) -> Iterator[None]:
    undo = instrument.install(observed.observer)
    yield
    undo()


@pytest.fixture
def run(postgres_url: str) -> Run:
    """Run a function on a connection of its own."""

    def run(function: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
        async def connected() -> Any:
            connection = await asyncpg.connect(postgres_url)
            try:
                return await function(connection)
            finally:
                await connection.close()

        return asyncio.run(connected())

    return run


def test_every_method_counts_once_with_its_rows(observed: Observed, run: Run):
    """What methods return is asyncpg's; rows are counted where they can be told."""

    async def ask(connection: asyncpg.Connection) -> None:
        assert "CREATE TABLE" == await connection.execute(TABLE)
        assert "INSERT 0 1" == await connection.execute(
            "INSERT INTO items VALUES ($1, $2)", 1, "x"
        )
        await connection.executemany("INSERT INTO items VALUES ($1, $2)", [(2, "x"), (3, "x")])
        assert 3 == len(await connection.fetch("SELECT id FROM items"))
        assert 1 == (await connection.fetchrow("SELECT id, 1 FROM items"))["id"]
        assert 3 == await connection.fetchval("SELECT count(*) FROM items")
        assert "UPDATE 3" == await connection.execute("UPDATE items SET name = 'y'")

    run(ask)

    counts = observed.statements()
    assert 2 == counts["INSERT INTO items VALUES (?, ?)"]
    assert 1 == counts["SELECT id FROM items"]
    assert 1 == counts["SELECT id, ? FROM items"]
    assert 1 == counts["SELECT count(*) FROM items"]
    assert 1 == counts["CREATE TEMP TABLE items (id int PRIMARY KEY, name text)"]
    assert {
        "INSERT INTO items VALUES (?, ?)": 1,
        "SELECT id FROM items": 3,
        "UPDATE items SET name = ?": 3,
    } == observed.rows()


def test_a_failing_statement_counts_as_failed(observed: Observed, run: Run):
    """The exception is asyncpg's own."""

    async def ask(connection: asyncpg.Connection) -> None:
        with pytest.raises(asyncpg.DivisionByZeroError) as caught:
            await connection.fetch("SELECT 1 / 0")
        assert "22012" == caught.value.sqlstate

    run(ask)

    assert {"postgresql SELECT": 1} == observed.failed_commands()
    assert 1 == observed.statements()["SELECT ? / ?"]


def test_a_cancelled_statement_counts_as_failed(observed: Observed, run: Run):
    """The time that was waited until a time-out counts."""

    async def ask(connection: asyncpg.Connection) -> None:
        with pytest.raises(TimeoutError):
            await connection.execute("SELECT pg_sleep(30)", timeout=0.1)

    run(ask)

    assert {"postgresql SELECT": 1} == observed.failed_commands()
    assert observed.seconds("db_client_statement_duration_seconds") >= 0.1


def test_statements_are_part_of_the_request_that_runs(observed: Observed, run: Run):
    """Inside a request each statement is a span whose caller is the application's code."""

    async def ask(connection: asyncpg.Connection) -> list[str]:
        with within_request() as record:
            await connection.fetchval("SELECT 1")
        return inside(record)

    assert ["db SELECT ?"] == run(ask)
    (caller,) = observed.callers("SELECT ?")
    assert caller.endswith(".<locals>.ask")


def test_prepared_statements_count_each_time(observed: Observed, run: Run):
    """Preparing is not executing."""

    async def ask(connection: asyncpg.Connection) -> None:
        statement = await connection.prepare("SELECT $1::int")
        assert 1 == await statement.fetchval(1)
        assert 2 == (await statement.fetchrow(2))[0]
        assert [(3,)] == await statement.fetch(3)
        await statement.executemany([(4,), (5,)])

    run(ask)

    assert 4 == observed.statements()["SELECT ?::int"]


def test_cursors_count_once(observed: Observed, run: Run):
    """A cursor counts when it begins; all its rows come, in whatever way it is read."""

    async def ask(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            assert 500 == len([row async for row in connection.cursor(SERIES, prefetch=50)])
            cursor = await connection.cursor(SERIES)
            assert 10 == len(await cursor.fetch(10))
            statement = await connection.prepare(SERIES)
            assert 500 == len([row async for row in statement.cursor()])

    run(ask)

    assert 3 == observed.statements()[SERIES_TEXT]


def test_transactions_and_savepoints_are_seen(observed: Observed, run: Run):
    """asyncpg sends BEGIN and COMMIT as statements; numbered savepoints are one."""

    async def ask(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            for _ in range(3):
                async with connection.transaction():
                    await connection.fetchval("SELECT 1")

    run(ask)

    assert {
        "BEGIN": 1,
        "SAVEPOINT ?": 3,
        "SELECT ?": 3,
        "RELEASE SAVEPOINT ?": 3,
        "COMMIT": 1,
    } == observed.statements()


def test_copying_counts(observed: Observed, run: Run):
    """COPY in every direction, without the data."""

    async def ask(connection: asyncpg.Connection) -> None:
        await connection.execute(TABLE)
        assert "COPY 2" == await connection.copy_records_to_table(
            "items", records=[(1, "secret"), (2, "secret")]
        )
        assert "COPY 1" == await connection.copy_to_table("items", source=io.BytesIO(b"3\tx\n"))
        output = io.BytesIO()
        assert "COPY 3" == await connection.copy_from_table("items", output=output)
        assert "COPY 3" == await connection.copy_from_query("TABLE items", output=output)
        assert b"secret" in output.getvalue()

    run(ask)

    assert {"postgresql COPY": 4} == {
        key: count for key, count in observed.commands().items() if "COPY" in key
    }
    assert 9 == sum(count for text, count in observed.rows().items() if "COPY" in text)


def test_a_pool_is_read(observed: Observed, postgres_url: str):
    """Connections in use, idle and at most, and each wait; its statements count once."""

    async def ask() -> dict[str, int]:
        async with asyncpg.create_pool(postgres_url, min_size=2, max_size=3) as pool:
            assert 1 == await pool.fetchval("SELECT 1")
            async with pool.acquire() as connection:
                assert 1 == await connection.fetchval("SELECT 1")
                return observed.pools()

    name = f"postgresql {postgres_url.rpartition('/')[2]}"
    assert {f"{name} used": 1, f"{name} idle": 1, f"{name} most": 3} == asyncio.run(ask())
    assert {name: 2} == observed.pool_waits()
    assert 2 == observed.statements()["SELECT ?"]


def test_a_pool_that_is_closed_is_let_go(observed: Observed, postgres_url: str):
    """Once it was read as empty, nothing holds it any more."""

    async def ask() -> int:
        pool = await asyncpg.create_pool(postgres_url, min_size=1, max_size=1)
        await pool.execute("SELECT 1")
        await pool.close()
        return id(pool)

    pool = asyncio.run(ask())
    assert {0} == set(observed.pools().values())
    gc.collect()

    assert pool not in [id(one) for one in gc.get_objects() if type(one) is Pool]


def test_methods_look_as_before():
    """Signatures and kinds of the wrapped methods are those of asyncpg."""
    assert inspect.iscoroutinefunction(Connection.fetch)
    assert "timeout" in inspect.signature(Connection.fetch).parameters


def test_uninstalling_puts_everything_back(observed: Observed, run: Run):
    """Afterwards the library's classes are as they were, and nothing is recorded."""
    classes = (Connection, PreparedStatement, BaseCursor, Pool)
    watched = [dict(vars(one)) for one in classes]
    undo = instrument.install(observed.observer)
    assert watched != [dict(vars(one)) for one in classes]
    undo()

    assert watched == [dict(vars(one)) for one in classes]
    run(lambda connection: connection.execute("SELECT 1"))
    assert 1 == observed.statements()["SELECT ?"]  # by the fixture's alone
