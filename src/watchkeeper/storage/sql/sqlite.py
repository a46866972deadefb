"""SQLite: a file, its processes' clock, and one writer at a time."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Table,
    bindparam,
    literal,
    text,
)
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.dml import Insert

from watchkeeper.storage.sql.dialect import Allocated, Dialect, replaced, sums

PROBED_ROWS: Final = 100  # whose length is that of a table's other rows, where nothing better is

PAGE_BYTES: Final = 16_384  # 20 % less room for frames than with pages of 4 kB
# Of a new file. The first two are ignored once it has its first page, hence before the WAL mode.
LAYOUT: Final = (
    f"PRAGMA page_size = {PAGE_BYTES}",
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA journal_mode = WAL",
)
DEADLINE: Final = "deadline"  # of a connection, in what the pool notes of it


class Deadline:
    """When the statement that runs on a connection has taken too long."""

    __slots__ = ("_at", "limit_s")

    def __init__(self, limit_s: float) -> None:
        """Let each statement take so many seconds."""
        self.limit_s = limit_s
        self._at = float("inf")

    def begin(self) -> None:
        """Start to count: a statement begins."""
        self._at = time.monotonic() + self.limit_s

    def passed(self) -> bool:
        """Tell whether the time is over."""
        return time.monotonic() > self._at


def deadline_of(connection: Connection) -> Deadline:
    """Return the deadline of a connection to a file."""
    deadline: Deadline = connection.connection.info[DEADLINE]
    return deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Sqlite(Dialect):
    """The capabilities of SQLite."""

    def insert_new(self, table: Table) -> Insert:
        """Insert rows, leaving out those whose key exists; `rowcount` tells how many went in."""
        new: Insert = sqlite_insert(table).on_conflict_do_nothing().inline()
        # Without this the count of an INSERT is gone once its cursor is closed.
        return new.execution_options(preserve_rowcount=True)

    def upsert(
        self,
        table: Table,
        *,
        keep_newer: str | None = None,
        until: ColumnElement[float] | None = None,
    ) -> Insert:
        """Insert a row, or replace the one of the same primary key."""
        insert = sqlite_insert(table)
        values: Mapping[str, Any] = {
            column.name: insert.excluded[column.name]
            for column in table.columns
            if not column.primary_key
        }
        where = None
        if keep_newer is not None:
            where = replaced(table.c[keep_newer], insert.excluded[keep_newer], until)
        key = list(table.primary_key.columns)
        return insert.on_conflict_do_update(index_elements=key, set_=values, where=where)

    def upsert_sum(self, table: Table) -> Insert:
        """Insert a row, or add to the one of the same primary key."""
        insert = sqlite_insert(table)
        key = list(table.primary_key.columns)
        return insert.on_conflict_do_update(index_elements=key, set_=sums(table, insert.excluded))

    def clock(self, process_clock: float) -> ColumnElement[float]:
        """Give the moment by the process' clock."""
        return literal(process_clock, Double)

    @contextmanager
    def alone(self, connection: Connection, *, limit_s: int, usual_s: float) -> Iterator[None]:
        """Change the schema within a transaction; a file has one writer at a time anyway."""
        deadline = deadline_of(connection)
        deadline.limit_s = limit_s
        try:
            yield
        finally:
            deadline.limit_s = usual_s

    def sizes(self, connection: Connection, tables: Sequence[str]) -> dict[str, Allocated]:
        """Measure tables: exactly where SQLite can, else by the length of some rows of each."""
        # Ask whether this SQLite can list its pages; most can.
        able = text(
            "SELECT count(*) FROM pragma_compile_options "
            "WHERE compile_options = 'ENABLE_DBSTAT_VTAB'"
        )
        if connection.execute(able).scalar_one():
            return by_pages(connection, tables)
        return by_rows(connection, tables)

    def script(self, statements: Sequence[str], *, schema: str, new: bool) -> list[str]:
        """Make it one transaction, after what a new file is told before its first page."""
        layout = [*LAYOUT] if new else []
        return [*layout, "BEGIN", *statements, "COMMIT"]


def by_pages(connection: Connection, tables: Sequence[str]) -> dict[str, Allocated]:
    """Add up the pages of each table and its indexes, and the rows on them."""
    # Walk through the pages of our tables, one tree after the other.
    statement = text(
        "SELECT part.tbl_name AS name, sum(page.pgsize) AS allocated, "
        "sum(CASE WHEN part.type = 'table' AND page.pagetype = 'leaf' THEN page.ncell ELSE 0 END) "
        "AS rows_ FROM sqlite_master AS part CROSS JOIN dbstat AS page "
        "WHERE page.name = part.name AND part.tbl_name IN :names GROUP BY part.tbl_name"
    ).bindparams(bindparam("names", expanding=True))
    return {
        row.name: Allocated(bytes=row.allocated, rows=row.rows_)
        for row in connection.execute(statement, {"names": list(tables)})
    }


def by_rows(connection: Connection, tables: Sequence[str]) -> dict[str, Allocated]:
    """Share the pages in use among the tables by their rows and what a few of them are long.

    An estimate: rows are counted by their numbers, so deleted ones in the midst count too.
    """
    # Find our tables, what their columns are called, and how many trees each of them is.
    there = connection.execute(
        text(
            "SELECT name, (SELECT group_concat('coalesce(length(\"' || name || '\"), 0)', ' + ') "
            "FROM pragma_table_info(part.name)) AS lengths, "
            "(SELECT count(*) FROM sqlite_master WHERE tbl_name = part.name) AS trees "
            "FROM sqlite_master AS part WHERE type = 'table' AND name IN :names"
        ).bindparams(bindparam("names", expanding=True)),
        {"names": list(tables)},
    ).all()
    # Ask how many pages hold something, and how large they are.
    pages, page_bytes = connection.exec_driver_sql(
        "SELECT page_count - freelist_count, page_size "
        "FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()"
    ).one()
    probed = {one.name: _probed(connection, one.name, one.lengths) for one in there}
    total = sum(rows * length for rows, length in probed.values()) or 1.0
    more = max(0, pages - sum(one.trees for one in there)) * page_bytes
    return {
        one.name: Allocated(
            bytes=round(
                one.trees * page_bytes + more * probed[one.name][0] * probed[one.name][1] / total
            ),
            rows=probed[one.name][0],
        )
        for one in there
    }


def _probed(connection: Connection, table: str, lengths: str) -> tuple[int, float]:
    """Return about how many rows a table has, and how long its newest are on average."""
    # Count by the first and the last row's number, and measure the newest rows.
    rows, length = connection.exec_driver_sql(
        f"SELECT (SELECT coalesce(max(rowid) - min(rowid) + 1, 0) FROM {table}), "  # noqa: S608  # a table of ours
        f"(SELECT coalesce(avg({lengths}), 0) FROM "
        f"(SELECT * FROM {table} ORDER BY rowid DESC LIMIT {PROBED_ROWS}))"
    ).one()
    return int(rows), float(length)


PART_BYTES: Final = 1_600  # ten to a page: of larger ones a page holds two and wastes a fifth

SQLITE: Final = Sqlite(
    name="sqlite", schemes=("sqlite",), driver="sqlite+pysqlite", part_bytes=PART_BYTES
)
