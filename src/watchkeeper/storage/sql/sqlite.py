"""SQLite: a file, its processes' clock, and one writer at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Double, Table, literal
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.dml import Insert

from watchkeeper.storage.sql.dialect import Dialect

PAGE_BYTES: Final = 16_384  # 20 % less room for frames than with pages of 4 kB
# Of a new file. The first two are ignored once it has its first page, hence before the WAL mode.
LAYOUT: Final = (
    f"PRAGMA page_size = {PAGE_BYTES}",
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA journal_mode = WAL",
)


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

    def script(self, statements: Sequence[str], *, schema: str, new: bool) -> list[str]:
        """Make it one transaction, after what a new file is told before its first page."""
        layout = [*LAYOUT] if new else []
        return [*layout, "BEGIN", *statements, "COMMIT"]


SQLITE: Final = Sqlite(name="sqlite", schemes=("sqlite",), driver="sqlite+pysqlite")
