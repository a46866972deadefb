"""Rows in memory page by page."""

from watchkeeper.storage.memory.tables import Tables, same_scope
from watchkeeper.storage.store import Event, Incident, Issue, Sample
from watchkeeper.storage.upkeep import Position


class MemoryPages(Tables):
    """Rows that are read page by page."""

    __slots__ = ()

    def next_samples(
        self, *, service: str, environment: str, after: Position, limit: int
    ) -> list[Sample]:
        """Read samples, oldest first."""
        with self._lock:
            found = [
                one
                for scope, one in self._samples.values()
                if same_scope(scope, service, environment) and (one.at, one.id) > after
            ]
        return sorted(found, key=lambda one: (one.at, one.id))[:limit]

    def next_events(
        self, *, service: str, environment: str, after: Position, limit: int
    ) -> list[tuple[int, Event]]:
        """Read events with the ids of their issues, oldest first."""
        with self._lock:
            found = [
                (owner, one)
                for owner, one in self._events.values()
                if same_scope(self._issues[owner].scope, service, environment)
                and (one.at, one.id) > after
            ]
        return sorted(found, key=lambda pair: (pair[1].at, pair[1].id))[:limit]

    def next_issues(
        self, *, service: str, environment: str, seen_since: float, after: int, limit: int
    ) -> list[Issue]:
        """Read issues that were seen since, by id."""
        with self._lock:
            found = [
                one
                for one in self._issues.values()
                if same_scope(one.scope, service, environment)
                and one.last_at >= seen_since
                and one.id > after
            ]
        return sorted(found, key=lambda one: one.id)[:limit]

    def next_incidents(
        self, *, service: str, environment: str, since: float, after: int, limit: int
    ) -> list[Incident]:
        """Read incidents that started or ended since, by id."""
        with self._lock:
            found = [
                one
                for one in self._incidents.values()
                if (one.service, one.environment) == (service, environment)
                and max(one.started_at, one.resolved_at or 0) >= since
                and one.id > after
            ]
        return sorted(found, key=lambda one: one.id)[:limit]
