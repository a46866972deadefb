"""MariaDB and MySQL: named locks, schema changes that end transactions, UPDATE from left to right.

Assignments of one UPDATE see what those before them have set, in the order of the table's columns:
a condition on a column must come out the same after that column was set.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil
from typing import Any, Final

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Double,
    Select,
    Table,
    TextClause,
    and_,
    bindparam,
    case,
    delete,
    literal_column,
    text,
    type_coerce,
)
from sqlalchemy.dialects.mysql import insert as mysql_insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import Delete, Insert

from watchkeeper.exceptions import StorageUnavailableError
from watchkeeper.storage.sql.dialect import Allocated, Dialect, replaced, sums
from watchkeeper.storage.sql.faults import error_code

SOCKET_TIMEOUT_S: Final = 70  # a network that swallows packets; longer than any statement may take
# The server's clock in seconds, whatever the session's time zone and its summer time.
_CLOCK: Final = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1e6"
# Table exists, column exists, key exists, nothing to drop: what a step meets that broke half-way.
_DONE_BEFORE: Final = frozenset({1050, 1060, 1061, 1091})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mariadb(Dialect):
    """The capabilities of MariaDB and MySQL."""

    def insert_new(self, table: Table) -> Insert:
        """Insert rows, leaving out those whose key exists; `rowcount` tells how many went in."""
        # IGNORE also makes warnings of wrong values; ours are cut and checked before.
        new: Insert = mysql_insert(table).prefix_with("IGNORE").inline()
        return new.execution_options(preserve_rowcount=True)

    def upsert(
        self,
        table: Table,
        *,
        keep_newer: str | None = None,
        until: ColumnElement[float] | None = None,
    ) -> Insert:
        """Insert a row, or replace the one of the same primary key."""
        insert = mysql_insert(table)
        names = [column.name for column in table.columns if not column.primary_key]
        values: list[tuple[str, Any]] = [(name, insert.inserted[name]) for name in names]
        if keep_newer is not None:
            newer = replaced(table.c[keep_newer], insert.inserted[keep_newer], until)
            values = [(name, case((newer, value), else_=table.c[name])) for name, value in values]
            values.sort(key=lambda one: one[0] == keep_newer)  # last: the others look at it
        return insert.on_duplicate_key_update(values)

    def upsert_sum(self, table: Table) -> Insert:
        """Insert a row, or add to the one of the same primary key."""
        insert = mysql_insert(table)
        return insert.on_duplicate_key_update(sums(table, insert.inserted))

    def clock(self, process_clock: float) -> ColumnElement[float]:
        """Give the moment by the server's clock."""
        return type_coerce(literal_column(f"({_CLOCK})"), Double)

    def delete_chosen(self, table: Table, chosen: Select[Any]) -> Delete:
        """Delete the rows whose primary keys a query with a limit chooses, in the key's order."""
        # IN takes no query with a limit; a join also finds the rows by their key.
        keys = chosen.subquery("chosen")
        pairs = zip(table.primary_key.columns, keys.columns, strict=True)
        return delete(table).where(and_(*(column == key for column, key in pairs)))

    def connect_arguments(self, url: URL, *, timeout_s: int) -> Mapping[str, Any]:
        """Return what the driver is told when it connects."""
        arguments: dict[str, Any] = {
            "connect_timeout": timeout_s,
            "read_timeout": SOCKET_TIMEOUT_S,
            "write_timeout": SOCKET_TIMEOUT_S,
            "charset": "utf8mb4",
        }
        return {name: value for name, value in arguments.items() if name not in url.query}

    def prepare(self, connection: Any, *, limit_s: float, schema: str) -> None:
        """Set up a driver's new connection; statements and locks may take `limit_s` seconds."""
        with connection.cursor() as cursor:
            # Wrong values are errors; MySQL's figures of sizes would be those of yesterday.
            cursor.execute(
                "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')"
                " /*!80000 , information_schema_stats_expiry = 0 */"
            )
            cursor.execute(_limits(limit_s))
        connection.commit()

    @contextmanager
    def alone(self, connection: Connection, *, limit_s: int, usual_s: float) -> Iterator[None]:
        """Change the schema while nobody else does.

        Each change of a table ends the transaction: a step that breaks in its midst is begun anew
        by the next who tries, hence `change`.
        """
        connection.exec_driver_sql(_limits(limit_s))
        database = connection.exec_driver_sql("SELECT DATABASE()").scalar_one()
        # Such names are the server's, not the database's, and of 64 characters at most.
        name = {"name": "watchkeeper:" + blake2b(database.encode(), digest_size=16).hexdigest()}
        # One process at a time; the lock is the session's.
        got = connection.execute(
            text("SELECT GET_LOCK(:name, :wait)"), {**name, "wait": limit_s - 1}
        )
        if got.scalar() != 1:
            raise StorageUnavailableError("another process is changing the tables")
        try:
            yield
            connection.exec_driver_sql("COMMIT")  # before the next one may look
        finally:
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), name)
            connection.exec_driver_sql(_limits(usual_s))

    @contextmanager
    def again(self) -> Iterator[None]:
        """Do a part of a step; where it was done before an earlier try broke: nothing."""
        try:
            yield
        except DBAPIError as error:
            if error_code(error.orig) not in _DONE_BEFORE:
                raise

    def size(self, tables: Sequence[str]) -> tuple[TextClause, Mapping[str, Any]]:
        """Return the query for the bytes that tables take, indexes included, and its values."""
        # Add up what the server last knew of our tables; it looks again when a tenth has changed.
        statement = text(
            "SELECT coalesce(sum(data_length + index_length), 0) FROM information_schema.tables "
            "WHERE table_schema = DATABASE() AND table_name IN :names"
        ).bindparams(bindparam("names", expanding=True))
        return statement, {"names": list(tables)}

    def sizes(self, connection: Connection, tables: Sequence[str]) -> dict[str, Allocated]:
        """Measure tables; the figures are the server's estimates."""
        # Read what the server last knew of each table; pages that were emptied are not among it.
        statement = text(
            "SELECT table_name AS name, data_length + index_length AS allocated, "
            "table_rows AS rows_ FROM information_schema.tables "
            "WHERE table_schema = DATABASE() AND table_name IN :names"
        ).bindparams(bindparam("names", expanding=True))
        found = connection.execute(statement, {"names": list(tables)})
        return {
            row.name: Allocated(bytes=int(row.allocated or 0), rows=int(row.rows_ or 0))
            for row in found
        }


def _limits(limit_s: float) -> str:
    """Say how long a statement, and the wait for a lock, may take; MySQL limits only reading."""
    waits = max(1, ceil(limit_s))
    return (
        f"SET SESSION innodb_lock_wait_timeout = {waits}, lock_wait_timeout = {waits}"
        f" /*M! , max_statement_time = {limit_s:.3f} */"
        f" /*!50708 , max_execution_time = {int(limit_s * 1000)} */"
    )


MARIADB: Final = Mariadb(
    name="mariadb",
    schemes=("mariadb", "mysql"),
    driver="mysql+pymysql",
    extra="mariadb",
    server=True,
)
