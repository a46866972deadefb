"""One database: its engine, its transactions and its time-outs."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from watchkeeper.core.covered import Cover, covered
from watchkeeper.storage.fork_gate import fork_gate
from watchkeeper.storage.sql.dialect import Dialect
from watchkeeper.storage.sql.faults import translated
from watchkeeper.storage.sql.names import PREFIX, rename
from watchkeeper.storage.sql.sqlite import DEADLINE, LAYOUT, PAGE_BYTES, Deadline, deadline_of
from watchkeeper.storage.turns import give_way, take_turn

CONNECT_TIMEOUT_S: Final = 5
BUSY_TIMEOUT_S: Final = 5.0  # how long SQLite waits for another writer
POOL_SIZE: Final = 3  # the flusher, a sender of notifications, a page
MAX_OVERFLOW: Final = 5
WAL_BYTES: Final = 4 << 20  # SQLite's 1,000 pages would be 16 MB beside a database of 5
OPCODES_BETWEEN_LOOKS: Final = 50_000  # of SQLite's engine, between two looks at the clock
INCREMENTAL: Final = 2  # of auto_vacuum: free pages are given back when we say so
WAL_TRIES: Final = 100  # processes that start together switch a new file one after the other
WAL_PAUSE_S: Final = 0.05


class Database:
    """Connections to one database, made when first used and made anew after a fork."""

    def __init__(
        self,
        url: URL,
        dialect: Dialect,
        *,
        statement_timeout_s: float,
        prefix: str = PREFIX,
        schema: str = "",
        host: Engine | None = None,
    ) -> None:
        """Remember where the database is; nothing is opened yet.

        `host` is an engine of the application: connections are made as its own are, but are ours.
        """
        self.url = url
        self.dialect = dialect
        self.statement_timeout_s = statement_timeout_s
        self.schema = schema
        self.prefix = prefix
        self._host = host
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._engine: Engine | None = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Run statements that read, all seeing the same state on SQLite; raise StorageError."""
        with self._transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Run statements as one transaction: all or nothing; raise StorageError."""
        with self._transaction(writes=True) as connection:
            yield connection

    @property
    def is_shared(self) -> bool:
        """Whether a SQLite file is the host's, so that most of it may be other tables."""
        return self._host is not None

    def give_back(self, pages: int) -> bool:
        """Return up to `pages` free pages of a SQLite file to the disk; raise StorageError.

        Returns whether there are more; never where the file keeps its free pages.
        """
        try:
            with fork_gate.passing(), _unwatched(), self._connect() as connection:
                deadline_of(connection).begin()
                cursor = connection.connection.cursor()
                if cursor.execute("PRAGMA auto_vacuum").fetchone() != (INCREMENTAL,):
                    return False
                # One page per step of the statement; only a script is stepped to its end.
                cursor.executescript(f"PRAGMA incremental_vacuum({pages})")
                return bool(cursor.execute("PRAGMA freelist_count").fetchone()[0])
        except (sqlite3.Error, SQLAlchemyError) as error:
            raise translated(error, self.url) from error

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        try:
            with fork_gate.passing(), _unwatched(), self._connect() as connection:
                connection = connection.execution_options(watchkeeper_writes=writes)
                with connection.begin():
                    yield connection
        except (sqlite3.Error, SQLAlchemyError) as error:
            raise translated(error, self.url) from error

    def _connect(self) -> Connection:
        if self._pid != os.getpid():
            self.forget_connections()
        with self._lock:
            if self._engine is None:
                self._engine = self._open()
            engine = self._engine
        return engine.connect()

    def close(self) -> None:
        """Close the connections that are not in use; new ones are made when needed."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def forget_connections(self) -> None:
        """Drop the connections without closing them: after a fork they are the parent's."""
        self._pid = os.getpid()
        self._lock = threading.Lock()  # another thread of the parent may have held the old one
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose(close=False)

    def _open(self) -> Engine:
        engine = self._open_server() if self.dialect.server else self._open_file()
        rename(engine, self.prefix)
        # Between statements is where a thread of ours has been busy with Python.
        event.listen(engine, "before_cursor_execute", give_way)
        return engine

    def _new_engine(self, arguments: Mapping[str, Any], *, pre_ping: bool) -> Engine:
        if self._host is not None:
            # A pool of our own, which is never full of the host's, and which a fork may drop;
            # it connects as the host's does: address, password, certificates and events.
            host = self._host
            return Engine(host.pool.recreate(), host.dialect, host.url)
        return create_engine(
            self.url,
            pool_size=POOL_SIZE,
            max_overflow=MAX_OVERFLOW,
            pool_timeout=CONNECT_TIMEOUT_S,
            pool_pre_ping=pre_ping,
            connect_args=dict(arguments),
        )

    def _open_server(self) -> Engine:
        engine = self._new_engine(
            self.dialect.connect_arguments(self.url, timeout_s=CONNECT_TIMEOUT_S), pre_ping=True
        )

        def prepare(connection: Any, _record: object) -> None:
            connection.commit()  # what a listener of the host's may have begun
            # Whatever the default of the host's engine or of the server is. Stricter levels would
            # let those who only append wait for each other on MariaDB.
            engine.dialect.set_isolation_level(connection, "READ COMMITTED")
            self.dialect.prepare(connection, limit_s=self.statement_timeout_s, schema=self.schema)

        event.listen(engine, "connect", prepare)
        return engine

    def _open_file(self) -> Engine:
        engine = self._new_engine({"timeout": BUSY_TIMEOUT_S}, pre_ping=False)

        def prepare(connection: Any, record: Any) -> None:
            connection.isolation_level = None  # transactions begin where we say so, below
            deadline = record.info[DEADLINE] = Deadline(self.statement_timeout_s)
            connection.set_progress_handler(deadline.passed, OPCODES_BETWEEN_LOOKS)
            if self._host is None:
                _prepare_file(connection)
            else:  # a file of the host's: how it is laid out is not ours to change
                connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")

        def begin(connection: Connection) -> None:
            writes = connection.get_execution_options().get("watchkeeper_writes")
            if writes:
                take_turn()  # now, rather than in the midst while other writers wait
            # A writer waits for its turn at the start: waiting in the midst would be a deadlock.
            # Past SQLAlchemy, which would take five times as long as SQLite itself.
            connection.connection.cursor().execute("BEGIN IMMEDIATE" if writes else "BEGIN")

        def execute(connection: Connection, *_: object) -> None:
            deadline_of(connection).begin()

        event.listen(engine, "connect", prepare)
        event.listen(engine, "begin", begin)
        event.listen(engine, "before_cursor_execute", execute)
        return engine


@contextmanager
def _unwatched() -> Iterator[None]:
    """Keep the instruments of database libraries from recording what we do ourselves."""
    token = covered.set(Cover.OWN)
    try:
        yield
    finally:
        covered.reset(token)


def _prepare_file(connection: Any, *, pause: Callable[[float], None] = time.sleep) -> None:
    """Set up a connection to a SQLite file, and the file itself while it is new."""
    run = connection.execute
    run(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
    for attempt in range(WAL_TRIES):
        try:
            if run("PRAGMA journal_mode").fetchone()[0] != "wal":
                for statement in LAYOUT:
                    run(statement)
            break
        except connection.OperationalError as error:
            # SQLite does not wait by itself for a change of the journal's mode.
            if getattr(error, "sqlite_errorname", "") != "SQLITE_BUSY" or attempt == WAL_TRIES - 1:
                raise
            pause(WAL_PAUSE_S)
    run("PRAGMA synchronous = NORMAL")
    run(f"PRAGMA wal_autocheckpoint = {WAL_BYTES // PAGE_BYTES}")
    run(f"PRAGMA journal_size_limit = {WAL_BYTES}")
