"""SQLAlchemy's instrument: every engine's statements and pools, sync and async."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from observed import Observed, inside, within_request
from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Session, relationship
from sqlalchemy.pool import NullPool, QueuePool

from watchkeeper.integrations.instruments import asyncpg as asyncpg_instrument
from watchkeeper.integrations.instruments import psycopg as psycopg_instrument
from watchkeeper.integrations.instruments import sqlalchemy as instrument
from watchkeeper.storage import open_store

metadata = MetaData()
items = Table(
    "items",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, unique=True),
)

SELECT_ONE = "SELECT ?"
INSERT_NAME = "INSERT INTO items (name) VALUES (?)"


@pytest.fixture(autouse=True)
def instrumented(observed: Observed) -> Iterator[None]:
    """Instrument SQLAlchemy, and the drivers too: nothing may be counted twice."""
    undo = [one.install(observed.observer)
            for one in (psycopg_instrument, asyncpg_instrument, instrument)]  # fmt: skip
    yield
    for one in undo:
        one()


@pytest.fixture
def engine() -> Iterator[Engine]:
    """A database in memory with one table."""
    made = create_engine("sqlite://", poolclass=QueuePool, pool_size=1, max_overflow=0)
    metadata.create_all(made)
    yield made
    made.dispose()


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Engine]:
    """A database on a real PostgreSQL server, through psycopg."""
    made = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    yield made
    made.dispose()


def async_engine(postgres_url: str, driver: str) -> AsyncEngine:
    return create_async_engine(postgres_url.replace("postgresql:", f"postgresql+{driver}:"))


def test_each_statement_counts_with_its_rows(observed: Observed, engine: Engine):
    """Statements are counted under their text without values, and so are the rows they change."""
    with engine.begin() as connection:
        for name in ("a", "b"):
            connection.execute(insert(items).values(name=name))
        connection.execute(items.update().values(name=items.c.name + "!"))

    assert 2 == observed.statements()[INSERT_NAME]
    assert 2 == observed.rows()[INSERT_NAME]
    assert 2 == observed.rows()["UPDATE items SET name = (items.name || ?)"]
    assert 2 == observed.commands()["sqlite INSERT"]


def test_results_and_statements_are_as_without_us(observed: Observed, engine: Engine):
    """Many rows inserted at once come back as they were; the statement counts once."""
    with engine.begin() as connection:
        done = connection.execute(insert(items), [{"name": str(n)} for n in range(50)])
        names = [row.name for row in connection.execute(select(items.c.name))]

    assert 50 == done.rowcount
    assert [str(n) for n in range(50)] == names
    assert 1 == observed.statements()[INSERT_NAME]
    assert 50 == observed.rows()[INSERT_NAME]


def test_a_failing_statement_counts_as_failed(observed: Observed, engine: Engine):
    """The exception is SQLAlchemy's own, and the statement is counted among the failures."""
    with engine.begin() as connection:
        connection.execute(insert(items).values(name="a"))
        with pytest.raises(IntegrityError, match="UNIQUE"):
            connection.execute(insert(items).values(name="a"))

    assert 2 == observed.statements()[INSERT_NAME]
    assert {"sqlite INSERT": 1} == observed.failed_commands()


def test_a_statement_that_is_no_sql_is_counted_without_its_values(
    observed: Observed, engine: Engine
):
    """Also what the database refuses to parse."""
    with engine.connect() as connection, pytest.raises(OperationalError):
        connection.execute(text("SELEC 'secret'"))

    assert 1 == observed.statements()["selec ?"]
    assert {"sqlite OTHER": 1} == observed.failed_commands()


def test_statements_are_part_of_the_request_that_runs(observed: Observed, engine: Engine):
    """Inside a request each statement is a span; outside of one it still counts."""
    with within_request() as record, engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    with engine.connect() as connection:
        connection.execute(text("SELECT 2"))

    assert ["db SELECT ?"] == inside(record)
    assert 2 == observed.statements()[SELECT_ONE]


def test_the_caller_is_the_application_not_the_library(observed: Observed, engine: Engine):
    """A statement is found where the application's own code asked for it."""
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))

    (caller,) = observed.callers(SELECT_ONE)
    assert caller.endswith(":test_the_caller_is_the_application_not_the_library")


def test_threads_count_exactly(observed: Observed, tmp_path):
    """Eight threads with a connection each lose no statement."""
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}", pool_size=8)

    def ask() -> None:
        with engine.connect() as connection:
            for _ in range(50):
                connection.execute(text("SELECT 1"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.dispose()

    assert 400 == observed.statements()[SELECT_ONE]
    assert 8 == observed.pool_waits()["sqlite shop.db"]


def test_lazy_loads_are_seen_one_by_one(observed: Observed):
    """What the ORM asks for by itself is counted too: here an N+1."""

    class Base(DeclarativeBase):
        pass

    class Author(Base):
        __tablename__ = "authors"
        id = Column(Integer, primary_key=True)
        books = relationship("Book")

    class Book(Base):
        __tablename__ = "books"
        id = Column(Integer, primary_key=True)
        author_id = Column(ForeignKey("authors.id"))

    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Author(books=[Book()]) for _ in range(12)])
        session.commit()
        for author in session.scalars(select(Author)):
            assert 1 == len(author.books)
    engine.dispose()

    counts = observed.statements()
    assert [12] == [count for text, count in counts.items() if text.startswith("SELECT books")]


def test_savepoints_are_one_statement(observed: Observed, postgres: Engine):
    """However SQLAlchemy numbers its savepoints, they are the same statement."""
    with postgres.begin() as connection:
        for _ in range(3):
            with connection.begin_nested():
                connection.execute(text("SELECT 1"))

    assert 3 == observed.statements()["SAVEPOINT ?"]
    assert 3 == observed.statements()["RELEASE SAVEPOINT ?"]


def test_the_driver_does_not_count_it_again(observed: Observed, postgres: Engine):
    """A statement through SQLAlchemy and psycopg is one statement."""
    with postgres.connect() as connection:
        observed.statements()
        connection.execute(text("SELECT 'x', :a"), {"a": 1})
        connection.execute(text("SELECT 'x', :a"), {"a": 2})

    assert 2 == observed.statements()["SELECT ?, ?"]
    assert 2 == observed.rows()["SELECT ?, ?"]


def test_a_streamed_result_comes_through_whole(observed: Observed, postgres: Engine):
    """A server-side cursor counts as one statement, and every row arrives."""
    with postgres.connect() as connection:
        rows = connection.execution_options(stream_results=True, max_row_buffer=10).execute(
            text("SELECT * FROM generate_series(1, 1000)")
        )
        assert 1000 == len(list(rows))

    assert 1 == observed.statements()["SELECT * FROM generate_series(?, ?)"]


def test_a_refused_statement_keeps_its_exception(observed: Observed, postgres: Engine):
    """PostgreSQL's error arrives as it would without us, with the driver's as its origin."""
    with postgres.connect() as connection:
        with pytest.raises(DBAPIError) as caught:
            connection.execute(text("SELECT 1 / 0"))
        connection.rollback()
        connection.execute(text("SELECT 1"))

    assert "22012" == caught.value.orig.sqlstate
    assert {"postgresql SELECT": 1} == observed.failed_commands()
    assert 1 == observed.statements()[SELECT_ONE]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_async_engines_are_seen(observed: Observed, postgres_url: str, driver: str):
    """Statements of an async engine count once, in the request that awaits them."""

    async def ask() -> list[str]:
        engine = async_engine(postgres_url, driver)
        async with AsyncSession(engine) as session:
            await session.execute(text("SELECT 0, 0"))
            with within_request() as record:
                await session.execute(text("SELECT 1"))
                with pytest.raises(DBAPIError):
                    await session.execute(text("SELECT 1 / 0"))
                await session.rollback()
        await engine.dispose()
        return inside(record)

    spans = asyncio.run(ask())

    assert ["db SELECT ?", "db SELECT ? / ?"] == [span for span in spans if "ROLL" not in span]
    assert 1 == observed.statements()[SELECT_ONE]
    assert 1 == observed.failed_commands()["postgresql SELECT"]
    (caller,) = observed.callers(SELECT_ONE)
    assert caller.endswith("test_async_engines_are_seen.<locals>.ask")


def test_concurrent_tasks_keep_their_statements_apart(observed: Observed, postgres_url: str):
    """Each of several requests on one event loop has its own statements inside."""

    async def ask(engine: AsyncEngine, times: int) -> int:
        with within_request() as record:
            async with engine.connect() as connection:
                for _ in range(times):
                    await connection.execute(text("SELECT 1, pg_sleep(0.001)"))
        return len([span for span in inside(record) if "pg_sleep" in span])

    async def run() -> list[int]:
        engine = async_engine(postgres_url, "asyncpg")
        counts = await asyncio.gather(*(ask(engine, times) for times in range(1, 6)))
        await engine.dispose()
        return counts

    assert [1, 2, 3, 4, 5] == asyncio.run(run())
    assert 15 == observed.statements()["SELECT ?, pg_sleep(?)"]


def test_a_cancelled_statement_counts_as_failed(observed: Observed, postgres_url: str):
    """A task that is cancelled while it waits for the database is over; the time counts."""

    async def run() -> None:
        engine = async_engine(postgres_url, "asyncpg")
        async with engine.connect() as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await connection.execute(text("SELECT pg_sleep(30)"))
        await engine.dispose()

    asyncio.run(run())

    assert 1 == observed.statements()["SELECT pg_sleep(?)"]
    assert {"postgresql SELECT": 1} == observed.failed_commands()


def test_the_pool_is_read(observed: Observed):
    """Connections in use, idle and at most, and each wait for one; without user or password."""
    engine = create_engine(
        "sqlite:///file:shop?mode=memory&cache=shared&uri=true",
        poolclass=QueuePool, pool_size=3, max_overflow=2, pool_timeout=0.01,
    )  # fmt: skip
    name = engine.url.database
    held = [engine.connect() for _ in range(2)]
    held.pop().close()

    assert {f"sqlite {name} used": 1, f"sqlite {name} idle": 1, f"sqlite {name} most": 5} == (
        observed.pools()
    )
    assert {f"sqlite {name}": 2} == observed.pool_waits()

    held += [engine.connect() for _ in range(4)]
    with pytest.raises(PoolTimeoutError):
        engine.connect()
    for connection in held:
        connection.close()
    engine.dispose()


def test_the_pool_of_an_async_engine_is_read(observed: Observed, postgres_url: str):
    """It is named after its database, never with what opens it."""

    async def run() -> dict[str, int]:
        engine = async_engine(postgres_url.replace("@", ":secret@"), "asyncpg")
        async with engine.connect():
            found = observed.pools()
        await engine.dispose()
        return found

    database = postgres_url.rpartition("/")[2]
    assert {
        f"postgresql {database} used": 1,
        f"postgresql {database} idle": 0,
        f"postgresql {database} most": 15,
    } == asyncio.run(run())


def test_pools_without_a_size_are_left_alone(observed: Observed, tmp_path):
    """Where connections are opened each time there is nothing that could run out."""
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))

    assert {} == observed.pools()
    assert {} == observed.pool_waits()
    assert 1 == observed.statements()[SELECT_ONE]


def test_our_own_database_work_is_not_recorded(observed: Observed, store_url: str):
    """Opening, filling and reading Watchkeeper's own store leaves no trace in its figures."""
    before = observed.statements()
    store = open_store(store_url)
    store.migrate()
    store.set_meta("a", "b")
    store.close()

    assert before == observed.statements()
    assert {} == observed.pools()


def test_an_engine_with_other_options_is_seen_once(observed: Observed, engine: Engine):
    """`engine.execution_options()` gives the same engine with other manners."""
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("SELECT 1"))

    assert 1 == observed.statements()[SELECT_ONE]


def test_comments_that_listeners_add_are_passed_on_and_not_kept(
    observed: Observed, engine: Engine
):
    """Each request's own comment reaches the database; the statement is the same one."""
    sent: list[str] = []

    def comment(connection, cursor, statement, parameters, *_):
        return f"{statement} /* request {len(sent)} */", parameters

    event.listen(engine, "before_cursor_execute", comment, retval=True)
    with engine.connect() as connection:
        connection.connection.dbapi_connection.set_trace_callback(sent.append)
        for _ in range(3):
            connection.execute(text("SELECT 2, 2"))

    assert ["SELECT 2, 2 /* request 0 */", "SELECT 2, 2 /* request 1 */"] == sent[:2]
    assert 3 == observed.statements()["SELECT ?, ?"]


def test_a_listener_of_the_application_that_raises_changes_nothing(
    observed: Observed, engine: Engine
):
    """An exception of the application's own event listener goes on; later statements count."""

    def refuse(connection, cursor, statement, *_):
        if "forbidden" in statement:
            raise PermissionError(statement)

    event.listen(engine, "before_cursor_execute", refuse)
    with engine.connect() as connection:
        with pytest.raises(PermissionError):
            connection.execute(text("SELECT 'forbidden'"))
        connection.execute(text("SELECT 2, 2"))

    assert 1 == observed.statements()["SELECT ?, ?"]


def test_uninstalling_puts_everything_back(observed: Observed, engine: Engine):
    """Afterwards no hook is left and nothing is recorded."""
    undo = instrument.install(observed.observer)
    wrapped = Engine.raw_connection
    undo()

    assert wrapped is not Engine.raw_connection
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    assert 1 == observed.statements()[SELECT_ONE]  # by the fixture's alone
