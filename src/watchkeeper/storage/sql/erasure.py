"""What is kept about one user in a SQL database, found and deleted."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, delete, or_, select, tuple_, update

from watchkeeper.storage.issues import FacetKind
from watchkeeper.storage.sql.base import Part, chunks
from watchkeeper.storage.sql.details import unpack
from watchkeeper.storage.sql.schema import event, issue, issue_facet, sample
from watchkeeper.storage.turns import give_way
from watchkeeper.storage.upkeep import Looked, Marked, Position

_TABLES: Final = {Marked.SAMPLES: sample, Marked.EVENTS: event}


class SqlErasure(Part):
    """The part of the SQL store that finds and deletes what is kept about a user."""

    def marked(
        self,
        kind: Marked,
        user: str,
        *,
        service: str,
        environment: str,
        after: Position,
        limit: int,
    ) -> Looked:
        """Look through up to `limit` rows of a scope after a key for those of a user."""
        table = _TABLES[kind]
        # Read the details of some rows, in the order of their key.
        details = select(table.c.at, table.c.id, table.c.data)
        query = in_scope(details, kind, service, environment).where(later(table, after))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(table.c.at, table.c.id).limit(limit)).all()
        found = []
        for row in rows:  # unpacked when the transaction is over
            if unpack(row.data).get("user") == user:
                found.append((row.at, row.id))
            give_way()
        last = (rows[-1].at, rows[-1].id) if rows else None
        return Looked(found=found, rows=len(rows), last=last)

    def erase(self, kind: Marked, rows: Collection[Position]) -> int:
        """Delete rows by their keys; return how many there were."""
        table, gone = _TABLES[kind], 0
        with self._database.write() as connection:
            for some in chunks(sorted(rows)):
                # Delete rows by their keys.
                statement = delete(table).where(tuple_(table.c.at, table.c.id).in_(some))
                gone += connection.execute(statement).rowcount
        return gone

    def forget_user(self, user: str, *, service: str, environment: str, dry_run: bool) -> int:
        """Take a user out of those that issues of a scope happened to; return of how many."""
        # Find the issues that happened to a user.
        found = (
            select(issue.c.id)
            .join(issue_facet, issue_facet.c.issue == issue.c.id)
            .where(
                issue_facet.c.kind == FacetKind.USER.value,
                issue_facet.c.value == user,
                issue.c.service == service,
                issue.c.environment == environment,
            )
            .order_by(issue.c.id)
        )
        if dry_run:
            with self._database.read() as connection:
                return len(connection.execute(found).all())
        with self._database.write() as connection:
            owners = list(connection.execute(found.with_for_update()).scalars())
            for some in chunks(owners):
                # Take the user out of a few issues.
                connection.execute(
                    delete(issue_facet).where(
                        issue_facet.c.issue.in_(some),
                        issue_facet.c.kind == FacetKind.USER.value,
                        issue_facet.c.value == user,
                    )
                )
                fewer = update(issue).where(issue.c.id.in_(some))
                connection.execute(fewer.values(users=issue.c.users - 1))
        return len(owners)


def in_scope(query: Select[Any], kind: Marked, service: str, environment: str) -> Select[Any]:
    """Narrow a query of events or samples to a scope; an event is of its issue's."""
    owner = sample
    if kind is Marked.EVENTS:
        query, owner = query.join(issue, issue.c.id == event.c.issue), issue
    return query.where(owner.c.service == service, owner.c.environment == environment)


def later(table: Any, after: Position) -> ColumnElement[bool]:
    """Choose the rows behind a key; by `at` alone first, which every database has an index for."""
    at, one = after
    return and_(table.c.at >= at, or_(table.c.at > at, table.c.id > one))
