"""SQLite: a file, its processes' clock, and one writer at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Double, Table, literal
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.dml import Insert

from watchkeeper.storage.sql.dialect import Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class Sqlite(Dialect):
    """The capabilities of SQLite."""

    def insert_new(self, table: Table) -> Insert:
        """Insert rows, leaving out those whose key exists; `rowcount` tells how many went in."""
        new: Insert = sqlite_insert(table).on_conflict_do_nothing().inline()
        # Without this the count of an INSERT is gone once its cursor is closed.
        return new.execution_options(preserve_rowcount=True)

    def upsert(self, table: Table, *, keep_newer: str | None = None) -> Insert:
        """Insert a row, or replace the one of the same primary key."""
        insert = sqlite_insert(table)
        values: Mapping[str, Any] = {
            column.name: insert.excluded[column.name]
            for column in table.columns
            if not column.primary_key
        }
        where = table.c[keep_newer] <= insert.excluded[keep_newer] if keep_newer else None
        key = list(table.primary_key.columns)
        return insert.on_conflict_do_update(index_elements=key, set_=values, where=where)

    def clock(self, process_clock: float) -> ColumnElement[float]:
        """Give the moment by the process' clock."""
        return literal(process_clock, Double)


PART_BYTES: Final = 1_600  # ten to a page: of larger ones a page holds two and wastes a fifth

SQLITE: Final = Sqlite(
    name="sqlite", schemes=("sqlite",), driver="sqlite+pysqlite", part_bytes=PART_BYTES
)
