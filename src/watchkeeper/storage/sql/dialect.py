"""What the databases do differently, as one contract that each of them keeps in its own module."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Select,
    Table,
    TextClause,
    case,
    delete,
    or_,
    tuple_,
)
from sqlalchemy.sql.dml import Delete, Insert

from watchkeeper.storage.frame import MAX_PART_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocated:
    """What the database says of one table with its indexes and partitions.

    `free_bytes` of the bytes hold nothing; `rows` may be an estimate.
    """

    bytes: int
    rows: int
    free_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect(ABC):
    """The capabilities of one kind of database."""

    name: str
    schemes: Sequence[str]  # what its URLs may begin with
    driver: str  # SQLAlchemy's name of the dialect and driver that we use
    extra: str = ""  # what to install for the driver, "" if nothing
    server: bool = False  # over a network, with a clock, time-outs and connections of its own
    schemas: bool = False  # a database holds several sets of tables, each with a name
    partitions: bool = False  # whole days are dropped instead of deleted row by row
    part_bytes: int = MAX_PART_BYTES  # of a payload in one row: so that pages are well filled

    @abstractmethod
    def insert_new(self, table: Table) -> Insert:
        """Insert rows, leaving out those whose key exists; `rowcount` tells how many went in."""

    @abstractmethod
    def upsert(
        self,
        table: Table,
        *,
        keep_newer: str | None = None,
        until: ColumnElement[float] | None = None,
    ) -> Insert:
        """Insert a row, or replace the one of the same primary key.

        With `keep_newer`, the name of a column, a row whose value there is larger stays, unless
        it is beyond `until`.
        """

    @abstractmethod
    def upsert_sum(self, table: Table) -> Insert:
        """Insert a row, or add to the one of the same primary key.

        Its `count` grows; `first_at` and `last_at`, if there are any, become those of both.
        """

    @abstractmethod
    def clock(self, process_clock: float) -> ColumnElement[float]:
        """Give the moment by the database's clock; a file has that of its processes."""

    def delete_chosen(self, table: Table, chosen: Select[Any]) -> Delete:
        """Delete the rows whose primary keys a query with a limit chooses, in the key's order."""
        return delete(table).where(tuple_(*table.primary_key.columns).in_(chosen))

    def connect_arguments(self, url: URL, *, timeout_s: int) -> Mapping[str, Any]:
        """Return what the driver is told when it connects."""
        return {}

    def prepare(  # noqa: B027  # a file needs nothing
        self, connection: Any, *, limit_s: float, schema: str
    ) -> None:
        """Set up a driver's new connection; statements and locks may take `limit_s` seconds."""

    @contextmanager
    def alone(self, connection: Connection, *, limit_s: int, usual_s: float) -> Iterator[None]:
        """Change the schema within a transaction while nobody else does.

        Statements may take `limit_s` seconds meanwhile, and the `usual_s` again afterwards.
        """
        yield

    @contextmanager
    def again(self) -> Iterator[None]:
        """Do a part of a step; where it was done before an earlier try broke: nothing."""
        yield

    def change(self, connection: Connection, statement: str) -> None:
        """Run one statement of a step; where it was run before an earlier try broke: nothing."""
        with self.again():
            connection.exec_driver_sql(statement)

    def size(self, tables: Sequence[str]) -> tuple[TextClause, Mapping[str, Any]]:
        """Return the query for the bytes that tables take, indexes included, and its values."""
        raise NotImplementedError

    @abstractmethod
    def sizes(self, connection: Connection, tables: Sequence[str]) -> dict[str, Allocated]:
        """Measure tables, by their names in the database; missing ones are left out."""

    def script(self, statements: Sequence[str], *, schema: str, new: bool) -> list[str]:
        """Put around a step's statements what a person who runs them by hand needs.

        `new` tells that the database's file is not there yet.
        """
        return [*statements]


def replaced(
    old: ColumnElement[Any], new: ColumnElement[Any], until: ColumnElement[float] | None
) -> ColumnElement[bool]:
    """Say when `upsert` replaces a row, by the column that tells which one is newer."""
    is_newer = old <= new
    return is_newer if until is None else or_(is_newer, old > until)


def sums(table: Table, new: Any) -> dict[str, ColumnElement[Any]]:
    """Return the values of `upsert_sum`; `new` are the columns of the row that collided."""
    values: dict[str, ColumnElement[Any]] = {"count": table.c["count"] + new["count"]}
    if "last_at" in table.c:
        first_at, last_at = table.c.first_at, table.c.last_at
        earlier, later = new["first_at"] < first_at, new["last_at"] > last_at
        values["first_at"] = case((earlier, new["first_at"]), else_=first_at)
        values["last_at"] = case((later, new["last_at"]), else_=last_at)
    return values
