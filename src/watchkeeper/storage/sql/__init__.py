"""The store in a SQL database: SQLite, PostgreSQL or MariaDB, through SQLAlchemy Core."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from watchkeeper.exceptions import CollisionError, ConfigurationError
from watchkeeper.storage.frame import encode
from watchkeeper.storage.rows import cut_scope
from watchkeeper.storage.sql import standing
from watchkeeper.storage.sql.admin import SqlAdmin
from watchkeeper.storage.sql.alerts import SqlAlerts
from watchkeeper.storage.sql.audits import SqlAudits
from watchkeeper.storage.sql.checks import SqlChecks
from watchkeeper.storage.sql.database import Database
from watchkeeper.storage.sql.dialect import Dialect
from watchkeeper.storage.sql.dialects import dialect_of
from watchkeeper.storage.sql.erasure import SqlErasure
from watchkeeper.storage.sql.events import SqlEvents
from watchkeeper.storage.sql.issues import SqlIssues
from watchkeeper.storage.sql.merging import SqlMerging
from watchkeeper.storage.sql.outbox import SqlOutbox
from watchkeeper.storage.sql.pages import SqlPages
from watchkeeper.storage.sql.past import SqlPast
from watchkeeper.storage.sql.releases import SqlReleases
from watchkeeper.storage.sql.removal import SqlRemoval
from watchkeeper.storage.sql.rules import SqlRules
from watchkeeper.storage.sql.samples import SqlSamples
from watchkeeper.storage.sql.sealing import SqlSealing
from watchkeeper.storage.sql.silences import SqlSilences
from watchkeeper.storage.sql.triage import SqlTriage
from watchkeeper.storage.sql.values import SqlValues
from watchkeeper.storage.store import Batch, Written

__all__ = ["SqlStore", "open_sql"]

COLLISIONS: Final = 2  # a flush that another transaction wins against is begun anew at once
CURE: Final = (
    'write "sqlite:///watchkeeper.db", "postgresql://user@host/name" or "mariadb://user@host/name"'
)
ASYNC_DRIVERS: Final[Sequence[str]] = (
    "asyncpg",
    "aiosqlite",
    "psycopg_async",
    "aiomysql",
    "asyncmy",
    "mariadbconnector_async",
)


class SqlStore(
    SqlSealing,
    SqlMerging,
    SqlTriage,
    SqlEvents,
    SqlIssues,
    SqlSamples,
    SqlAlerts,
    SqlOutbox,
    SqlSilences,
    SqlRules,
    SqlChecks,
    SqlReleases,
    SqlAudits,
    SqlAdmin,
    SqlValues,
    SqlPast,
    SqlRemoval,
    SqlErasure,
    SqlPages,
):
    """A whole store in one database; safe for threads, and for processes after a fork."""

    def write(self, batch: Batch) -> Written:
        """Write a flush. A second write of the same frame key changes nothing at all."""
        (values,) = self._numbered([batch.frame])
        payload = encode(values)  # before the transaction: a lock is held for no work of ours
        for _ in range(COLLISIONS):
            try:
                return self._write(batch, payload)
            except CollisionError:
                continue
        return self._write(batch, payload)

    def _write(self, batch: Batch, payload: bytes) -> Written:
        scope, key = cut_scope(batch.scope), batch.frame.key
        with self._database.write() as connection:
            if not self._insert(connection, key, payload):
                return Written.DUPLICATE
            if batch.issues:
                self._count_issues(connection, scope, key, batch.issues)
            if batch.events:
                self._keep_events(connection, scope, batch.events)
            if batch.samples:
                self._keep_samples(connection, scope, batch.samples)
            if batch.statements:
                self._keep_statements(connection, scope, batch.statements)
            self._keep_checks(connection, scope, batch.checks, batch.check_changes)
            connection.execute(standing.HEARTBEAT, {"known": key.worker, "moment": batch.at})
        return Written.STORED


def open_sql(
    address: str | Engine, *, statement_timeout_s: float, prefix: str, schema: str
) -> SqlStore:
    """Make the store of a URL, a path to a SQLite file or a host's engine; nothing is connected.

    Raises ConfigurationError for a URL that makes no sense and for a driver that is missing.
    """
    if isinstance(address, str):
        host = None
        url, dialect = _understood(address)
        _require_driver(url, dialect)
    else:
        host = address
        url, dialect = _of_engine(address)
    if schema and not dialect.schemas:
        raise ConfigurationError(
            f"database_schema: {dialect.name} has none; set table_prefix, or name another database"
        )
    return SqlStore(
        Database(
            url,
            dialect,
            statement_timeout_s=statement_timeout_s,
            prefix=prefix,
            schema=schema,
            host=host,
        )
    )


def _of_engine(engine: object) -> tuple[URL, Dialect]:
    if not isinstance(engine, Engine):
        raise ConfigurationError(
            f"database_url: {type(engine).__name__} is neither a URL nor an Engine of SQLAlchemy; "
            "an AsyncEngine's driver cannot be used from our thread: write a URL"
        )
    dialect = dialect_of(engine.dialect.name)
    if dialect is None:
        raise ConfigurationError(
            f"database_url: an Engine for {engine.dialect.name} is not supported; {CURE}"
        )
    if engine.dialect.is_async:
        raise ConfigurationError(
            f"database_url: the Engine's driver, {engine.dialect.driver}, is asynchronous; "
            f"write {dialect.driver}://…"
        )
    _require_file(engine.url, dialect)
    return engine.url, dialect


def _understood(address: str) -> tuple[URL, Dialect]:
    if "://" not in address:
        scheme, colon, _ = address.partition(":")
        if colon and dialect_of(scheme.partition("+")[0]):
            raise ConfigurationError(f"database_url: {scheme}: lacks two slashes; {CURE}")
        address = f"sqlite:///{address}"
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        # The address itself may hold a password: it is not repeated.
        raise ConfigurationError(f"database_url: this is not a URL; {CURE}") from error
    backend, _, driver = url.drivername.partition("+")
    dialect = dialect_of(backend)
    if dialect is None:
        raise ConfigurationError(f"database_url: {backend}:// is not supported; {CURE}")
    if driver in ASYNC_DRIVERS:
        raise ConfigurationError(
            f"database_url: {driver} is an asynchronous driver; write {dialect.driver}://…"
        )
    _require_file(url, dialect)
    if not dialect.server and url.database:
        # A host that changes its directory later must not end up with a second file.
        url = url.set(database=str(Path(url.database).absolute()))
    return (url if driver else url.set(drivername=dialect.driver)), dialect


def _require_file(url: URL, dialect: Dialect) -> None:
    name = url.database or ""
    # "memory:" is what is written for memory:// by mistake; it would be a file of that name.
    if not dialect.server and name.rpartition("/")[2] in ("", ":memory:", "memory:"):
        raise ConfigurationError(
            'database_url: SQLite needs a file; write "sqlite:///watchkeeper.db", '
            'or "memory://" to keep nothing'
        )


def _require_driver(url: URL, dialect: Dialect) -> None:
    try:
        url.get_dialect().import_dbapi()
    except NoSuchModuleError as error:
        raise ConfigurationError(
            f"database_url: {url.drivername}:// is not known; write {dialect.driver}://…"
        ) from error
    except ImportError as error:
        raise ConfigurationError(
            f"database is {dialect.name}:// but no driver is installed. "
            f'Run: pip install "watchkeeper[{dialect.extra}]". '
            "Monitoring is off; your app is unaffected."
        ) from error
