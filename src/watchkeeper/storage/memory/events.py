"""The stored occurrences of issues in memory."""

from collections.abc import Collection
from dataclasses import replace

from watchkeeper.core.kept_events import EventMark
from watchkeeper.core.metrics import Scope
from watchkeeper.storage import issue_rows, rows
from watchkeeper.storage.memory.tables import Tables, drop, plain, put, same_scope
from watchkeeper.storage.store import Event


class MemoryEvents(Tables):
    """The stored occurrences of issues in memory."""

    __slots__ = ()

    def events(self, issue_id: int, *, limit: int, offset: int = 0) -> list[Event]:
        """Read the newest events of an issue, newest first."""
        with self._lock:
            found = [_told(*one) for one in self._events.values() if one[0] == issue_id]
        return _newest(found)[offset : offset + limit]

    def event(self, event_id: str, *, service: str, environment: str) -> Event | None:
        """Read one event of a scope."""
        with self._lock:
            owner, event = self._events.get(event_id, (0, None))
            issue = self._issues.get(owner)
        if event is None or issue is None or not same_scope(issue.scope, service, environment):
            return None
        return _told(owner, event)

    def events_of_request(
        self, request_id: str, *, service: str, environment: str, limit: int
    ) -> list[Event]:
        """Read the events of one request, newest first."""
        with self._lock:
            found = [
                _told(owner, event)
                for owner, event in self._events.values()
                if event.request_id == request_id
                and same_scope(self._issues[owner].scope, service, environment)
            ]
        return _newest(found)[:limit] if request_id else []

    def crowded_issues(self, *, most: int, limit: int) -> list[int]:
        """Return up to `limit` issues that have more than `most` events, fullest first."""
        counts: dict[int, int] = {}
        with self._lock:
            for owner, _ in self._events.values():
                counts[owner] = counts.get(owner, 0) + 1
        crowded = sorted((-count, owner) for owner, count in counts.items() if count > most)
        return [owner for _, owner in crowded[:limit]]

    def event_marks(self, issue_id: int) -> list[EventMark]:
        """Read what decides which events of an issue are kept, oldest first."""
        with self._lock:
            found = [event for owner, event in self._events.values() if owner == issue_id]
        return [mark(one) for one in reversed(_newest(found))]

    def drop_events(self, issue_id: int, event_ids: Collection[str]) -> int:
        """Delete events of an issue; return how many."""
        with self._lock:
            theirs = [one for one in event_ids if self._events.get(one, (0,))[0] == issue_id]
            return drop(self._events, theirs)

    def prune_events(self, *, before: float, limit: int) -> int:
        """Delete up to `limit` events from before; return how many."""
        with self._lock:
            events = [one.id for _, one in self._events.values() if one.at < before]
            return drop(self._events, events[:limit])

    def _keep_event(self, scope: Scope, event: Event) -> None:
        places = [(scope.service, scope.environment, one) for one in issue_rows.row_names(event)]
        owner = next((self._aliases[one] for one in places if one in self._aliases), None)
        if owner is not None and event.id not in self._events:
            kept = replace(rows.cut_event(event), data=plain(event.data))
            put(self._events, event.id, (owner, kept))


def mark(event: Event) -> EventMark:
    """Return what decides whether an event is kept."""
    return EventMark(
        id=event.id,
        at=event.at,
        route=f"{event.method} {event.route}".strip(),
        release=event.release,
    )


def _told(owner: int, event: Event) -> Event:
    return replace(event, issue=owner)


def _newest(events: list[Event]) -> list[Event]:
    return sorted(events, key=lambda event: (event.at, event.id), reverse=True)
