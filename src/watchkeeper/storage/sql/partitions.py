"""Days kept apart on PostgreSQL: partitions made ahead, and dropped whole when past."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from watchkeeper.core.slot import slot_start
from watchkeeper.storage.sql.names import actual, known
from watchkeeper.storage.sql.schema import DAY_S

DAYS_BEHIND: Final = 1  # a history of yesterday, slots that waited while the database was away
DAYS_AHEAD: Final = 3  # a long weekend without a worker that prepares
BY_DAY: Final = ("wk_event", "wk_sample")
TABLES: Final = ("wk_frame", *BY_DAY)
RESOLUTIONS: Final = (10, 60)  # others land in the default partition, unless written here
LOCK_WAIT: Final = "2s"  # a partition is made or dropped soon or later, never at a queue's cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One day of a table; of frames, one day of one resolution."""

    table: str
    resolution: int | None
    start: int  # seconds since the epoch

    @property
    def name(self) -> str:
        """The name of the partition's own table: `wk_frame_10_20420`, `wk_event_20420`."""
        middle = "" if self.resolution is None else f"_{self.resolution}"
        return f"{self.table}{middle}_{self.start // DAY_S}"

    @property
    def bounds(self) -> tuple[str, str]:
        """The first and last bound, as SQL."""
        ends = (self.start, self.start + DAY_S)
        if self.resolution is None:
            return f"({ends[0]})", f"({ends[1]})"
        return f"({self.resolution}, {ends[0]})", f"({self.resolution}, {ends[1]})"


def wanted(at: float, resolutions: Iterable[int] = RESOLUTIONS) -> list[Partition]:
    """List the partitions that there should be at a moment."""
    first = max(slot_start(at, DAY_S) - DAYS_BEHIND * DAY_S, 0)
    days = [first + day * DAY_S for day in range(DAYS_BEHIND + 1 + DAYS_AHEAD)]
    frames = [
        Partition(table="wk_frame", resolution=resolution, start=day)
        for resolution in sorted(set(resolutions))
        for day in days
    ]
    others = [Partition(table=name, resolution=None, start=day) for name in BY_DAY for day in days]
    return [*frames, *others]


def existing(connection: Connection, table: str) -> list[Partition]:
    """List the daily partitions of a table, oldest first."""
    found = (_parsed(table, known(connection, name)) for name in _children(connection, table))
    return sorted((one for one in found if one), key=lambda one: (one.start, one.name))


def count(connection: Connection, table: str) -> int:
    """Count all partitions of a table."""
    return sum(1 for _ in _children(connection, table))


def create(connection: Connection, partitions: Sequence[Partition]) -> None:
    """Make those that are missing, unless the default partition holds rows of their day."""
    have = {one.name for table in TABLES for one in existing(connection, table)}
    for one in partitions:
        if one.name in have or _default_holds(connection, one):
            continue
        low, high = one.bounds
        connection.exec_driver_sql(
            f"CREATE TABLE IF NOT EXISTS {one.name} PARTITION OF {one.table} "
            f"FOR VALUES FROM {low} TO {high}"
        )


def create_defaults(connection: Connection) -> None:
    """Make the partitions for what has no day of its own."""
    for table in TABLES:
        connection.exec_driver_sql(
            f"CREATE TABLE IF NOT EXISTS {table}_default PARTITION OF {table} DEFAULT"
        )


def drop_before(
    connection: Connection, table: str, *, resolution: int | None, before: float
) -> int:
    """Drop the days that lie wholly before a moment; return how many rows they held."""
    past = [
        one
        for one in existing(connection, table)
        if one.resolution == resolution and one.start + DAY_S <= before
    ]
    rows = 0
    for one in past:
        # Count what goes: an index-only look at one day.
        count = f"SELECT count(*) FROM {one.name}"  # noqa: S608  # a name of our own making
        rows += connection.exec_driver_sql(count).scalar_one()
    # From the first drop on nobody else may use the table: nothing slow comes between.
    for one in past:
        connection.exec_driver_sql(f"DROP TABLE {one.name}")
    return rows


def limit_lock_wait(connection: Connection) -> None:
    """Give up soon where another transaction uses the table; the next round tries again."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")


def _children(connection: Connection, table: str) -> Iterable[str]:
    # Name the children of a partitioned table.
    statement = text(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = to_regclass(:parent)"
    )
    return connection.execute(statement, {"parent": actual(connection, table)}).scalars()


def _default_holds(connection: Connection, one: Partition) -> bool:
    column = "at" if one.resolution is None else "start"
    same = "" if one.resolution is None else f"resolution = {one.resolution} AND "
    # Look for a row that a new partition would have to take over.
    statement = (
        f"SELECT 1 FROM {one.table}_default "  # noqa: S608  # names and numbers of our own making
        f"WHERE {same}{column} >= {one.start} AND {column} < {one.start + DAY_S} LIMIT 1"
    )
    return connection.exec_driver_sql(statement).first() is not None


def _parsed(table: str, name: str) -> Partition | None:
    pieces = name.removeprefix(f"{table}_").split("_")
    if not all(piece.isdigit() for piece in pieces) or len(pieces) > 2:
        return None
    resolution = int(pieces[0]) if len(pieces) == 2 else None
    return Partition(table=table, resolution=resolution, start=int(pieces[-1]) * DAY_S)
