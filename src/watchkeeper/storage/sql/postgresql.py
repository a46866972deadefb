"""PostgreSQL: schema changes within transactions, and days that are dropped whole."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Double,
    Table,
    TextClause,
    cast,
    extract,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.sql.dml import Insert

from watchkeeper.storage.sql.dialect import Allocated, Dialect, replaced, sums

LOCK: Final = 0x7761_7463_686B  # PostgreSQL's advisory locks are numbers: "watchk"
# What a row takes besides its columns, and a whole piece of a value that is stored apart.
ROW_BYTES: Final = 28
PIECE_BYTES: Final = 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgresql(Dialect):
    """The capabilities of PostgreSQL."""

    def insert_new(self, table: Table) -> Insert:
        """Insert rows, leaving out those whose key exists; `rowcount` tells how many went in."""
        new: Insert = postgresql_insert(table).on_conflict_do_nothing().inline()
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
        insert = postgresql_insert(table)
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
        insert = postgresql_insert(table)
        key = list(table.primary_key.columns)
        return insert.on_conflict_do_update(index_elements=key, set_=sums(table, insert.excluded))

    def clock(self, process_clock: float) -> ColumnElement[float]:
        """Give the moment by the server's clock."""
        return cast(extract("epoch", func.clock_timestamp()), Double)

    def connect_arguments(self, url: URL, *, timeout_s: int) -> Mapping[str, Any]:
        """Return what the driver is told when it connects."""
        arguments: dict[str, Any] = {}
        if "connect_timeout" not in url.query:
            arguments["connect_timeout"] = timeout_s
        if url.drivername.endswith("psycopg"):
            # A pooler between us and the server may not keep prepared statements.
            arguments["prepare_threshold"] = None
        return arguments

    def prepare(self, connection: Any, *, limit_s: float, schema: str) -> None:
        """Set up a driver's new connection; statements and locks may take `limit_s` seconds."""
        limit_ms = int(limit_s * 1000)
        with connection.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = {limit_ms}")
            cursor.execute(f"SET lock_timeout = {limit_ms}")
            cursor.execute("SET timezone = 'UTC'")
            if schema:
                cursor.execute(f'SET search_path = "{schema}"')
        connection.commit()

    @contextmanager
    def alone(self, connection: Connection, *, limit_s: int, usual_s: float) -> Iterator[None]:
        """Change the schema within a transaction while nobody else does."""
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{limit_s}s'")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{limit_s}s'")
        # One process at a time; the lock ends with the transaction, as the settings do.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        if connection.exec_driver_sql("SELECT current_schema() IS NULL").scalar_one():
            # Make the schema that `prepare` chose.
            schema = connection.exec_driver_sql("SHOW search_path").scalar_one()
            connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        yield

    def size(self, tables: Sequence[str]) -> tuple[TextClause, Mapping[str, Any]]:
        """Return the query for the bytes that tables take, indexes included, and its values."""
        # Add up tables with their partitions.
        statement = text(
            "SELECT coalesce(sum(pg_total_relation_size(one.relid)), 0) "
            "FROM unnest(CAST(:names AS text[])) AS given(name) CROSS JOIN LATERAL ("
            "SELECT relid FROM pg_partition_tree(to_regclass(given.name)) "
            "UNION SELECT to_regclass(given.name)) AS one WHERE one.relid IS NOT NULL"
        )
        return statement, {"names": list(tables)}

    def sizes(self, connection: Connection, tables: Sequence[str]) -> dict[str, Allocated]:
        """Measure tables with their partitions; rows and free room as the statistics tell."""
        # Measure each part of each table. What a part holds is known once it has been vacuumed:
        # only then may its free room be filled, and statistics lost in a crash are not believed.
        # By the functions, for the views of the statistics are built from every table there is.
        statement = text(
            "SELECT given.name, class.relkind = 'r' AND NOT class.relispartition AS plain, "
            "pg_total_relation_size(class.oid) AS allocated, "
            "pg_stat_get_live_tuples(class.oid) AS rows_, "
            "CASE WHEN coalesce(pg_stat_get_last_vacuum_time(class.oid), "
            "pg_stat_get_last_autovacuum_time(class.oid)) IS NOT NULL "
            "THEN pg_relation_size(class.oid) END AS heap, "
            "CASE WHEN coalesce(pg_stat_get_last_vacuum_time(class.reltoastrelid), "
            "pg_stat_get_last_autovacuum_time(class.reltoastrelid)) IS NOT NULL "
            "THEN pg_relation_size(class.reltoastrelid) END AS apart, "
            "pg_stat_get_live_tuples(class.reltoastrelid) AS pieces "
            "FROM unnest(CAST(:names AS text[])) AS given(name) CROSS JOIN LATERAL ("
            "SELECT relid FROM pg_partition_tree(to_regclass(given.name)) "
            "UNION SELECT to_regclass(given.name)) AS part "
            "JOIN pg_class AS class ON class.oid = part.relid"
        )
        # Read how wide rows are, of tables that are not dropped in parts.
        widths = text(
            "SELECT tablename, sum(avg_width) FROM pg_stats "
            "WHERE schemaname = ANY(current_schemas(false)) "
            "AND tablename = ANY(CAST(:names AS text[])) GROUP BY tablename"
        )
        names = {"names": list(tables)}
        width = {name: int(wide) for name, wide in connection.execute(widths, names)}
        found: dict[str, Allocated] = {}
        for row in connection.execute(statement, names):
            free = 0
            if row.plain and row.heap and row.name in width:
                free += max(0, row.heap - row.rows_ * (ROW_BYTES + width[row.name]))
            if row.apart:
                free += max(0, row.apart - row.pieces * PIECE_BYTES)
            before = found.get(row.name, Allocated(bytes=0, rows=0))
            found[row.name] = Allocated(
                bytes=before.bytes + row.allocated,
                rows=before.rows + (row.rows_ or 0),
                free_bytes=before.free_bytes + free,
            )
        return found

    def script(self, statements: Sequence[str], *, schema: str, new: bool) -> list[str]:
        """Make it one transaction, in the schema that is set."""
        place = (
            [f'CREATE SCHEMA IF NOT EXISTS "{schema}"', f'SET LOCAL search_path = "{schema}"']
            if schema
            else []
        )
        return ["BEGIN", *place, *statements, "COMMIT"]


POSTGRESQL: Final = Postgresql(
    name="postgresql",
    schemes=("postgresql", "postgres"),
    driver="postgresql+psycopg",
    extra="postgres",
    server=True,
    schemas=True,
    partitions=True,
)
