"""What the databases do differently: declared here, and nowhere else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Double, Table, cast, extract, func, literal
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.dml import Insert


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The capabilities of one kind of database."""

    name: str
    driver: str  # SQLAlchemy's name of the dialect and driver that we use
    extra: str  # what to install for the driver, "" if nothing
    server: bool  # reached over a network, with a clock, time-outs and connections of its own
    partitions: bool  # whole days are dropped instead of deleted row by row

    def insert_new(self, table: Table) -> Insert:
        """Insert rows, leaving out those whose key exists; `rowcount` tells how many went in."""
        insert = postgresql_insert(table) if self.name == "postgresql" else sqlite_insert(table)
        new: Insert = insert.on_conflict_do_nothing().inline()
        # Without this the count of an INSERT is gone once its cursor is closed.
        return new.execution_options(preserve_rowcount=True)

    def upsert(self, table: Table, *, keep_newer: str | None = None) -> Insert:
        """Insert a row, or replace the one of the same primary key.

        With `keep_newer`, the name of a column, a row whose value there is larger stays.
        """
        insert = postgresql_insert(table) if self.name == "postgresql" else sqlite_insert(table)
        key = list(table.primary_key.columns)
        values: Mapping[str, Any] = {
            column.name: insert.excluded[column.name]
            for column in table.columns
            if not column.primary_key
        }
        where = table.c[keep_newer] <= insert.excluded[keep_newer] if keep_newer else None
        return insert.on_conflict_do_update(index_elements=key, set_=values, where=where)

    def clock(self, process_clock: float) -> ColumnElement[float]:
        """Give the moment by the database's clock; a file has that of its processes."""
        if self.server:
            return cast(extract("epoch", func.clock_timestamp()), Double)
        return literal(process_clock, Double)


SQLITE: Final = Dialect(
    name="sqlite", driver="sqlite+pysqlite", extra="", server=False, partitions=False
)
POSTGRESQL: Final = Dialect(
    name="postgresql",
    driver="postgresql+psycopg",
    extra="postgres",
    server=True,
    partitions=True,
)
DIALECTS: Final[Sequence[Dialect]] = (SQLITE, POSTGRESQL)
