"""How much room each table takes, how many rows it has, and from when the oldest is."""

from typing import Final

from sqlalchemy import Connection, Table, func, select

from watchkeeper.core.hours import HOUR_S
from watchkeeper.storage.records import TableSize
from watchkeeper.storage.sql.dialect import Allocated, Dialect
from watchkeeper.storage.sql.names import actual
from watchkeeper.storage.sql.schema import frame, metadata

SMALL_BYTES: Final = 8_000_000  # up to here rows are counted, and searched for the oldest
# What tells when a row is from, in the order of preference.
MOMENTS: Final = ("start", "at", "hour", "started_at", "first_at", "created_at", "seen_at")
# Slots that divide a minute, minutes and hours: what frames may be of.
RESOLUTIONS: Final = (*(s for s in range(1, 61) if 60 % s == 0), HOUR_S)


def allocated(connection: Connection, dialect: Dialect) -> dict[str, Allocated]:
    """Measure our tables, by their names in the code."""
    names = {actual(connection, name): name for name in metadata.tables}
    return {names[name]: found for name, found in dialect.sizes(connection, [*names]).items()}


def table_sizes(connection: Connection, dialect: Dialect) -> list[TableSize]:
    """Measure each table, the largest first."""
    found = allocated(connection, dialect)
    sizes = [
        _measured(connection, table, found[name], exact=not dialect.server)
        for name, table in metadata.tables.items()
        if name in found
    ]
    return sorted(sizes, key=lambda one: (-one.bytes, one.table))


def of_file(connection: Connection) -> tuple[int, int]:
    """Return how many bytes a SQLite file holds, and how many of them hold nothing.

    The log beside it is left out: it comes and goes.
    """
    # Ask how many pages there are, with those that are still in the log.
    pages, free, page_bytes = connection.exec_driver_sql(
        "SELECT page_count, freelist_count, page_size "
        "FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()"
    ).one()
    return pages * page_bytes, free * page_bytes


def _measured(connection: Connection, table: Table, found: Allocated, *, exact: bool) -> TableSize:
    small = found.bytes <= SMALL_BYTES
    rows = found.rows
    if small and not exact:
        # Count the rows of a small table: statistics say nothing of it.
        rows = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return TableSize(
        table=table.name,
        bytes=found.bytes,
        rows=rows,
        free_bytes=found.free_bytes,
        oldest_at=_oldest(connection, table, small=small),
    )


def _oldest(connection: Connection, table: Table, *, small: bool) -> float | None:
    """Return when the oldest row is from: a look at the end of an index, or through few rows."""
    if table is frame:
        return oldest_frame(connection)
    moment = next((name for name in MOMENTS if name in table.c), None)
    if moment is None or not (small or _leads(table, moment)):
        return None
    # Find the oldest row.
    oldest = connection.execute(select(func.min(table.c[moment]))).scalar()
    return None if oldest is None else float(oldest)


def oldest_frame(connection: Connection) -> float | None:
    """Return the start of the oldest frame."""
    # Look at the end of the index, for each length of slots.
    looks = (
        connection.execute(
            select(func.min(frame.c.start)).where(frame.c.resolution == resolution)
        ).scalar()
        for resolution in RESOLUTIONS
    )
    return min((float(start) for start in looks if start is not None), default=None)


def _leads(table: Table, column: str) -> bool:
    keys = [table.primary_key.columns, *(index.columns for index in table.indexes)]
    return any(next(iter(key)).name == column for key in keys if len(key))
