"""Rows of a SQL database page by page, for whoever takes them elsewhere."""

from sqlalchemy import or_, select

from watchkeeper.storage.sql.alerts import read_incident
from watchkeeper.storage.sql.base import Part
from watchkeeper.storage.sql.erasure import in_scope, later
from watchkeeper.storage.sql.events import read_event
from watchkeeper.storage.sql.issues import read_issue
from watchkeeper.storage.sql.samples import read_sample
from watchkeeper.storage.sql.schema import event, incident, issue, sample
from watchkeeper.storage.store import Event, Incident, Issue, Sample
from watchkeeper.storage.upkeep import Marked, Position


class SqlPages(Part):
    """The part of the SQL store that is read page by page."""

    def next_samples(
        self, *, service: str, environment: str, after: Position, limit: int
    ) -> list[Sample]:
        """Read samples, oldest first."""
        # Read a page of samples.
        query = in_scope(select(sample), Marked.SAMPLES, service, environment)
        query = query.where(later(sample, after)).order_by(sample.c.at, sample.c.id).limit(limit)
        with self._database.read() as connection:
            return [read_sample(row) for row in connection.execute(query)]

    def next_events(
        self, *, service: str, environment: str, after: Position, limit: int
    ) -> list[tuple[int, Event]]:
        """Read events with the ids of their issues, oldest first."""
        # Read a page of events.
        query = in_scope(select(event), Marked.EVENTS, service, environment)
        query = query.where(later(event, after)).order_by(event.c.at, event.c.id).limit(limit)
        with self._database.read() as connection:
            return [(row.issue, read_event(row)) for row in connection.execute(query)]

    def next_issues(
        self, *, service: str, environment: str, seen_since: float, after: int, limit: int
    ) -> list[Issue]:
        """Read issues that were seen since, by id."""
        # Read a page of issues.
        query = (
            select(issue)
            .where(
                issue.c.id > after,
                issue.c.service == service,
                issue.c.environment == environment,
                issue.c.last_at >= seen_since,
            )
            .order_by(issue.c.id)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [read_issue(row) for row in connection.execute(query)]

    def next_incidents(
        self, *, service: str, environment: str, since: float, after: int, limit: int
    ) -> list[Incident]:
        """Read incidents that started or ended since, by id."""
        # Read a page of incidents.
        query = (
            select(incident)
            .where(
                incident.c.id > after,
                incident.c.service == service,
                incident.c.environment == environment,
                or_(incident.c.started_at >= since, incident.c.resolved_at >= since),
            )
            .order_by(incident.c.id)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [read_incident(row) for row in connection.execute(query)]
