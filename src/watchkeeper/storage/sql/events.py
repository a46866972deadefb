"""The stored occurrences of issues in a SQL database."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Select, delete, func, select

from watchkeeper.core.kept_events import EventMark
from watchkeeper.core.metrics import Scope
from watchkeeper.storage import issue_rows, rows
from watchkeeper.storage.sql import partitions, standing
from watchkeeper.storage.sql.base import chunks
from watchkeeper.storage.sql.counting import SqlCounting
from watchkeeper.storage.sql.details import pack, unpack
from watchkeeper.storage.sql.schema import event, issue
from watchkeeper.storage.store import Event


class SqlEvents(SqlCounting):
    """The part of the SQL store that keeps occurrences."""

    def events(self, issue_id: int, *, limit: int, offset: int = 0) -> list[Event]:
        """Read the newest events of an issue, newest first."""
        # Read an issue's events, newest first.
        statement = (
            select(event)
            .where(event.c.issue == issue_id)
            .order_by(event.c.at.desc(), event.c.id.desc())
            .limit(limit)
            .offset(offset)
        )
        with self._database.read() as connection:
            return [read_event(row) for row in connection.execute(statement)]

    def event(self, event_id: str, *, service: str, environment: str) -> Event | None:
        """Read one event of a scope."""
        # Read an event by its id.
        statement = _of_scope(select(event), service, environment).where(event.c.id == event_id)
        with self._database.read() as connection:
            row = connection.execute(statement).first()
        return read_event(row) if row else None

    def events_of_request(
        self, request_id: str, *, service: str, environment: str, limit: int
    ) -> list[Event]:
        """Read the events of one request, newest first."""
        if not request_id:
            return []
        # Read the events of a request.
        statement = (
            _of_scope(select(event), service, environment)
            .where(event.c.request_id == request_id)
            .order_by(event.c.at.desc(), event.c.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [read_event(row) for row in connection.execute(statement)]

    def crowded_issues(self, *, most: int, limit: int) -> list[int]:
        """Return up to `limit` issues that have more than `most` events, fullest first."""
        # Count the events of each issue, in the index alone.
        statement = (
            select(event.c.issue)
            .group_by(event.c.issue)
            .having(func.count() > most)
            .order_by(func.count().desc(), event.c.issue)
            .limit(limit)
        )
        with self._database.read() as connection:
            return list(connection.execute(statement).scalars())

    def event_marks(self, issue_id: int) -> list[EventMark]:
        """Read what decides which events of an issue are kept, oldest first."""
        wanted = (event.c.id, event.c.at, event.c.method, event.c.route, event.c.release)
        # Read an issue's events without their details.
        statement = select(*wanted).where(event.c.issue == issue_id)
        with self._database.read() as connection:
            found = connection.execute(statement.order_by(event.c.at, event.c.id))
            return [read_mark(row) for row in found]

    def drop_events(self, issue_id: int, event_ids: Collection[str]) -> int:
        """Delete events of an issue; return how many."""
        gone = 0
        with self._database.write() as connection:
            for some in chunks(sorted(event_ids)):
                # Delete some of an issue's events.
                statement = delete(event).where(event.c.issue == issue_id, event.c.id.in_(some))
                gone += connection.execute(statement).rowcount
        return gone

    def prune_events(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` events from before; return how many."""
        dropped, dialect = 0, self._database.dialect
        if dialect.partitions:
            with self._database.write() as connection:
                partitions.limit_lock_wait(connection)
                dropped = partitions.drop_before(
                    connection, "wk_event", resolution=None, before=before
                )
        key = (event.c.at, event.c.id)
        # Events past their time.
        events = select(*key).where(event.c.at < before).order_by(event.c.at).limit(limit)
        with self._database.write() as connection:
            gone = connection.execute(dialect.delete_chosen(event, events)).rowcount
        return dropped + gone

    def _keep_events(self, connection: Connection, scope: Scope, found: Sequence[Event]) -> None:
        """Store events under the issues that their fingerprints lead to; others are left out."""
        cut = [rows.cut_event(one) for one in found]
        known = self._owners(
            connection, scope, [name for one in cut for name in issue_rows.row_names(one)]
        )
        owners = {
            one.id: next((known[each] for each in issue_rows.row_names(one) if each in known), 0)
            for one in cut
        }
        values = [
            {
                "at": one.at,
                "id": one.id,
                "issue": owners[one.id],
                "fingerprint": one.fingerprint,
                "method": one.method,
                "route": one.route,
                "status": one.status,
                "release": one.release,
                "request_id": one.request_id,
                "path": one.path,
                "data": pack(one.data),
            }
            for one in cut
            if owners[one.id]
        ]
        if values:
            # Append events; one that is there already stays as it is.
            connection.execute(standing.insert_new(self._database.dialect, event), values)


def read_event(row: Any) -> Event:
    """Make an event of its row."""
    return Event(
        id=row.id,
        fingerprint=row.fingerprint,
        at=row.at,
        method=row.method,
        route=row.route,
        status=row.status,
        release=row.release,
        request_id=row.request_id,
        path=row.path,
        issue=row.issue,
        data=unpack(row.data),
    )


def read_mark(row: Any) -> EventMark:
    """Make of a row what decides whether the event is kept."""
    return EventMark(
        id=row.id,
        at=row.at,
        route=f"{row.method} {row.route}".strip(),
        release=row.release,
    )


def _of_scope(query: Select[Any], service: str, environment: str) -> Select[Any]:
    return query.join(issue, issue.c.id == event.c.issue).where(
        issue.c.service == service, issue.c.environment == environment
    )
