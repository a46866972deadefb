"""What is kept about one user in memory, found and deleted."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from watchkeeper.storage.issues import FacetKind
from watchkeeper.storage.memory.tables import Tables, drop, same_scope
from watchkeeper.storage.upkeep import Looked, Marked, Position


class MemoryErasure(Tables):
    """What is kept about one user."""

    __slots__ = ()

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
        with self._lock:
            details = self._details(kind, service, environment)
        keys = sorted(key for key in details if key > after)[:limit]
        return Looked(
            found=[key for key in keys if details[key].get("user") == user],
            rows=len(keys),
            last=keys[-1] if keys else None,
        )

    def erase(self, kind: Marked, rows: Collection[Position]) -> int:
        """Delete rows by their keys; return how many there were."""
        ids = [one for _, one in rows]
        with self._lock:
            if kind is Marked.SAMPLES:
                return drop(self._samples, [one for one in ids if one in self._samples])
            return drop(self._events, [one for one in ids if one in self._events])

    def forget_user(self, user: str, *, service: str, environment: str, dry_run: bool) -> int:
        """Take a user out of those that issues of a scope happened to; return of how many."""
        key, gone = (FacetKind.USER, user), 0
        with self._lock:
            for one, facets in self._facets.items():
                issue = self._issues[one]
                if key in facets and same_scope(issue.scope, service, environment):
                    gone += 1
                    if not dry_run:
                        del facets[key]
                        self._issues[one] = replace(issue, users=issue.users - 1)
        return gone

    def _details(
        self, kind: Marked, service: str, environment: str
    ) -> dict[Position, Mapping[str, Any]]:
        if kind is Marked.SAMPLES:
            return {
                (one.at, one.id): one.data
                for scope, one in self._samples.values()
                if same_scope(scope, service, environment)
            }
        return {
            (one.at, one.id): one.data
            for owner, one in self._events.values()
            if same_scope(self._issues[owner].scope, service, environment)
        }
