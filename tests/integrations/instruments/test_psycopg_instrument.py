"""psycopg's instruments: cursors and pools of psycopg 3 used directly, sync and async."""

import asyncio
import inspect
from collections.abc import Iterator

import psycopg
import pytest
from observed import Observed, inside, within_request
from psycopg import sql
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout

from watchkeeper.integrations.instruments import psycopg as instrument
from watchkeeper.integrations.instruments import psycopg_pool as pool_instrument

SERIES = "SELECT * FROM generate_series(1, 500)"
SERIES_TEXT = "SELECT * FROM generate_series(?, ?)"
PATCHED = [
    (psycopg.Cursor, name) for name in ("execute", "executemany", "stream", "copy")
] + [
    (psycopg.AsyncCursor, name) for name in ("execute", "executemany", "stream", "copy")
] + [
    (psycopg.ServerCursor, "execute"),
    (psycopg.AsyncServerCursor, "execute"),
    (ConnectionPool, "getconn"),
    (AsyncConnectionPool, "getconn"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def instrumented(observed: Observed, postgres_url: str) -> Iterator[None]:
    """Instrument psycopg once the test's database is made."""
    undo = [one.install(observed.observer) for one in (instrument, pool_instrument)]
    yield
    for one in undo:
        one()


@pytest.fixture
def connection(postgres_url: str, observed: Observed) -> Iterator[psycopg.Connection]:
    """A connection to a database with one table of three rows."""
    with psycopg.connect(postgres_url, autocommit=True) as opened:
        opened.execute("CREATE TABLE items (id int PRIMARY KEY, name text)")
        opened.cursor().executemany("INSERT INTO items VALUES (%s, %s)", [(n, "x") for n in "123"])
        yield opened


def test_each_statement_counts_with_its_rows(observed: Observed, connection: psycopg.Connection):
    """A connection's own `execute` and a cursor's are the same; results come as without us."""
    by_connection = connection.execute("SELECT name FROM items WHERE id < %s", [3])
    with connection.cursor() as cursor:
        by_cursor = cursor.execute("SELECT name FROM items WHERE id < %(most)s", {"most": 2})
        assert [("x",)] == by_cursor.fetchall()

    assert [("x",), ("x",)] == by_connection.fetchall()
    assert cursor is by_cursor
    assert 2 == observed.statements()["SELECT name FROM items WHERE id < ?"]
    assert 3 == observed.rows()["SELECT name FROM items WHERE id < ?"]
    assert 1 == observed.statements()["INSERT INTO items VALUES (?, ?)"]
    assert 3 == observed.rows()["INSERT INTO items VALUES (?, ?)"]


def test_a_failing_statement_counts_as_failed(observed: Observed, connection: psycopg.Connection):
    """The exception is psycopg's own."""
    with pytest.raises(psycopg.errors.DivisionByZero) as caught:
        connection.execute("SELECT 1 / 0")

    assert "22012" == caught.value.sqlstate
    assert {"postgresql SELECT": 1} == observed.failed_commands()
    assert 1 == observed.statements()["SELECT ? / ?"]


@pytest.mark.parametrize(
    "query",
    [
        b"SELECT 1, 'secret'",
        sql.SQL("SELECT 1, {}").format(sql.Literal("secret")),
        sql.SQL("SELECT {}, {}").format(sql.Literal(1), sql.Placeholder()),
    ],
)
def test_queries_of_every_kind_are_read(
    observed: Observed, connection: psycopg.Connection, query: bytes | sql.Composed
):
    """Bytes and composed queries count under the same text, without their values."""
    parameters = ["secret"] if "Placeholder" in repr(query) else None
    assert (1, "secret") == connection.execute(query, parameters).fetchone()

    assert 1 == observed.statements()["SELECT ?, ?"]


def test_a_query_that_is_none_raises_what_it_did(
    observed: Observed, connection: psycopg.Connection
):
    """A wrong argument is the application's error as before, counted under its type."""
    with pytest.raises(TypeError):
        connection.execute(17)

    assert {"postgresql OTHER": 1} == observed.failed_commands()


def test_statements_are_part_of_the_request_that_runs(
    observed: Observed, connection: psycopg.Connection
):
    """Inside a request each statement is a span whose caller is the application's code."""
    with within_request() as record:
        connection.execute("SELECT 1")

    assert ["db SELECT ?"] == inside(record)
    (caller,) = observed.callers("SELECT ?")
    assert caller.endswith(":test_statements_are_part_of_the_request_that_runs")


def test_server_side_cursors_count_once(observed: Observed, connection: psycopg.Connection):
    """A named cursor is the statement that it was opened for; its rows all come."""
    with connection.transaction(), connection.cursor("named_17") as cursor:
        cursor.itersize = 50
        cursor.execute(SERIES)
        assert 500 == len(list(cursor))

    assert 1 == observed.statements()[SERIES_TEXT]


def test_streams_count_once_when_rows_come(observed: Observed, connection: psycopg.Connection):
    """A stream that is left early is closed; one that fails counts as failed."""
    with connection.cursor() as cursor:
        assert 500 == len(list(cursor.stream(SERIES)))
        rows = cursor.stream(SERIES)
        assert (1,) == next(rows)
        rows.close()
        assert [] == list(cursor.stream("SELECT 1 WHERE false"))
        with pytest.raises(psycopg.errors.DivisionByZero):
            next(cursor.stream("SELECT 1 / 0"))
    connection.execute("SELECT 1")  # the connection is in order

    assert 2 == observed.statements()[SERIES_TEXT]
    assert 1 == observed.statements()["SELECT ? WHERE FALSE"]
    assert {"postgresql SELECT": 1} == observed.failed_commands()


def test_copying_counts_when_it_is_over(observed: Observed, connection: psycopg.Connection):
    """COPY works in both directions; an exception in its block goes on and counts as failed."""
    with connection.cursor() as cursor:
        with cursor.copy("COPY items (id, name) FROM STDIN") as copy:
            copy.write_row((10, "secret"))
            copy.write_row((11, "secret"))
        assert 2 == cursor.rowcount
        with cursor.copy("COPY items TO STDOUT") as copy:
            assert 5 == len(list(copy.rows()))
        with (
            pytest.raises(KeyError, match="mine"),
            cursor.copy("COPY items (id) FROM STDIN") as copy,
        ):
            raise KeyError("mine")

    assert 1 == observed.statements()["COPY items (id, name) FROM stdin"]
    assert 2 == observed.rows()["COPY items (id, name) FROM stdin"]
    assert 1 == observed.statements()["COPY items TO stdout"]
    assert {"postgresql COPY": 1} == observed.failed_commands()


def test_pipelines_work(observed: Observed, connection: psycopg.Connection):
    """In a pipeline statements count when they are sent; their results come."""
    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::int", [n]) for n in range(5)]

    assert [(n,) for n in range(5)] == [cursor.fetchone() for cursor in cursors]
    assert 5 == observed.statements()["SELECT ?::int"]


def test_client_side_cursors_are_seen(observed: Observed, postgres_url: str):
    """Cursors that put the values into the text themselves do not show them."""
    with psycopg.connect(postgres_url, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute("SELECT 'a' = %s", ["secret"])

    assert 1 == observed.statements()["SELECT ? = ?"]


def test_async_cursors_are_seen(observed: Observed, postgres_url: str):
    """Everything that async cursors execute, in the request that awaits it."""

    async def run() -> list[str]:
        async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
            with within_request() as record:
                found = await connection.execute("SELECT 1")
                assert (1,) == await found.fetchone()
                async with connection.cursor() as cursor:
                    await cursor.execute("CREATE TABLE items (id int)")
                    await cursor.executemany("INSERT INTO items VALUES (%s)", [(1,), (2,)])
                    async with cursor.copy("COPY items FROM STDIN") as copy:
                        await copy.write_row((3,))
                    async for row in cursor.stream("SELECT id FROM items"):
                        assert row[0] in (1, 2, 3)
                    assert [] == [row async for row in cursor.stream("SELECT 1 WHERE false")]
                async with connection.cursor("named") as cursor:
                    await cursor.execute(SERIES)
                    assert 500 == len(await cursor.fetchall())
                with pytest.raises(psycopg.errors.DivisionByZero):
                    await connection.execute("SELECT 1 / 0")
        return inside(record)

    assert [
        "db SELECT ?",
        "db CREATE TABLE items (id int)",
        "db INSERT INTO items VALUES (?)",
        "db COPY items FROM stdin",
        "db SELECT id FROM items",
        "db SELECT ? WHERE FALSE",
        f"db {SERIES_TEXT}",
        "db SELECT ? / ?",
    ] == asyncio.run(run())
    assert {"postgresql SELECT": 1} == observed.failed_commands()
    (caller,) = observed.callers("SELECT ?")
    assert caller.endswith("test_async_cursors_are_seen.<locals>.run")


def test_an_async_stream_left_early_is_closed(observed: Observed, postgres_url: str):
    """The connection can be used at once after `aclose`."""

    async def run() -> None:
        async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
            rows = connection.cursor().stream(SERIES)
            assert (1,) == await anext(rows)
            await rows.aclose()
            await connection.rollback()
            await connection.execute("SELECT 1")

    asyncio.run(run())
    assert {SERIES_TEXT: 1, "SELECT ?": 1} == observed.statements()


def test_a_pool_is_read(observed: Observed, postgres_url: str):
    """Connections in use, idle and at most, and each wait for one, by the pool's name."""
    with ConnectionPool(postgres_url, name="shop", min_size=2, max_size=3) as pool:
        pool.wait()
        with pool.connection() as connection:
            connection.execute("SELECT 1")
            found = observed.pools()
            with pool.connection(), pool.connection(), pytest.raises(PoolTimeout):
                pool.getconn(timeout=0.01)
        pool.check()

    assert {"shop used": 1, "shop idle": 1, "shop most": 3} == found
    assert {"shop": 4} == observed.pool_waits()
    assert {"SELECT ?": 1} == observed.statements()


def test_an_async_pool_is_read(observed: Observed, postgres_url: str):
    """The same for pools on an event loop."""

    async def run() -> dict[str, int]:
        async with AsyncConnectionPool(postgres_url, name="shop", min_size=1, max_size=4) as pool:
            await pool.wait()
            async with pool.connection() as connection:
                await connection.execute("SELECT 1")
                return observed.pools()

    assert {"shop used": 1, "shop idle": 0, "shop most": 4} == asyncio.run(run())
    assert {"shop": 1} == observed.pool_waits()


def test_a_pool_that_is_gone_is_not_read(observed: Observed, postgres_url: str):
    """Watching a pool does not keep it alive."""
    with ConnectionPool(postgres_url, name="gone", min_size=1) as pool, pool.connection():
        pass
    del pool

    assert {} == observed.pools()


def test_methods_look_as_before():
    """Signatures and kinds of the wrapped methods are those of psycopg."""
    assert "query" in inspect.signature(psycopg.Cursor.execute).parameters
    assert inspect.iscoroutinefunction(psycopg.AsyncCursor.execute)
    assert inspect.isasyncgenfunction(psycopg.AsyncCursor.stream)


def test_uninstalling_puts_everything_back(observed: Observed, connection: psycopg.Connection):
    """Afterwards the library's classes are as they were, and nothing is recorded."""
    watched = [vars(owner)[name] for owner, name in PATCHED]
    undo = [one.install(observed.observer) for one in (instrument, pool_instrument)]
    assert all(vars(owner)[name] is not one
               for (owner, name), one in zip(PATCHED, watched, strict=True))  # fmt: skip
    for one in undo:
        one()

    assert watched == [vars(owner)[name] for owner, name in PATCHED]
    connection.execute("SELECT 1")
    assert 1 == observed.statements()["SELECT ?"]  # by the fixture's alone
