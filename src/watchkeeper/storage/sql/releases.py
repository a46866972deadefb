"""Deploy marks in a SQL database."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select

from watchkeeper.core.metrics import Scope
from watchkeeper.storage import rows
from watchkeeper.storage.sql import standing
from watchkeeper.storage.sql.base import Part
from watchkeeper.storage.sql.dialect import Dialect
from watchkeeper.storage.sql.schema import release as marks
from watchkeeper.storage.sql.workers import scopes
from watchkeeper.storage.store import Release


class SqlReleases(Part):
    """The deploy marks' part of the SQL store."""

    def scopes(self) -> list[tuple[str, str]]:
        """List the services with their environments of which there are workers, by name."""
        with self._database.read() as connection:
            return sorted(scopes(connection))

    def mark_release(self, release: Release) -> bool:
        """Mark a release of a scope; False if it is marked already: the first mark stays."""
        with self._database.write() as connection:
            return add_mark(connection, self._database.dialect, release)

    def releases(
        self, *, service: str, environment: str, since: float, until: float, limit: int
    ) -> list[Release]:
        """List the marks of a scope in [since, until), newest first."""
        # Read the marks of a scope by time.
        statement = (
            select(marks)
            .where(
                marks.c.service == service,
                marks.c.environment == environment,
                marks.c.at >= since,
                marks.c.at < until,
            )
            .order_by(marks.c.at.desc(), marks.c.release.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [_mark(row) for row in connection.execute(statement)]

    def prune_releases(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` marks from before, but the newest of each scope."""
        # Marks past their time.
        old = select(*marks.primary_key.columns).where(past_marks(before)).limit(limit)
        with self._database.write() as connection:
            return connection.execute(self._database.dialect.delete_chosen(marks, old)).rowcount


def _mark(row: Any) -> Release:
    name, kind = rows.mark_of(row.release)
    return Release(
        scope=Scope(service=row.service, environment=row.environment, release=name),
        at=row.at,
        by=row.set_by,
        kind=kind,
    )


def past_marks(before: float) -> ColumnElement[bool]:
    """Return what tells marks from before; the newest of a scope may be what its workers run."""
    newer = marks.alias("newer")
    later = or_(
        newer.c.at > marks.c.at,
        (newer.c.at == marks.c.at) & (newer.c.release > marks.c.release),
    )
    same = (newer.c.service == marks.c.service) & (newer.c.environment == marks.c.environment)
    return (marks.c.at < before) & select(newer.c.at).where(same, later).exists()


def add_mark(connection: Connection, dialect: Dialect, release: Release) -> bool:
    """Insert a mark unless its release has one; tell whether it was new."""
    kept = rows.cut_release(release)
    return bool(
        connection.execute(
            standing.insert_new(dialect, marks),
            {
                "service": kept.scope.service,
                "environment": kept.scope.environment,
                "release": rows.mark_key(kept),
                "at": kept.at,
                "set_by": kept.by,
            },
        ).rowcount
    )
