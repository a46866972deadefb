"""What is kept about one user in memory, found and deleted."""

from collections.abc import Collection, Mapping
from typing import Any

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
